/** Pictures to scales, with the pre-processing that the model's manifest gives. */
import { expectKind } from "../base/arguments.ts";
import { printTable } from "../formats/table.ts";
import type { ModelInput } from "../heads/manifest.ts";
import type { Graph } from "../ir/graph.ts";
import { bothSides, type KnownFacts } from "../open/facts.ts";
import type { Observations } from "../quantize/index.ts";
import { type EvaluationEntry, listedPictures } from "../tally/pictures.ts";
import { prepare } from "../tally/subjects.ts";
import type { SubjectInput } from "../tally/tally.ts";
import {
  type CalibrateOptions,
  type CalibrationResult,
  type CalibrationSource,
  calibrate,
  observeSource,
} from "./calibrate.ts";

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
  const pictures = listedPictures(entries, skip, warn);
  const how: SubjectInput = { of: input, options: bothSides(size) ?? {} };
  async function* tensors() {
    for await (const { picture } of pictures.numbered()) yield prepare(picture, how).inputs;
  }
  return Object.assign(tensors, { of: { pictures, input: how } });
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
  const without = ["equalize", "center", "round"] as const;
  const plain = await calibrate(graph, source ?? noSource, { ...options, observations, without });
  const full = method === "auto" && source ? await calibrate(graph, source, options) : plain;
  return { ...full, plainTable: printTable(plain.table) };
}
