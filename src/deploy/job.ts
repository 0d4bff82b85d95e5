/** One deployment: what its stages share, and what each leaves for those after it. */
import { InputError } from "../base/errors.ts";
import { counted } from "../base/text.ts";
import { inputTransform } from "../detect/letterbox.ts";
import type { Letterer } from "../detect/lettering.ts";
import type { Picture } from "../detect/picture.ts";
import { createSession } from "../engine/session.ts";
import type { Manifest, QuantizationGuard, QuantizationRecord } from "../heads/manifest.ts";
import type { Graph } from "../ir/graph.ts";
import type { Tensor } from "../ir/tensor.ts";
import { convert } from "../open/convert.ts";
import { bothSides, type KnownFacts } from "../open/facts.ts";
import type { OpenedModel } from "../open/format.ts";
import { Model, requireHeads } from "../open/model.ts";
import type { Effort, Method } from "../quantize/index.ts";
import type { ReportExample, ReportImage } from "../report/data.ts";
import { detectionFocus, detectionImportance } from "../tally/importance.ts";
import { type EvaluationEntry, type EvaluationItem, readEntries } from "../tally/pictures.ts";
import type { Runner } from "../tally/run.ts";
import type { Budget } from "./budget.ts";
import type { CalibrateOptions, CalibrationSource } from "./calibrate.ts";
import { calibrationSource, type ModelCalibration } from "./calibration.ts";
import type { BlobComparison } from "./compare.ts";
import { type Evaluation, firstInputs } from "./evaluate.ts";
import type { DeployProgress, DeployStage } from "./progress.ts";

/** Options of `deploy`. */
export interface DeployOptions {
  /** Name of the model and its files; default that of the source. */
  name?: string;
  /** Input size in pixels instead of the source's. */
  size?: KnownFacts["size"];
  /** How scales are chosen; default `auto`. */
  method?: Method;
  /** How many pictures are looked at to make int8 better; default `normal`. */
  effort?: Effort;
  threads?: number;
  /** What carries out the passes over the pictures; default: this thread. The result is the same. */
  runner?: Runner;
  /** Spread of each key point, for poses; default COCO's for 17 points, else 1 / their number. */
  sigmas?: readonly number[];
  /** Layers that stay float in any case. */
  keepFloat?: readonly string[];
  /**
   * Limits within which sensitive layers stay float. A limit of AP needs labelled pictures. Default: 10 % of the work, as far as int8
   * would otherwise not be near the float network on some of the calibration pictures.
   */
  budget?: Budget;
  /** Makes the files although int8 does not do what the float network does; default: that is an error. */
  force?: boolean;
  /** Encodes pictures for the report and the `pictures` folder; without it there are none. */
  encode?: (picture: Picture) => Promise<ReportImage>;
  /** Letters of the boxes in those pictures; default: the kit's bitmap font. */
  letterer?: Letterer;
  /** What times are measured on, for the report: processor and runtime. */
  machine?: string;
  date?: Date;
  /** Told while a stage goes on. */
  onProgress?: (progress: DeployProgress) => void;
  /** Told of pictures that cannot be read; they are left out. */
  onSkip?: (message: string) => void;
  /** Told of pictures that are damaged, and were read as far as they go. */
  onWarning?: (message: string) => void;
  signal?: AbortSignal;
}

/** The pictures of a deployment. */
export interface DeployPictures {
  /** Pictures to calibrate with. Without `evaluation`, a fifth of them is kept out and compared on. */
  calibration: readonly EvaluationEntry[];
  /** Pictures to measure accuracy on, with their objects where these are known. */
  evaluation?: readonly EvaluationEntry[];
}

/** A graph with the manifest that describes it. */
interface Described<M extends Manifest = Manifest> {
  readonly graph: Graph;
  readonly manifest: M;
}

/** The models of a deployment, in the order of the report's columns. */
export interface Trio {
  readonly float: Model;
  readonly half: Model;
  readonly int8: Model;
}

/** Most pictures that are kept out of calibration to compare on. */
const mostHeldOut = 64;

export class Job {
  readonly options: DeployOptions;
  readonly float: Described;
  readonly half: Described;
  readonly name: string;
  readonly size: { readonly width: number; readonly height: number };
  readonly calibration: readonly EvaluationEntry[];
  readonly evaluation: readonly EvaluationEntry[];
  /** Which pictures figures are measured on, in a sentence; told how many there were. */
  readonly measuredOn: (images: number) => string;
  /** What the file did not say, a sentence each. */
  readonly assumptions: readonly string[];
  readonly notes: string[] = [];
  readonly skipped = new Set<string>();
  readonly damaged = new Set<string>();
  private readonly started = new Map<Described, Model>();

  // ---- what stages leave, in their order

  /** calibrate */
  calibrated!: ModelCalibration;
  /** keep-float: layers that stay float, and why. */
  kept!: Map<string, string>;
  /** keep-float: what was measured of int8 before and after. */
  guard!: QuantizationGuard;
  /** quantize */
  int8!: Described<Manifest & { quantization: QuantizationRecord }>;
  /** quantize */
  models!: Trio;
  /** evaluate: of the models in their order. */
  measured!: Evaluation;
  /** compare: layer by layer. */
  layers!: BlobComparison[];
  /** time: median milliseconds of each model. */
  times!: number[];
  /** draw */
  examples!: ReportExample[];

  /** Converts the model. Throws as `deploy`. */
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
    this.assumptions = opened.assumptions;
  }

  close(): void {
    for (const model of this.started.values()) model.close();
  }

  progress(stage: DeployStage, done: number, total?: number): void {
    this.options.onProgress?.({ stage, done, total });
  }

  /** Pictures one by one; those that cannot be read, or not wholly, are told of once. */
  items(entries: readonly EvaluationEntry[]): AsyncIterable<EvaluationItem> {
    return readEntries(entries, this.skip, this.warn);
  }

  /** Reads the first evaluation picture with its labels, so that those of another model are an error before all the work, not after. */
  async checkEvaluation(): Promise<void> {
    for await (const _ of this.items(this.evaluation)) return;
  }

  /** A model ready to run, the same for the same description, until the job is closed. */
  async start(described: Described): Promise<Model> {
    const known = this.started.get(described);
    if (known) return known;
    const { graph, manifest } = described;
    const session = await createSession(graph, { threads: this.options.threads });
    const model = new Model({ manifest, assumptions: [] }, session);
    this.started.set(described, model);
    return model;
  }

  calibrationSource(): CalibrationSource {
    return calibrationSource(this.calibration, this.float.manifest.input, this.skip, undefined, this.warn);
  }

  calibrateOptions(): CalibrateOptions {
    const { method, effort, threads, runner, signal } = this.options;
    return {
      ...{ method, effort, threads, runner, signal },
      importance: detectionImportance(this.float.manifest),
      focus: detectionFocus(this.float.manifest),
      onProgress: ({ phase, images }) => this.progress(phase, images, this.calibration.length),
    };
  }

  /** The first readable calibration pictures as inputs. */
  tensors(count: number): Promise<Record<string, Tensor>[]> {
    return firstInputs(this.items(this.calibration), this.float.manifest.input, count);
  }

  private skip = (message: string): void => once(this.skipped, message, this.options.onSkip);
  private warn = (message: string): void => once(this.damaged, message, this.options.onWarning);
}

function once(said: Set<string>, message: string, say: ((message: string) => void) | undefined): void {
  if (said.has(message)) return;
  said.add(message);
  say?.(message);
}

/** Which pictures to calibrate with and which to measure on. */
function splitPictures({ calibration, evaluation }: DeployPictures): {
  calibration: readonly EvaluationEntry[];
  evaluation: readonly EvaluationEntry[];
  measuredOn: (images: number) => string;
} {
  if (evaluation) {
    if (evaluation.length === 0) throw new InputError("no pictures to evaluate on");
    return {
      calibration,
      evaluation,
      measuredOn: (images) => `Measured on ${counted(images, "picture")} that calibration did not see.`,
    };
  }
  if (calibration.length < 5) {
    return {
      calibration,
      evaluation: calibration,
      measuredOn: (images) =>
        `Measured on the ${counted(images, "picture")} of calibration, too few to keep some out: expect less on others.`,
    };
  }
  const every = Math.max(5, Math.ceil(calibration.length / mostHeldOut));
  const isHeldOut = (i: number): boolean => i % every === every - 1;
  return {
    calibration: calibration.filter((_, i) => !isHeldOut(i)),
    evaluation: calibration.filter((_, i) => isHeldOut(i)).map(withoutTruth),
    measuredOn: (images) =>
      `Measured on ${images} of the calibration pictures, which were kept out of calibration.`,
  };
}

/** Held-out pictures are for fidelity only. */
function withoutTruth({ name, read }: EvaluationEntry): EvaluationEntry {
  return { name, read: async () => ({ ...(await read()), truth: undefined }) };
}
