/** Calibration: pictures in, scales (and what else makes int8 accurate) out. */
import { expectKind } from "../base/arguments.ts";
import { InputError, UsageError } from "../base/errors.ts";
import { createSession, type SessionOptions } from "../engine/session.ts";
import { type CalibrationTable, emptyTable, roundTable } from "../formats/table.ts";
import type { Graph } from "../ir/graph.ts";
import type { Shape } from "../ir/tensor.ts";
import { center } from "./center.ts";
import { channelWeights } from "./channel-weights.ts";
import { CorrectionStatistics, type Corrections, copyCorrections, solveCorrections } from "./corrections.ts";
import { type Effort, picturesOf } from "./effort.ts";
import { EqSamples, refineByCosine } from "./eq.ts";
import { equalize } from "./equalize.ts";
import { type Focus, FocusMap, noFocus } from "./focus.ts";
import { type QuantizableLayer, quantizableLayers } from "./layers.ts";
import { type BlobObservation, type Observations, observe } from "./observe.ts";
import { correctOutputs, type Importance } from "./outputs.ts";
import { addRanges, type Ranges } from "./ranges.ts";
import { type LayerReport, reportLayer } from "./report.ts";
import { quantizeGraph } from "./rewrite.ts";
import type { Blobs } from "./sensitivity.ts";
import {
  aciqThreshold,
  klThreshold,
  minmaxThreshold,
  mseThreshold,
  percentileThreshold,
} from "./thresholds.ts";
import { absmaxScales, aciqScales, finestScales } from "./weights.ts";

/** `kl`, `aciq` and `eq` as the official ncnn2table defines them; `auto` is what measured best. */
export const methods = ["auto", "kl", "aciq", "eq", "minmax", "percentile", "mse"] as const;
/** How scales are chosen; `docs/quantization.md` explains each. */
export type Method = (typeof methods)[number];

/**
 * The calibration pictures as input tensors by blob name, pre-processed as at inference. Called once for each pass over
 * them (one, for `eq` two, for `auto` four, two of them of a few pictures); must give the same pictures each time.
 */
export type CalibrationSource = () => AsyncIterable<Blobs>;

/** How far a phase of calibration has come. */
export interface CalibrateProgress {
  /**
   * In this order, as far as the method calls for it. `equalize`: ranges of channels, of a few pictures; `observe`: ranges and
   * histograms; `correct`: statistics for rounding, of some pictures; `outputs`: what is left at the outputs.
   */
  phase: "equalize" | "observe" | "correct" | "outputs";
  /** Pictures done in this phase. */
  images: number;
}

/** Options of calibration. */
export interface CalibrateOptions extends SessionOptions {
  /** Default `auto`. */
  method?: Method;
  /** For `auto`: how many pictures are looked at. Default `normal`. */
  effort?: Effort;
  /** For `percentile`: share of the values that is not clipped. Default 99.99. */
  percentile?: number;
  /** For `auto`: parts to leave out, to see what each gives. */
  without?: readonly ("equalize" | "center" | "round")[];
  /**
   * Observations of `graph` that were made already, say by several machines: the pass over the pictures is left out, except
   * with `auto`, which observes another graph.
   */
  observations?: Observations;
  /** For `auto`: what matters in the outputs, to keep its mean (see `detectionImportance`). */
  importance?: Importance;
  /** For `auto`: where there are objects in pictures, so that what is there counts (see `detectionFocus`). */
  focus?: Focus;
  /** Told after each picture. */
  onProgress?: (progress: CalibrateProgress) => void;
  signal?: AbortSignal;
}

/** Scales and corrections. */
export interface CalibrationResult {
  method: Method;
  /** Pictures observed. */
  images: number;
  /** The float graph that table and corrections belong to: with `auto` an equalized copy, which computes the same. */
  graph: Graph;
  table: CalibrationTable;
  /** Integer weights and biases that are better than rounding to nearest; empty except with `auto`. */
  corrections: Corrections;
  /** The same before the outputs were set right with all layers int8: where to begin anew when others stay float. */
  unshifted: Corrections;
  /** In graph order. */
  layers: LayerReport[];
}

/** Pictures that `eq` is refined on. */
const eqImages = 50;

/**
 * Finds the scales of all layers that can be int8.
 * Throws InputError without pictures, GraphError (naming the layer or blob) for a quantized graph and for weights or
 * activations that are not finite, UsageError for an unknown method.
 */
export async function calibrate(
  graph: Graph,
  source: CalibrationSource,
  options: CalibrateOptions = {},
): Promise<CalibrationResult> {
  const { method = "auto", percentile = 99.99, without = [], effort = "normal" } = options;
  if (!methods.includes(method)) {
    throw new UsageError(`method "${method}": expected one of ${methods.join(", ")}`);
  }
  picturesOf(effort); // refuses another word before any work
  if (!(percentile > 50 && percentile <= 100)) {
    throw new UsageError(`percentile ${percentile}: expected more than 50 and at most 100`);
  }
  const { graph: calibrated, observations, ranges } = await prepared(graph, source, options);
  const layers = quantizableLayers(calibrated);
  const thresholdOf = ranges
    ? focusedThresholds(layers, ranges)
    : (observation: BlobObservation) => plainThreshold(observation, method, percentile);
  let table = chooseScales(layers, observations, method, thresholdOf);
  let corrections: Corrections = new Map();
  let unshifted: Corrections = new Map();
  if (method === "auto" && !without.includes("round")) {
    const statistics = new CorrectionStatistics(layers, table);
    await forEachPicture(calibrated, source, options, "correct", picturesOf(effort).correct, (blobs, focus) =>
      statistics.add(blobs, focus),
    );
    corrections = solveCorrections(statistics, table, observations);
    unshifted = copyCorrections(corrections);
    await shiftOutputs(calibrated, source, { table, corrections }, options);
  }
  if (method === "eq") {
    const samples = new EqSamples(layers);
    await forEachPicture(calibrated, source, options, "correct", eqImages, (blobs) => samples.add(blobs));
    table = roundTable(refineByCosine(samples, table));
  }
  const images = Math.max(0, ...[...observations.values()].map((observation) => observation.images));
  const reports = layers.map((layer) => reportLayer(layer, observations.get(layer.input)!, table));
  return { method, images, graph: calibrated, table, corrections, unshifted, layers: reports };
}

/**
 * Takes what is left at the outputs of the int8 network that `table`, `corrections` and `keepFloat` make out of the biases in
 * `corrections`; does nothing without corrections or importance. To be called again when other layers stay float.
 */
export async function shiftOutputs(
  graph: Graph,
  source: CalibrationSource,
  int8Of: { table: CalibrationTable; corrections: Corrections; keepFloat?: readonly string[] },
  { backend, threads, importance, onProgress, signal, effort = "normal" }: CalibrateOptions,
): Promise<void> {
  const { table, corrections, keepFloat } = int8Of;
  if (!importance || corrections.size === 0) return;
  const int8 = quantizeGraph(graph, table, { corrections, keepFloat });
  let images = 0;
  await correctOutputs(
    { float: graph, int8 },
    first(source(), picturesOf(effort).correct),
    importance,
    corrections,
    { backend, threads },
    () => {
      signal?.throwIfAborted();
      onProgress?.({ phase: "outputs", images: ++images });
    },
  );
}

/**
 * The graph that is to be quantized, and what was seen of it. With `auto` it is another than the given one: it computes the same, and
 * suits one scale a blob better. The ranges for that need not be exact, so that few pictures are enough.
 */
async function prepared(
  graph: Graph,
  source: CalibrationSource,
  options: CalibrateOptions,
): Promise<{ graph: Graph; observations: Observations; ranges?: Ranges }> {
  const { method = "auto", without = [], effort = "normal" } = options;
  const parts = (["equalize", "center"] as const).filter((part) => !without.includes(part));
  if (method !== "auto" || parts.length === 0) {
    return { graph, observations: options.observations ?? (await observeSource(graph, source, options)) };
  }
  let ranges: Ranges = new Map();
  let images = 0;
  let shapes: Record<string, Shape> = {};
  const count = picturesOf(effort).equalize;
  await forEachPicture(graph, source, options, "equalize", count, (blobs, focus, inputs) => {
    addRanges(ranges, blobs, focus);
    if (images++ === 0)
      shapes = Object.fromEntries(Object.entries(inputs).map(([blob, value]) => [blob, value.shape]));
  });
  let out = graph;
  if (parts.includes("equalize")) ({ graph: out, ranges } = equalize(out, ranges, shapes));
  if (parts.includes("center")) out = center(out, ranges, shapes).graph;
  const observations: Observations = new Map();
  ranges = new Map();
  await forEachPicture(out, source, options, "observe", Number.POSITIVE_INFINITY, (blobs, focus) => {
    observe(observations, blobs);
    addRanges(ranges, blobs, focus);
  });
  return { graph: out, observations, ranges };
}

/**
 * Ranges and histograms of the inputs of all layers that can be int8. Observations of parts of the pictures merge to
 * those of all (`mergeObservations`). Throws as `calibrate`.
 */
export async function observeSource(
  graph: Graph,
  source: CalibrationSource,
  options: Pick<CalibrateOptions, "backend" | "threads" | "onProgress" | "signal"> = {},
  phase: CalibrateProgress["phase"] = "observe",
  limit = Number.POSITIVE_INFINITY,
): Promise<Observations> {
  expectKind("observeSource: graph", graph, "a graph");
  expectKind("observeSource: source", source, "a function");
  expectKind("observeSource: options", options, "an object of options");
  const observations: Observations = new Map();
  await forEachPicture(graph, source, options, phase, limit, (blobs) => observe(observations, blobs));
  return observations;
}

/** Runs the pictures (at most `limit`) and hands over the inputs of the layers that can be int8. */
async function forEachPicture(
  graph: Graph,
  source: CalibrationSource,
  { backend, threads, focus, onProgress, signal }: CalibrateOptions,
  phase: CalibrateProgress["phase"],
  limit: number,
  use: (blobs: Blobs, focus: FocusMap, inputs: Blobs) => void,
): Promise<void> {
  const inputsOfLayers = [...new Set(quantizableLayers(graph).map((layer) => layer.input))];
  const wanted = [...new Set([...inputsOfLayers, ...(focus?.blobs ?? [])])];
  const session = await createSession(graph, { ...(backend && { backend }), ...(threads && { threads }) });
  let images = 0;
  try {
    for await (const inputs of source()) {
      signal?.throwIfAborted();
      const values = await session.run(inputs, wanted);
      const read = Object.fromEntries(inputsOfLayers.map((blob) => [blob, values[blob]]));
      const [, height, width] = Object.values(inputs)[0].shape;
      use(read, focus ? new FocusMap(focus.regions(values, { width, height })) : noFocus, inputs);
      images++;
      onProgress?.({ phase, images });
      if (images >= limit) break;
    }
  } finally {
    session.close();
  }
  if (images === 0) throw new InputError("no calibration pictures: give at least one, better a hundred");
}

async function* first<T>(all: AsyncIterable<T>, count: number): AsyncGenerator<T> {
  for await (const each of all) {
    yield each;
    if (--count <= 0) return;
  }
}

/** Scales as a reader of the printed table will have them. Layers that read the same blob get the same scale. */
function chooseScales(
  layers: readonly QuantizableLayer[],
  observations: Observations,
  method: Method,
  thresholdOf: (observation: BlobObservation, blob: string) => number,
): CalibrationTable {
  const table = emptyTable();
  const scales = new Map<string, number>();
  for (const layer of layers) {
    const observation = observations.get(layer.input);
    if (!observation)
      throw new UsageError(`the observations are of another model: none of blob "${layer.input}"`);
    let scale = scales.get(layer.input);
    if (scale === undefined) {
      scale = Math.fround(127 / thresholdOf(observation, layer.input));
      // An all-zero blob: any finite scale gives 0, and survives JSON; the official methods keep their infinity.
      if (method === "auto" && !Number.isFinite(scale)) scale = 1;
      scales.set(layer.input, scale);
    }
    table.activations.set(layer.name, scale);
    table.weights.set(layer.name, weightScalesOf(layer, observation, method));
  }
  return roundTable(table);
}

/**
 * Thresholds by what counts of a blob: at which places its values are, and how large the weights are that each channel meets.
 * Where a range ends at a value that is there often (zeros, of a centred blob), it becomes an integer exactly.
 */
function focusedThresholds(
  layers: readonly QuantizableLayer[],
  ranges: Ranges,
): (observation: BlobObservation, blob: string) => number {
  const weights = channelWeights(layers, ranges);
  return (observation, blob) => {
    const seen = ranges.get(blob);
    if (!seen) return mseThreshold(observation);
    return onGrid(observation, seen.threshold(undefined, { weights: weights.get(blob) }));
  };
}

/** The nearest threshold at which an end of the range that is a frequent value needs no rounding. */
function onGrid(observation: BlobObservation, threshold: number): number {
  const { min, max, bins, binWidth, count } = observation;
  for (const end of [max, -min]) {
    const isFrequent = end > 0 && bins[Math.floor(end / binWidth)] > frequent * count;
    const q = Math.min(Math.round((127 * end) / threshold), 127);
    if (isFrequent && q > 32) return (127 * end) / q;
  }
  return threshold;
}

/** Share of all values. */
const frequent = 0.02;

function plainThreshold(observation: BlobObservation, method: Method, percentile: number): number {
  switch (method) {
    case "kl":
    case "eq":
      return klThreshold(observation);
    case "aciq":
      return aciqThreshold(observation.absmax, observation.elements);
    case "minmax":
      return minmaxThreshold(observation);
    case "percentile":
      return percentileThreshold(observation, percentile);
    case "mse":
    case "auto":
      return mseThreshold(observation);
  }
}

function weightScalesOf(layer: QuantizableLayer, observation: BlobObservation, method: Method): Float32Array {
  if (method === "auto") return finestScales(layer, observation.min >= 0);
  return method === "aciq" ? aciqScales(layer) : absmaxScales(layer);
}
