/**
 * What a model is beyond its graph: how pictures become its input, how its outputs become boxes, what its classes are
 * called, where it comes from. Read and written by `formats/manifest.ts`, which documents every rule.
 */
import type { Head } from "./index.ts";
import type { ModelInput } from "./input.ts";

export type {
  BoxesHead,
  CenterFaceHead,
  ClassesHead,
  DetectionsHead,
  DistancesHead,
  FastestDetHead,
  Head,
  HeadAngle,
  HeadMask,
  HeadPoints,
  PlacedPoints,
  PriorsHead,
  SharedPrototypes,
  Task,
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
  /** By what the task is measured by; of models that sort pictures, top-1. */
  ap?: number;
  apFloat?: number;
  fidelity?: number;
  /** Mean relative score change by object size; `null` where there were no such objects. */
  scoreChange?: { small: number | null; medium: number | null; large: number | null };
}

/** How much a part of the int8 network's outputs is like the float one's. */
export interface Likeness {
  /** A blob, or of a head's blobs `box`, `objectness` or `class`. */
  name: string;
  /** Ratio of the values' energy, with little of the mean of their channel, to that of the difference, −200..200 dB. */
  sqnr: number;
  /** Cosine of the angle between the two, taken likewise, −1..1. */
  cosine: number;
}

/** Outputs of an int8 network beside those of the float one. */
export interface GuardFigures {
  /** Parts of the heads: box, objectness, class. */
  parts: Likeness[];
  /** Outputs that belong to no head. */
  outputs: Likeness[];
  /** Of a detector, where the float network finds enough: agreement of detections, 0..1, and the share of objects found again. */
  fidelity?: number;
  found?: number;
}

/** What was measured of the int8 network before it was written, on some pictures of calibration. */
export interface QuantizationGuard {
  [note: string]: unknown;
  images: number;
  /** Objects that the float network finds on them; missing for a model that is no detector. */
  objects?: number;
  /** Least figures with which a model counts as the float one's. */
  floor: { sqnr: number; cosine: number; fidelity: number };
  /** With no layer in float but those that were asked for. */
  before: GuardFigures;
  /** As written. */
  after: GuardFigures;
  /** Multiply-accumulates of the layers that stay float, as a part of those of all layers that can be int8. */
  floatWork: number;
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
  guard?: QuantizationGuard;
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
