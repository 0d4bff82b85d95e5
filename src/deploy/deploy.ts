/**
 * From a checkpoint to a checked INT8 model: convert, store as fp16, calibrate, quantize, and compare fp32, fp16 and int8 on
 * real pictures. Data in, files out as bytes: where they come from and go to is the caller's, so it runs in a page too.
 */
import { expectKind } from "../base/arguments.ts";
import { InputError, UsageError } from "../base/errors.ts";
import { median } from "../base/maths.ts";
import { counted } from "../base/text.ts";
import { version } from "../base/version.ts";
import { drawDetections } from "../detect/draw.ts";
import { inputTransform, toTensor } from "../detect/letterbox.ts";
import type { Picture } from "../detect/picture.ts";
import { distinctNames } from "../detect/save.ts";
import { createSession } from "../engine/session.ts";
import type { Graph } from "../ir/graph.ts";
import type { Manifest, QuantizationRecord } from "../ir/manifest.ts";
import type { Tensor } from "../ir/tensor.ts";
import { bothSides, type KnownFacts } from "../open/assume.ts";
import { randomInputs } from "../open/benchmark.ts";
import { type BlobComparison, compareModels } from "../open/compare.ts";
import { convert, modelFiles } from "../open/convert.ts";
import type { OpenedModel } from "../open/format.ts";
import { Model, requireHeads } from "../open/model.ts";
import {
  type CalibrateOptions,
  type CalibrateProgress,
  type CalibrationSource,
  type Method,
  quantizeGraph,
  shiftOutputs,
} from "../quantize/index.ts";
import type { ReportData, ReportExample, ReportImage, ReportLayer, ReportVariant } from "../report/data.ts";
import { renderReport } from "../report/report.ts";
import { type Budget, keepWithinBudget } from "./budget.ts";
import { calibrateModel, calibrationSource, type ModelCalibration } from "./calibration.ts";
import {
  type Evaluation,
  type EvaluationEntry,
  type EvaluationItem,
  evaluateModels,
  readEntries,
} from "./evaluate.ts";
import { detectionImportance } from "./importance.ts";
import { quantizeModel } from "./quantize.ts";

/** The phases of calibration, then the rest, in the order in which they come. */
export type DeployStage =
  | CalibrateProgress["phase"]
  | "sensitivity"
  | "accuracy"
  | "evaluate"
  | "compare"
  | "time"
  | "draw";

export interface DeployProgress {
  stage: DeployStage;
  done: number;
  /** Where it is known. */
  total?: number;
}

export interface DeployOptions {
  /** Name of the model and its files; default that of the source. */
  name?: string;
  /** Input size in pixels instead of the source's. */
  size?: KnownFacts["size"];
  /** How scales are chosen; default `auto`. */
  method?: Method;
  threads?: number;
  /** Layers that stay float in any case. */
  keepFloat?: readonly string[];
  /**
   * Limits within which sensitive layers may stay float. A limit of AP needs labelled pictures. Default: 5 % of the work, and
   * only where int8 as a whole is not faithful (fidelity below 0.9 on some of the calibration pictures); with `method` other
   * than `auto` none.
   */
  budget?: Budget;
  /** Encodes pictures for the report and the `pictures` folder; without it there are none. */
  encode?: (picture: Picture) => Promise<ReportImage>;
  /** What times are measured on, for the report: processor and runtime. */
  machine?: string;
  date?: Date;
  onProgress?: (progress: DeployProgress) => void;
  /** Told of pictures that cannot be read; they are left out. */
  onSkip?: (message: string) => void;
  /** Told of pictures that are damaged, and were read as far as they go. */
  onWarning?: (message: string) => void;
  signal?: AbortSignal;
}

export interface DeployPictures {
  /** Pictures to calibrate with. Without `evaluation`, a fifth of them is kept out and compared on. */
  calibration: readonly EvaluationEntry[];
  /** Pictures to measure accuracy on, with their objects where these are known. */
  evaluation?: readonly EvaluationEntry[];
}

export interface Deployment {
  name: string;
  /** By path below the output folder, `/` between. */
  files: Record<string, Uint8Array | string>;
  report: ReportData;
  record: QuantizationRecord;
}

/**
 * ```ts
 * const { files, report } = await deploy(await open("yolov5ss.pt"), { calibration, evaluation }, { encode });
 * files["int8/yolov5ss-int8.param"];
 * ```
 * Throws GraphError for a model that is int8 already or broken, UnsupportedError for one that is no detector, InputError
 * without pictures, and the reason of `signal`.
 */
export async function deploy(
  opened: OpenedModel,
  pictures: DeployPictures,
  options: DeployOptions = {},
): Promise<Deployment> {
  expectKind("deploy: opened", opened, "an opened model ({ graph, manifest })");
  expectKind("deploy: pictures", pictures, "an object");
  expectKind("deploy: pictures.calibration", pictures.calibration, "a list");
  expectKind("deploy: options", options, "an object of options");
  const job = new Job(opened, pictures, options);
  try {
    return await job.run();
  } finally {
    job.close();
  }
}

/** Below this fidelity to float on calibration pictures, int8 gives up `defaultBudget` for its most sensitive layers. */
const leastFidelity = 0.9;
const defaultBudget = { work: 0.05 };
const fidelityPictures = 24;
/** Most pictures that are kept out of calibration to compare on. */
const mostHeldOut = 64;
const comparedPictures = 4;
const timedRounds = 15;
const shownPictures = 4;

/** One deployment: what its steps share. */
class Job {
  private readonly options: DeployOptions;
  private readonly float: { graph: Graph; manifest: Manifest };
  private readonly half: { graph: Graph; manifest: Manifest };
  private readonly name: string;
  private readonly size: { width: number; height: number };
  private readonly calibration: readonly EvaluationEntry[];
  private readonly evaluation: readonly EvaluationEntry[];
  private readonly measuredOn: string;
  private readonly notes: string[];
  private readonly skipped = new Set<string>();
  private readonly damaged = new Set<string>();
  private readonly models: Model[] = [];

  constructor(opened: OpenedModel, pictures: DeployPictures, options: DeployOptions) {
    requireHeads(opened);
    const size = bothSides(options.size) ?? opened.manifest.input;
    const input = { ...opened.manifest.input, width: size.width, height: size.height };
    inputTransform(1, 1, input); // refuses a size that is no multiple of the stride
    const sized = { ...opened, manifest: { ...opened.manifest, input } };
    this.options = options;
    this.size = { width: size.width, height: size.height };
    this.float = convert(sized, { name: options.name });
    this.half = convert(sized, { name: options.name, fp16: true });
    this.name = this.float.manifest.name;
    if (pictures.calibration.length === 0) {
      throw new InputError("no calibration pictures: give at least one, better a hundred");
    }
    const split = splitPictures(pictures);
    this.calibration = split.calibration;
    this.evaluation = split.evaluation;
    this.measuredOn = split.measuredOn;
    this.notes = opened.assumptions.map((text) => `Assumed: ${text}.`);
  }

  close(): void {
    for (const model of this.models) model.close();
  }

  private skip = (message: string): void => {
    if (this.skipped.has(message)) return;
    this.skipped.add(message);
    this.options.onSkip?.(message);
  };

  private warn = (message: string): void => {
    if (this.damaged.has(message)) return;
    this.damaged.add(message);
    this.options.onWarning?.(message);
  };

  private items(entries: readonly EvaluationEntry[]): AsyncIterable<EvaluationItem> {
    return readEntries(entries, this.skip, this.warn);
  }

  private progress(stage: DeployStage, done: number, total?: number): void {
    this.options.onProgress?.({ stage, done, total });
  }

  private async start({ graph, manifest }: { graph: Graph; manifest: Manifest }): Promise<Model> {
    const session = await createSession(graph, { threads: this.options.threads });
    const model = new Model({ manifest, assumptions: [] }, session);
    this.models.push(model);
    return model;
  }

  async run(): Promise<Deployment> {
    const float = await this.start(this.float);
    const calibrated = await this.calibrate();
    const kept = await this.keepFloat(calibrated, float);
    if (kept.size > 0) {
      // The outputs were set right with all layers int8; with some in float, other shifts are left.
      const { graph, table, corrections } = calibrated;
      const int8Of = { table, corrections, keepFloat: [...kept.keys()] };
      await shiftOutputs(graph, this.source(), int8Of, this.calibrateOptions());
    }
    const int8 = this.quantize(calibrated, kept);
    const models = [float, await this.start(this.half), await this.start(int8)];
    const evaluation = await evaluateModels(models, this.items(this.evaluation), {
      size: this.size,
      signal: this.options.signal,
      onProgress: (done) => this.progress("evaluate", done, this.evaluation.length),
    });
    int8.manifest.quantization.accuracy = accuracyRecord(evaluation);
    const rows = await this.compare(calibrated, models[2]);
    const times = await this.time(models);
    const half = modelFiles(this.half.graph, this.half.manifest);
    const whole = modelFiles(int8.graph, int8.manifest);
    const sizes = [modelFiles(this.float.graph, this.float.manifest), half, whole].map(binaryBytes);
    const examples = await this.draw(models, evaluation);
    const report = this.report(calibrated, int8.manifest, evaluation, rows, times, sizes, examples);
    return {
      name: this.name,
      record: int8.manifest.quantization,
      report,
      files: {
        ...inFolder("fp16", half),
        ...inFolder("int8", whole),
        [`${this.name}.table`]: calibrated.plainTable,
        ...pictureFiles(examples),
        "report.html": renderReport(report),
      },
    };
  }

  private source(): CalibrationSource {
    return calibrationSource(this.calibration, this.float.manifest.input, this.skip, undefined, this.warn);
  }

  private calibrateOptions(): CalibrateOptions {
    const { method, threads, signal } = this.options;
    return {
      ...{ method, threads, signal },
      importance: detectionImportance(this.float.manifest),
      onProgress: ({ phase, images }) => this.progress(phase, images, this.calibration.length),
    };
  }

  private calibrate(): Promise<ModelCalibration> {
    return calibrateModel(this.float.graph, this.source(), this.calibrateOptions());
  }

  private async keepFloat(calibrated: ModelCalibration, float: Model): Promise<Map<string, string>> {
    const { keepFloat = [], threads } = this.options;
    const reasons = new Map(keepFloat.map((name) => [name, "asked for"]));
    const budget = await this.budget(calibrated, float, keepFloat);
    if (!budget) return reasons;
    const { graph, table, corrections } = calibrated;
    const labelled = this.evaluation !== this.calibration && (await hasTruth(this.evaluation));
    if (budget.ap !== undefined && !labelled) {
      throw new UsageError(
        "a budget of AP needs labelled pictures to measure it on: give them with their labels",
      );
    }
    const result = await keepWithinBudget({
      ...{ graph, table, corrections, keepFloat, budget, threads, size: this.size },
      manifest: this.float.manifest,
      inputs: await this.tensors(comparedPictures),
      items: labelled ? () => this.items(this.evaluation) : undefined,
      onProgress: (what, done, total) => this.progress(what, done, total),
    });
    for (const [name, reason] of result.reasons) reasons.set(name, reason);
    if (!result.met) {
      this.notes.push(
        `The budget of AP could not be kept: with all sensitive layers in float ${(100 * (result.apLoss ?? 0)).toFixed(1)} AP are lost.`,
      );
    }
    if (budget.ap !== undefined) {
      this.notes.push("Layers that stay float were chosen on the same pictures as accuracy is measured on.");
    }
    return reasons;
  }

  /** The budget that was given, or the default one where int8 needs it. */
  private async budget(
    { graph, table, corrections, method }: ModelCalibration,
    float: Model,
    keepFloat: readonly string[],
  ): Promise<Budget | undefined> {
    const { budget } = this.options;
    if (budget && Object.values(budget).some((limit) => limit !== undefined)) return budget;
    if (method !== "auto") return undefined;
    const { manifest } = this.float;
    const int8 = await this.start({
      graph: quantizeGraph(graph, table, { corrections, keepFloat }),
      manifest,
    });
    const step = Math.max(1, Math.floor(this.calibration.length / fidelityPictures));
    const some = this.calibration.filter((_, i) => i % step === 0).slice(0, fidelityPictures);
    const { models: measured } = await evaluateModels([float, int8], this.items(some), {
      size: this.size,
      signal: this.options.signal,
      onProgress: (done) => this.progress("accuracy", done, some.length),
    });
    const { fidelity = -1 } = measured[1].fidelity ?? {};
    if (fidelity < 0 || fidelity >= leastFidelity) return undefined;
    this.notes.push(
      `With all layers int8, fidelity is ${(100 * fidelity).toFixed(1)} on ${counted(some.length, "calibration picture")}. The most sensitive layers therefore stay float, as far as they are no more than ${100 * defaultBudget.work} % of the work.`,
    );
    return defaultBudget;
  }

  private quantize(
    { graph, table, corrections, method, images }: ModelCalibration,
    reasons: Map<string, string>,
  ): ReturnType<typeof quantizeModel> {
    const keepFloat = [...reasons.keys()];
    const model = { graph, manifest: this.float.manifest };
    return quantizeModel(model, table, {
      ...{ name: `${this.name}-int8`, corrections, method, images, keepFloat, reasons },
    });
  }

  /** The first readable calibration pictures as inputs. */
  private async tensors(count: number): Promise<Record<string, Tensor>[]> {
    const { input } = this.float.manifest;
    const out: Record<string, Tensor>[] = [];
    for await (const { picture } of this.items(this.calibration)) {
      out.push({ [input.blob]: toTensor(picture, input).tensor });
      if (out.length === count) break;
    }
    return out;
  }

  /** Layer by layer, against the float graph with the same equalization, whose blobs are the ones that int8 stands for. */
  private async compare(calibrated: ModelCalibration, int8: Model): Promise<BlobComparison[]> {
    const { manifest } = this.float;
    const session = await createSession(calibrated.graph, { threads: this.options.threads });
    try {
      const reference = new Model({ manifest, assumptions: [] }, session);
      const inputs = await this.tensors(comparedPictures);
      this.progress("compare", 0, inputs.length);
      return await compareModels(
        reference,
        int8,
        inputs.map((each) => each[manifest.input.blob]),
      );
    } finally {
      session.close();
    }
  }

  /** Median milliseconds of each model; rounds alternate, so that a busy machine is unfair to none. */
  private async time(models: readonly Model[]): Promise<number[]> {
    const inputs = models.map((model) => randomInputs(model, this.size));
    const times = models.map((): number[] => []);
    for (let round = -2; round < timedRounds; round++) {
      for (const [i, model] of models.entries()) {
        const start = performance.now();
        await model.run(inputs[i]);
        if (round >= 0) times[i].push(performance.now() - start);
      }
      this.options.signal?.throwIfAborted();
      this.progress("time", Math.max(round + 1, 0), timedRounds);
    }
    return times.map(median);
  }

  private async draw(models: readonly Model[], evaluation: Evaluation): Promise<ReportExample[]> {
    const { encode } = this.options;
    if (!encode) return [];
    const examples: ReportExample[] = [];
    const paths: string[] = [];
    for (const id of exampleIds(evaluation)) {
      const entry = await findEntry(this.evaluation, id);
      if (!entry) continue;
      const { picture } = entry.item;
      const [float, int8] = [await this.boxes(models[0], picture), await this.boxes(models[2], picture)];
      examples.push({
        name: entry.name,
        float: await encode(drawDetections(picture, float)),
        int8: await encode(drawDetections(picture, int8)),
        floatCount: float.length,
        int8Count: int8.length,
      });
      paths.push(typeof id === "string" ? id : entry.name);
      this.progress("draw", examples.length, shownPictures);
    }
    // Where the folder is on this machine is nobody's business.
    const short = examples.map(({ name }) => name.replace(/^.*[/\\]/, ""));
    const full = paths.map((each) => each.replace(/^(?:\.\.[/\\])+/, ""));
    const names = distinctNames(short, full);
    return examples.map((example, i) => ({ ...example, name: names[i] }));
  }

  private boxes(model: Model, picture: Picture): ReturnType<Model["detect"]> {
    return model.detect(picture, { size: this.size });
  }

  private report(
    calibrated: ModelCalibration,
    int8: Manifest & { quantization: QuantizationRecord },
    evaluation: Evaluation,
    rows: readonly BlobComparison[],
    times: readonly number[],
    sizes: readonly number[],
    examples: readonly ReportExample[],
  ): ReportData {
    const { machine = "this machine", threads = 1, date = new Date() } = this.options;
    const [skipped, damaged] = [this.skipped.size, this.damaged.size];
    const names = ["fp32", "fp16", "int8"];
    return {
      name: this.name,
      date: `${date.toISOString().slice(0, 16).replace("T", " ")} UTC`,
      tool: `ncnnkit ${version}`,
      size: this.size,
      measuredOn: this.measuredOn
        .replace("%s", counted(evaluation.images, "picture"))
        .replace("%", String(evaluation.images)),
      images: evaluation.images,
      objects: evaluation.objects,
      calibration: { method: calibrated.method, images: calibrated.images },
      machine: `${machine}, ${counted(threads, "thread")}`,
      variants: evaluation.models.map((model, i) => variantOf(names[i], model, times[i], sizes[i])),
      pairs: (evaluation.models[2].fidelity?.pairs ?? []).map(({ size, reference, candidate }) => ({
        ...{ size, reference, candidate },
      })),
      layers: layerRows(calibrated, int8.quantization, rows),
      examples,
      provenance: provenanceRows(int8, calibrated),
      notes: [
        ...this.notes,
        ...(skipped ? [`${counted(skipped, "picture")} could not be read.`] : []),
        ...(damaged ? [`${counted(damaged, "picture")} damaged, read as far as possible.`] : []),
      ],
    };
  }
}

/** Which pictures to calibrate with and which to measure on; `%` stands for the number of the latter, `%s` for it with the noun. */
function splitPictures({ calibration, evaluation }: DeployPictures): {
  calibration: readonly EvaluationEntry[];
  evaluation: readonly EvaluationEntry[];
  measuredOn: string;
} {
  if (evaluation) {
    if (evaluation.length === 0) throw new InputError("no pictures to evaluate on");
    return { calibration, evaluation, measuredOn: "Measured on %s that calibration did not see." };
  }
  if (calibration.length < 5) {
    const measuredOn = "Measured on the %s of calibration, too few to keep some out: expect less on others.";
    return { calibration, evaluation: calibration, measuredOn };
  }
  const every = Math.max(5, Math.ceil(calibration.length / mostHeldOut));
  const isHeldOut = (i: number): boolean => i % every === every - 1;
  return {
    calibration: calibration.filter((_, i) => !isHeldOut(i)),
    evaluation: calibration.filter((_, i) => isHeldOut(i)).map(withoutTruth),
    measuredOn: "Measured on % of the calibration pictures, which were kept out of calibration.",
  };
}

/** Held-out pictures are for fidelity only. */
function withoutTruth({ name, read }: EvaluationEntry): EvaluationEntry {
  return { name, read: async () => ({ ...(await read()), truth: undefined }) };
}

async function hasTruth(entries: readonly EvaluationEntry[]): Promise<boolean> {
  for await (const { truth } of readEntries(entries, () => {})) return truth !== undefined;
  return false;
}

async function findEntry(
  entries: readonly EvaluationEntry[],
  id: EvaluationItem["id"],
): Promise<{ name: string; item: EvaluationItem } | undefined> {
  const isLikely = (name: string): boolean => name.replaceAll("\\", "/").includes(String(id));
  // Names usually tell; reading all pictures to find one is the last resort.
  const likely = [...entries].sort((a, b) => Number(isLikely(b.name)) - Number(isLikely(a.name)));
  for (const { name, read } of likely) {
    const item = await read().catch(() => undefined);
    if (item?.id === id) return { name, item };
  }
  return undefined;
}

function inFolder(
  folder: string,
  files: Record<string, Uint8Array | string>,
): Record<string, Uint8Array | string> {
  return Object.fromEntries(Object.entries(files).map(([name, content]) => [`${folder}/${name}`, content]));
}

function binaryBytes(files: Record<string, Uint8Array | string>): number {
  return Object.entries(files)
    .filter(([name]) => /\.(param|bin)$/.test(name))
    .reduce((sum, [, content]) => sum + content.length, 0);
}

function pictureFiles(examples: readonly ReportExample[]): Record<string, Uint8Array> {
  const files: Record<string, Uint8Array> = {};
  examples.forEach(({ name, float, int8 }, i) => {
    const stem = name
      .replace(/^.*[/\\]/, "")
      .replace(/\.[^.]*$/, "")
      .replaceAll(/[^\w.-]+/g, "_");
    for (const [kind, { type, bytes }] of Object.entries({ fp32: float, int8 })) {
      files[`pictures/${i + 1}-${stem}-${kind}.${type.slice(6).replace("jpeg", "jpg")}`] = bytes;
    }
  });
  return files;
}

function accuracyRecord({ images, models }: Evaluation): QuantizationRecord["accuracy"] {
  const [float, , int8] = models;
  const fidelity = int8.fidelity;
  return {
    images,
    ...(float.coco && int8.coco && { ap: int8.coco.AP, apFloat: float.coco.AP }),
    ...(fidelity && {
      fidelity: fidelity.fidelity,
      scoreChange: {
        small: fidelity.small.change,
        medium: fidelity.medium.change,
        large: fidelity.large.change,
      },
    }),
  };
}

function variantOf(
  name: string,
  { coco, apChange, fidelity }: Evaluation["models"][number],
  milliseconds: number,
  bytes: number,
): ReportVariant {
  return {
    ...{ name, milliseconds, bytes },
    coco: coco && {
      ...{ AP: coco.AP, AP50: coco.AP50, AP75: coco.AP75, AR100: coco.AR100 },
      ...{ APs: coco.APs, APm: coco.APm, APl: coco.APl },
    },
    ...(apChange && { apChange: { low: apChange.low, high: apChange.high } }),
    fidelity: fidelity?.fidelity,
    scoreChange: fidelity && {
      ...{ all: fidelity.all, small: fidelity.small, medium: fidelity.medium, large: fidelity.large },
    },
  };
}

function layerRows(
  { layers, graph }: ModelCalibration,
  record: QuantizationRecord,
  rows: readonly BlobComparison[],
): ReportLayer[] {
  const byNode = new Map(rows.map((row) => [row.node, row]));
  const kept = new Map(record.keptFloat.map(({ name, reason }) => [name, reason]));
  const order = new Map(graph.nodes.map((node, i) => [node.name, i]));
  return layers
    .toSorted((a, b) => (order.get(a.name) ?? 0) - (order.get(b.name) ?? 0))
    .map(({ name, type, min, max, threshold, clipped, histogram }) => ({
      ...{ name, type, clipped, histogram },
      threshold: Number.isFinite(threshold) ? threshold : 0,
      keptFloat: kept.get(name),
      sqnr: byNode.get(name)?.sqnr,
      cosine: byNode.get(name)?.cosine,
      absmax: Math.max(Math.abs(min), Math.abs(max)),
    }));
}

/**
 * The pictures to show: those on which int8 differs most, then some on which the difference is usual. Difference: scores of
 * confident boxes that only one model has, and of those that both have the change.
 */
function exampleIds({ models }: Evaluation): EvaluationItem["id"][] {
  const [float, , int8] = models;
  const differences = new Map<EvaluationItem["id"], number>();
  const add = (id: EvaluationItem["id"], amount: number): void => {
    differences.set(id, (differences.get(id) ?? 0) + amount);
  };
  for (const { image, reference, candidate } of int8.fidelity?.pairs ?? [])
    add(image, Math.abs(candidate - reference));
  // A confident box without a partner counts as the change of its score to nothing.
  const surplus = new Map<EvaluationItem["id"], number>();
  for (const [rows, sign] of [
    [float.detections, 1],
    [int8.detections, -1],
  ] as const) {
    for (const row of rows) {
      if (row.score >= 0.25) surplus.set(row.image, (surplus.get(row.image) ?? 0) + sign * row.score);
    }
  }
  for (const [id, amount] of surplus) add(id, Math.abs(amount));
  const sorted = [...differences].sort((a, b) => b[1] - a[1]).map(([id]) => id);
  const usual = sorted.length >> 1;
  return [
    ...new Set([...sorted.slice(0, shownPictures / 2), ...sorted.slice(usual, usual + shownPictures / 2)]),
  ];
}

function provenanceRows(
  { provenance, input, param, bin, quantization }: Manifest & { quantization: QuantizationRecord },
  { method, images }: ModelCalibration,
): [string, string][] {
  const list = (values: readonly number[]): string =>
    new Set(values).size === 1
      ? String(Number(values[0].toPrecision(6)))
      : values.map((v) => Number(v.toPrecision(6))).join(", ");
  const resize = input.resize === "letterbox" ? `letterbox with grey ${input.letterboxColor}` : "stretched";
  const int8 = Object.keys(quantization.layers).length;
  return [
    ["source", provenance.source ?? "not recorded"],
    ["SHA-256 of the source", provenance.sha256 ?? "not recorded"],
    [
      "input",
      `${input.width}×${input.height}, ${input.pixel}, (level − ${list(input.mean)}) · ${list(input.norm)}, ${resize}`,
    ],
    ["calibration", `${method}, ${counted(images, "picture")}`],
    ["quantized", `${int8} layers, ${quantization.keptFloat.length} kept float`],
    ["rewrites", provenance.passes.join(", ") || "none"],
    ["files", `int8/${param}, int8/${bin}`],
    ["made by", `ncnnkit ${version}`],
  ];
}
