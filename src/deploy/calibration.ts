/** Pictures to scales, with the pre-processing that the model's manifest gives. */
import { expectKind } from "../base/arguments.ts";
import { InputError } from "../base/errors.ts";
import { toTensor } from "../detect/letterbox.ts";
import { printTable } from "../formats/table.ts";
import type { ModelInput } from "../heads/manifest.ts";
import type { Graph } from "../ir/graph.ts";
import { bothSides, type KnownFacts } from "../open/facts.ts";
import {
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
  const without = ["equalize", "center", "round"] as const;
  const plain = await calibrate(graph, source ?? noSource, { ...options, observations, without });
  const full = method === "auto" && source ? await calibrate(graph, source, options) : plain;
  return { ...full, plainTable: printTable(plain.table) };
}
