/** Calibration: pictures in, scales (and what else makes int8 accurate) out. */
import { expectKind } from "../base/arguments.ts";
import { InputError, UsageError } from "../base/errors.ts";
import type { SessionOptions } from "../engine/session.ts";
import { type CalibrationTable, roundTable } from "../formats/table.ts";
import type { Graph } from "../ir/graph.ts";
import type { Blobs } from "../ir/tensor.ts";
import {
  type Corrections,
  center,
  chooseScales,
  copyCorrections,
  type Effort,
  eqPictures,
  equalize,
  type Focus,
  type Importance,
  type LayerRange,
  type LayerReport,
  type Method,
  methods,
  type Observations,
  picturesOf,
  type QuantizableLayer,
  quantizableLayers,
  quantizeGraph,
  type Ranges,
  rangeOfLayer,
  refineByCosine,
  reportLayer,
  solveCorrections,
} from "../quantize/index.ts";
import { EqTally } from "../tally/eq.ts";
import { Histograms } from "../tally/histograms.ts";
import { Moments } from "../tally/moments.ts";
import { type EvaluationItem, iteratedPictures, type Pictures } from "../tally/pictures.ts";
import { RangesTally } from "../tally/ranges.ts";
import { type Runner, run, type Shard } from "../tally/run.ts";
import { Shift } from "../tally/shift.ts";
import { pictureSubject, tensorSubject } from "../tally/subjects.ts";
import type { Observer, Subject, SubjectInput } from "../tally/tally.ts";

/**
 * The calibration pictures as input tensors by blob name, pre-processed as at inference. Called once for each pass over
 * them (one, for `eq` two, for `auto` four, two of them of a few pictures); must give the same pictures each time.
 */
export interface CalibrationSource {
  (): AsyncIterable<Blobs>;
  /** What the tensors are made of, where runners that read pictures elsewhere can make them too. */
  readonly of?: { readonly pictures: Pictures<EvaluationItem>; readonly input: SubjectInput };
}

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
  /** What carries out the passes over the pictures; default: this thread. The result is the same. */
  runner?: Runner;
  /** Told after each picture, or every few. */
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

/** What reports are made of. */
interface Found extends Omit<CalibrationResult, "layers"> {
  readonly layers: readonly QuantizableLayer[];
  readonly observations: Observations;
}

/** The methods that need the ends of ranges alone. */
const rangeMethods: readonly Method[] = ["aciq", "minmax"];

/** The scales of `calibrate` without its report, for which `aciq` and `minmax` need not look at every value. Throws as `calibrate`. */
export async function calibrateScales(
  graph: Graph,
  source: CalibrationSource,
  options: CalibrateOptions & { method: Method },
): Promise<{ table: CalibrationTable; layers: LayerRange[] }> {
  const rangesOnly = rangeMethods.includes(options.method);
  const { table, layers, observations } = await find(graph, source, { ...options, rangesOnly });
  return {
    table,
    layers: layers.map((layer) => rangeOfLayer(layer, observations.get(layer.input)!, table)),
  };
}

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
  const { layers, observations, ...found } = await find(graph, source, options);
  const reports = layers.map((layer) => reportLayer(layer, observations.get(layer.input)!, found.table));
  return { ...found, layers: reports };
}

async function find(
  graph: Graph,
  source: CalibrationSource,
  options: CalibrateOptions & { rangesOnly?: boolean },
): Promise<Found> {
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
  let table = chooseScales(layers, { observations, ranges }, { method, percentile });
  let corrections: Corrections = new Map();
  let unshifted: Corrections = new Map();
  const { pictures, subjectOf } = passOf(source, options);
  if (method === "auto" && !without.includes("round")) {
    const moments = new Moments(subjectOf(calibrated), table.activations, options.focus);
    await pass([moments], pictures, options, "correct", picturesOf(effort).correct);
    corrections = solveCorrections(moments.statistics, table, observations);
    unshifted = copyCorrections(corrections);
    await shiftOutputs(calibrated, source, { table, corrections }, options);
  }
  if (method === "eq") {
    const samples = new EqTally(subjectOf(calibrated));
    await pass([samples], pictures, options, "correct", eqPictures);
    table = roundTable(refineByCosine(samples.samples, table));
  }
  const images = Math.max(0, ...[...observations.values()].map((observation) => observation.images));
  return { method, images, graph: calibrated, table, corrections, unshifted, layers, observations };
}

/**
 * Takes what is left at the outputs of the int8 network that `table`, `corrections` and `keepFloat` make out of the biases in
 * `corrections`; does nothing without corrections or importance. To be called again when other layers stay float.
 */
export async function shiftOutputs(
  graph: Graph,
  source: CalibrationSource,
  int8Of: { table: CalibrationTable; corrections: Corrections; keepFloat?: readonly string[] },
  options: CalibrateOptions,
): Promise<void> {
  const { table, corrections, keepFloat } = int8Of;
  const { importance, effort = "normal" } = options;
  if (!importance || corrections.size === 0) return;
  const int8 = quantizeGraph(graph, table, { corrections, keepFloat });
  const { pictures, subjectOf } = passOf(source, options);
  const shift = new Shift(subjectOf(graph), subjectOf(int8), importance);
  await pass([shift], pictures, options, "outputs", picturesOf(effort).correct);
  shift.apply(corrections);
}

/**
 * The graph that is to be quantized, and what was seen of it. With `auto` it is another than the given one: it computes the same, and
 * suits one scale a blob better. The ranges for that need not be exact, so that few pictures are enough.
 */
async function prepared(
  graph: Graph,
  source: CalibrationSource,
  options: CalibrateOptions & { rangesOnly?: boolean },
): Promise<{ graph: Graph; observations: Observations; ranges?: Ranges }> {
  const { method = "auto", without = [], effort = "normal", focus } = options;
  const parts = (["equalize", "center"] as const).filter((part) => !without.includes(part));
  if (method !== "auto" || parts.length === 0) {
    return { graph, observations: options.observations ?? (await observed(graph, source, options)) };
  }
  const { pictures, subjectOf } = passOf(source, options);
  const few = new RangesTally(subjectOf(graph), inputsOfLayers(graph), focus);
  await pass([few], pictures, options, "equalize", picturesOf(effort).equalize);
  let [out, { ranges }] = [graph, few];
  if (parts.includes("equalize")) ({ graph: out, ranges } = equalize(out, ranges, few.shapes));
  if (parts.includes("center")) out = center(out, ranges, few.shapes).graph;
  const subject = subjectOf(out);
  const [blobs, histograms] = [inputsOfLayers(out), new Histograms(subject, inputsOfLayers(out))];
  const all = new RangesTally(subject, blobs, focus);
  await pass([histograms, all], pictures, options, "observe");
  return { graph: out, observations: histograms.observations, ranges: all.ranges };
}

/**
 * Ranges and histograms of the inputs of all layers that can be int8. Observations of parts of the pictures (`shard`) merge to
 * those of all (`mergeObservations`). Throws as `calibrate`.
 */
export async function observeSource(
  graph: Graph,
  source: CalibrationSource,
  options: Pick<CalibrateOptions, "backend" | "threads" | "runner" | "onProgress" | "signal"> & {
    shard?: Shard;
  } = {},
): Promise<Observations> {
  expectKind("observeSource: graph", graph, "a graph");
  expectKind("observeSource: source", source, "a function");
  expectKind("observeSource: options", options, "an object of options");
  return observed(graph, source, options);
}

async function observed(
  graph: Graph,
  source: CalibrationSource,
  options: CalibrateOptions & { shard?: Shard; rangesOnly?: boolean },
): Promise<Observations> {
  const { pictures, subjectOf } = passOf(source, options);
  const histograms = new Histograms(subjectOf(graph), inputsOfLayers(graph), options);
  await pass([histograms], pictures, options, "observe");
  return histograms.observations;
}

const inputsOfLayers = (graph: Graph): string[] => [
  ...new Set(quantizableLayers(graph).map((layer) => layer.input)),
];

/** The pictures of a source, and how graphs are run on them. */
function passOf(
  source: CalibrationSource,
  { backend }: CalibrateOptions,
): { pictures: Pictures<unknown>; subjectOf: (graph: Graph) => Subject<unknown> } {
  const { of } = source;
  if (of) {
    const { pictures, input } = of;
    return { pictures, subjectOf: (graph) => pictureSubject(graph, input, { backend }) };
  }
  return { pictures: iteratedPictures(source), subjectOf: (graph) => tensorSubject(graph, { backend }) };
}

async function pass(
  tallies: readonly Observer[],
  pictures: Pictures<unknown>,
  { threads, runner, shard, onProgress, signal }: CalibrateOptions & { shard?: Shard },
  phase: CalibrateProgress["phase"],
  limit?: number,
): Promise<void> {
  const images = await run(tallies, pictures, {
    ...{ threads, runner, shard, limit, signal },
    title: phase,
    onProgress: (done) => onProgress?.({ phase, images: done }),
  });
  if (images === 0) throw new InputError("no calibration pictures: give at least one, better a hundred");
}
