/** Pictures to scales, with the pre-processing that the model's manifest gives. */
import { expectKind } from "../base/arguments.ts";
import { InputError } from "../base/errors.ts";
import { toTensor } from "../detect/letterbox.ts";
import { printParam, writeWeights } from "../formats/ncnn/index.ts";
import { parseTable, printedScales, printTable } from "../formats/table.ts";
import type { Manifest, ModelInput } from "../heads/manifest.ts";
import type { Graph } from "../ir/graph.ts";
import { bothSides, type KnownFacts } from "../open/assume.ts";
import { sha256 } from "../open/format.ts";
import {
  applyCorrections,
  type CalibrateOptions,
  type CalibrationResult,
  type CalibrationSource,
  calibrate,
  type Observations,
  observeSource,
} from "../quantize/index.ts";
import type { EvaluationEntry } from "./evaluate.ts";

/**
 * The pictures as input tensors, each time anew; those that cannot be read are told to `skip`, once, and damaged ones to `warn`,
 * once.
 */
export function calibrationSource(
  entries: readonly EvaluationEntry[],
  input: ModelInput,
  skip: (message: string) => void,
  size?: KnownFacts["size"],
  warn: (message: string) => void = () => {},
): CalibrationSource {
  expectKind("calibrationSource: entries", entries, "a list");
  expectKind("calibrationSource: input", input, "an object");
  const broken = new Set<EvaluationEntry>();
  const warned = new Set<EvaluationEntry>();
  return async function* tensors() {
    for (const entry of entries) {
      if (broken.has(entry)) continue;
      try {
        const { picture } = await entry.read();
        if (picture.warning !== undefined && !warned.has(entry)) warn(picture.warning);
        warned.add(entry);
        yield { [input.blob]: toTensor(picture, input, bothSides(size)).tensor };
      } catch (error) {
        if (!(error instanceof InputError)) throw error;
        broken.add(entry);
        skip(error.message);
      }
    }
  };
}

/** What calibration of a model gives: all that `quantizeModel` needs, and the table as the official tools read it. */
export interface ModelCalibration extends CalibrationResult {
  /**
   * The standard table for the float model as it is: for ncnn2int8, and for `quantize`. With `auto` it holds the scales
   * that are right without equalization and corrections.
   */
  plainTable: string;
}

/** Calibrates a float graph; `observations` of all pictures may be there already, and then `source` may be missing. */
export async function calibrateModel(
  graph: Graph,
  source: CalibrationSource | undefined,
  options: CalibrateOptions = {},
): Promise<ModelCalibration> {
  expectKind("calibrateModel: graph", graph, "a graph");
  expectKind("calibrateModel: options", options, "an object of options");
  const { method = "auto" } = options;
  const noSource: CalibrationSource = async function* none() {};
  const observations: Observations =
    options.observations ?? (await observeSource(graph, source ?? noSource, options));
  const without = ["equalize", "round"] as const;
  const plain = await calibrate(graph, source ?? noSource, { ...options, observations, without });
  const full =
    method === "auto" && source ? await calibrate(graph, source, { ...options, observations }) : plain;
  return { ...full, plainTable: printTable(plain.table) };
}

/** Whether `calibrateModel` changed the weights, so that the table alone does not tell the whole. */
export function isCorrected(result: CalibrationResult, original: Graph): boolean {
  expectKind("isCorrected: result", result, "an object");
  expectKind("isCorrected: result.corrections", result.corrections, "a map");
  const { graph, corrections } = result;
  return graph !== original || corrections.size > 0;
}

/** What `calibrated` records of the model and the table that it belongs to, in its manifest's provenance. */
export interface CalibratedNote {
  /** SHA-256 of the float model's files. */
  model: string;
  method: string;
  images: number;
  /** Activation scales of the plain table by layer, as printed. */
  scales: Record<string, string>;
}

/**
 * The equalized and corrected float model with its own table: any quantizer that rounds to nearest makes the best int8
 * model of it. `quantize` finds it beside the plain table.
 */
export async function calibratedModel(
  result: ModelCalibration,
  original: { graph: Graph; manifest: Manifest },
  name: string,
): Promise<{ graph: Graph; manifest: Manifest; table: string }> {
  expectKind("calibratedModel: result", result, "an object");
  expectKind("calibratedModel: result.graph", result.graph, "a graph");
  expectKind("calibratedModel: original", original, "an opened model ({ graph, manifest })");
  expectKind("calibratedModel: name", name, "a string");
  const graph = applyCorrections(result.graph, result.table, result.corrections);
  const note: CalibratedNote = {
    model: await graphDigest(original.graph),
    method: result.method,
    images: result.images,
    scales: printedScales(parseTable(result.plainTable)),
  };
  const { provenance } = original.manifest;
  const manifest: Manifest = {
    ...original.manifest,
    name,
    param: `${name}.param`,
    bin: `${name}.bin`,
    provenance: { ...provenance, passes: [...provenance.passes, "calibrate"], calibration: note },
  };
  return { graph, manifest, table: printTable(result.table) };
}

/** SHA-256 of the `.param` and `.bin` that the graph would be written to. */
export async function graphDigest(graph: Graph): Promise<string> {
  expectKind("graphDigest: graph", graph, "a graph");
  const param = new TextEncoder().encode(printParam(graph));
  const bin = writeWeights(graph);
  const all = new Uint8Array(param.length + bin.length);
  all.set(param);
  all.set(bin, param.length);
  return (await sha256(all)) ?? "";
}
