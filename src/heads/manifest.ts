/**
 * What a model is beyond its graph: how pictures become its input, how its outputs become boxes, what its classes are
 * called, where it comes from. Read and written by `formats/manifest.ts`, which documents every rule.
 */
import type { Head } from "./index.ts";
import type { ModelInput } from "./input.ts";

export type {
  BoxesHead,
  CenterFaceHead,
  DetectionsHead,
  DistancesHead,
  FastestDetHead,
  Head,
  HeadPoints,
  PriorsHead,
  YoloFastestV2Head,
  Yolov5Head,
  YoloxHead,
} from "./index.ts";
export type { ModelInput } from "./input.ts";

/** Scales of one int8 layer, as `q = round(x·scale)`. */
export interface LayerQuantization {
  [note: string]: unknown;
  /** Of the layer's input. */
  input: number;
  /** Of the layer's output, where the next layers take int8 directly. */
  output?: number;
  /** Of the weights, one per output channel; also in the `.bin`, so normally left out here. */
  weights?: number[];
}

/** Measured on the float and the int8 model; fractions 0..1 (`0.364` is AP 36.4). */
export interface QuantizationAccuracy {
  [note: string]: unknown;
  /** Pictures that it was measured on. */
  images: number;
  ap?: number;
  apFloat?: number;
  fidelity?: number;
  /** Mean relative score change by object size; `null` where there were no such objects. */
  scoreChange?: { small: number | null; medium: number | null; large: number | null };
}

/** How a model was quantized: `quantization` of the manifest. */
export interface QuantizationRecord {
  [note: string]: unknown;
  /** `kl`, `aciq`, `auto`, … */
  method: string;
  /** Calibration pictures. */
  images: number;
  /** By layer name. */
  layers: Record<string, LayerQuantization>;
  keptFloat: { name: string; reason: string }[];
  accuracy?: QuantizationAccuracy;
}

/** Where a model comes from: `provenance` of the manifest. */
export interface Provenance {
  [note: string]: unknown;
  /** Name and version of what wrote the model. */
  tool: string;
  /** File that the model was made from, and its SHA-256 in lower-case hexadecimal. */
  source?: string;
  sha256?: string;
  /** Names of the rewrites that were applied, in order. */
  passes: string[];
}

/** The model manifest, `NAME.json`. */
export interface Manifest {
  version: 1;
  name: string;
  /** Names of the files beside the manifest. */
  param: string;
  bin: string;
  input: ModelInput;
  /** Of one kind; empty for a model that is no detector. */
  heads: Head[];
  /** Class names by class number. */
  labels: string[];
  provenance: Provenance;
  quantization?: QuantizationRecord;
}
