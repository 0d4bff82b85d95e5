/**
 * Accuracy and speed of detectors on labelled pictures, and how far each is from the first: average precision, fidelity,
 * score change, milliseconds. Pictures come one after another, so memory does not grow with them (detections do stay).
 */
import { expectKind } from "../base/arguments.ts";
import { GraphError, InputError, UsageError } from "../base/errors.ts";
import { postprocess } from "../detect/detect.ts";
import { type Detection, isObject, scaledDetection } from "../detect/detection.ts";
import { toTensor } from "../detect/letterbox.ts";
import type { Picture } from "../detect/picture.ts";
import { cornersOf } from "../detect/rotated.ts";
import type { Accuracy } from "../evaluate/accuracy.ts";
import type { Change } from "../evaluate/bootstrap.ts";
import type { Fidelity } from "../evaluate/fidelity.ts";
import type { DetectionRow, GroundTruth, ImageId } from "../evaluate/rows.ts";
import { blobsOf, taskOf } from "../heads/index.ts";
import type { ModelInput, Task } from "../heads/manifest.ts";
import type { Tensor } from "../ir/tensor.ts";
import { bothSides, type KnownFacts } from "../open/facts.ts";
import type { Model } from "../open/model.ts";
import { type AccuracyTally, type AgreementTally, type Measuring, measuring } from "./measure.ts";

/** One picture of an evaluation. */
export interface EvaluationItem {
  /** Different for every picture of an evaluation; files on disk have their path, relative to the dataset. */
  readonly id: ImageId;
  readonly picture: Picture;
  /** Size in which the truth's boxes are given, where the picture was shrunk on reading; default: the picture's. */
  readonly width?: number;
  readonly height?: number;
  /** Objects of this picture (`image` is its `id`), with the model's class numbers; without them there is fidelity only. */
  readonly truth?: readonly GroundTruth[];
}

/** A picture that is read when it is needed, and may be read again. */
export interface EvaluationEntry {
  /** File name or path, for messages and captions. */
  readonly name: string;
  /** Throws InputError when it cannot be read. */
  read(): Promise<EvaluationItem>;
}

/** The pictures in order; those that cannot be read are told to `skip` and left out, damaged ones are told to `warn`. */
export async function* readEntries(
  entries: readonly EvaluationEntry[],
  skip: (message: string) => void,
  warn: (message: string) => void = () => {},
): AsyncGenerator<EvaluationItem> {
  expectKind("readEntries: entries", entries, "a list");
  for (const entry of entries) {
    let item: EvaluationItem;
    try {
      item = await entry.read();
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      skip(error.message);
      continue;
    }
    if (item.picture.warning !== undefined) warn(item.picture.warning);
    yield item;
  }
}

/** Options of `evaluateModels`. */
export interface EvaluateOptions {
  /** Input size in pixels; default: that of the first model's manifest, for all models. */
  size?: KnownFacts["size"];
  /** Spread of each key point, in parts of the object's size; default COCO's for 17 points, else 1 / their number. */
  sigmas?: readonly number[];
  /** Told after every picture. */
  onProgress?: (done: number) => void;
  signal?: AbortSignal;
}

/** Mean milliseconds a picture; decoding of the file is not part of it. */
export interface Milliseconds {
  preprocess: number;
  inference: number;
  postprocess: number;
}

/** One model of an evaluation; figures against the ground truth are missing when no picture came with its objects. */
export interface ModelEvaluation extends Accuracy {
  /** Name in the manifest. */
  model: string;
  milliseconds: Milliseconds;
  /** Everything that it found, above score 0.001; without masks, which are large. */
  detections: DetectionRow[];
  /** AP (or top-1) minus the first model's, with the interval that chance explains; missing for the first and without labels. */
  apChange?: Change;
  /** Against the first model's detections; missing for the first. */
  fidelity?: Fidelity;
}

/** What `evaluateModels` measured. */
export interface Evaluation {
  task: Task;
  images: number;
  /** Labelled objects (or pictures with a class), crowd regions left out; missing without labels. */
  objects?: number;
  width: number;
  height: number;
  labels: readonly string[];
  /** In the order given. */
  models: ModelEvaluation[];
}

/**
 * Runs every picture through every model with the settings of YOLOv5's validation (score ≥ 0.001, IoU 0.6, several classes
 * a box, at most 300 boxes).
 *
 * ```ts
 * const { models } = await evaluateModels([float, int8], pictures);
 * models[1].fidelity?.fidelity; // 0.93
 * ```
 * Throws UsageError for models with different classes and for two pictures of one id, InputError when there is no picture, UnsupportedError for a model
 * that is no detector.
 */
export async function evaluateModels(
  models: readonly Model[],
  items: AsyncIterable<EvaluationItem> | Iterable<EvaluationItem>,
  options: EvaluateOptions = {},
): Promise<Evaluation> {
  expectKind("evaluateModels: models", models, "a list");
  for (const model of models) expectKind("evaluateModels: models[i]", model, "a loaded model");
  expectKind("evaluateModels: items", items, "pictures (something to iterate over)");
  expectKind("evaluateModels: options", options, "an object of options");
  const [first] = models;
  if (!first) throw new UsageError("no model to evaluate");
  for (const model of models) checkClasses(first, model);
  const { width, height } = bothSides(options.size) ?? first.manifest.input;
  const runs = models.map((model) => new Run(model, measuring(first.manifest, options.sigmas)));
  const ids = new Set<string>();
  let objects: number | undefined;
  let images = 0;
  for await (const item of items) {
    options.signal?.throwIfAborted();
    checkIds(item, ids);
    if (images === 0) for (const run of runs) await run.warmUp(item, width, height);
    let reference: readonly DetectionRow[] | undefined;
    for (const run of runs) {
      const rows = await run.add(item, width, height, reference);
      reference ??= rows;
    }
    if (item.truth) objects = (objects ?? 0) + item.truth.filter(({ crowd }) => !crowd).length;
    images++;
    options.onProgress?.(images);
  }
  if (images === 0) throw new InputError("no picture to evaluate on");
  const labelled = objects !== undefined;
  return {
    ...{ task: taskOf(first.manifest.heads), images, objects, width, height },
    labels: first.manifest.labels,
    models: runs.map((run, i) => run.result(images, labelled, i > 0 ? runs[0] : undefined)),
  };
}

/** The first `count` pictures as inputs, of another size than the input's where one is given. */
export async function firstInputs(
  items: AsyncIterable<EvaluationItem>,
  input: ModelInput,
  count: number,
  size?: KnownFacts["size"],
): Promise<Record<string, Tensor>[]> {
  const inputs: Record<string, Tensor>[] = [];
  for await (const item of items) {
    expectKind("items[i]", item, "an object");
    inputs.push({ [input.blob]: toTensor(item.picture, input, bothSides(size)).tensor });
    if (inputs.length === count) break;
  }
  return inputs;
}

/** Two pictures under one id would be measured as one. */
function checkIds({ id, truth = [] }: EvaluationItem, ids: Set<string>): void {
  const shown = JSON.stringify(id);
  if (ids.has(String(id))) throw new UsageError(`two pictures have the id ${shown}; expected one for each`);
  ids.add(String(id));
  const stray = truth.find(({ image }) => image !== id);
  if (stray)
    throw new UsageError(`an object of picture ${shown} says that it is of ${JSON.stringify(stray.image)}`);
}

function checkClasses(first: Model, other: Model): void {
  other.requireHeads();
  const [task, theirs] = [first, other].map(({ manifest }) => taskOf(manifest.heads));
  if (task !== theirs) {
    throw new UsageError(
      `${first.manifest.name} and ${other.manifest.name} are of different tasks (${task} and ${theirs}), so they cannot be compared`,
    );
  }
  const [a, b] = [first.manifest.labels, other.manifest.labels];
  const at = a.length === b.length ? a.findIndex((label, i) => label !== b[i]) : -1;
  if (a.length === b.length && at < 0) return;
  const difference =
    a.length !== b.length
      ? `${a.length} and ${b.length} of them`
      : `class ${at} is "${a[at]}" and "${b[at]}"`;
  throw new UsageError(
    `${first.manifest.name} and ${other.manifest.name} have different classes (${difference}), so they cannot be compared`,
  );
}

/** One model's way through the pictures. */
class Run {
  readonly model: Model;
  private readonly measuring: Measuring;
  private readonly accuracy: AccuracyTally;
  private readonly agreement: AgreementTally;
  private readonly rows: DetectionRow[] = [];
  private readonly sums: Milliseconds = { preprocess: 0, inference: 0, postprocess: 0 };

  constructor(model: Model, how: Measuring) {
    this.model = model;
    this.measuring = how;
    this.accuracy = how.accuracy();
    this.agreement = how.agreement();
  }

  /** Planning and compiling are not part of the time of the first picture. */
  async warmUp({ picture }: EvaluationItem, width: number, height: number): Promise<void> {
    const { input } = this.model.manifest;
    await this.model.run({ [input.blob]: toTensor(picture, input, { width, height }).tensor });
  }

  /** What the model finds in a picture, compared with the objects and with what the first model found. */
  async add(
    item: EvaluationItem,
    width: number,
    height: number,
    reference?: readonly DetectionRow[],
  ): Promise<readonly DetectionRow[]> {
    const rows = await this.find(item, width, height);
    for (const { mask: _, ...row } of rows) this.rows.push(row);
    this.accuracy.add(item.id, item.truth ?? [], rows);
    if (reference) this.agreement.add(item.id, reference, rows);
    return rows;
  }

  private async find(
    { id, picture, ...item }: EvaluationItem,
    width: number,
    height: number,
  ): Promise<DetectionRow[]> {
    const { input, heads } = this.model.manifest;
    const times = [performance.now()];
    const { tensor, transform } = toTensor(picture, input, { width, height });
    times.push(performance.now());
    const blobs = blobsOf(heads);
    const outputs = await this.model.run({ [input.blob]: tensor }, blobs);
    times.push(performance.now());
    for (const blob of blobs) {
      const bad = outputs[blob].data.findIndex((value) => !Number.isFinite(value));
      if (bad < 0) continue;
      throw new GraphError(
        `${this.model.manifest.name}: output "${blob}" of picture ${id} holds ${outputs[blob].data[bad]}: the weights are broken, or the input is not what the model expects`,
      );
    }
    const detections = postprocess(outputs, this.model.manifest, transform, this.measuring.settings);
    times.push(performance.now());
    this.sums.preprocess += times[1] - times[0];
    this.sums.inference += times[2] - times[1];
    this.sums.postprocess += times[3] - times[2];
    const size = { width: item.width ?? picture.width, height: item.height ?? picture.height };
    return detections.map((detection) => rowOf(id, scaledDetection(detection, picture, size)));
  }

  /** `first` is the model that this one is compared with. */
  result(images: number, isLabelled: boolean, first?: Run): ModelEvaluation {
    const { preprocess, inference, postprocess } = this.sums;
    return {
      model: this.model.manifest.name,
      milliseconds: {
        preprocess: preprocess / images,
        inference: inference / images,
        postprocess: postprocess / images,
      },
      detections: this.rows,
      ...(isLabelled && this.accuracy.result()),
      apChange: isLabelled && first ? this.accuracy.changeFrom(first.accuracy, images) : undefined,
      fidelity: first && this.agreement.result(),
    };
  }
}

/** A detection as a row of a result. The box of a class of the whole picture is a square of 1. */
export function rowOf(image: ImageId, detection: Detection): DetectionRow {
  const { classId: category, score } = detection;
  const row = { image, category, score };
  if (!isObject(detection)) return { ...row, box: { x: 0, y: 0, width: 1, height: 1 } };
  const found = { ...row, box: detection.box };
  switch (detection.task) {
    case "segment":
      return { ...found, mask: detection.mask };
    case "pose":
      return { ...found, points: detection.points };
    case "obb": {
      const { rotated } = detection;
      return { ...found, corners: cornersOf(rotated), area: rotated.width * rotated.height };
    }
    default:
      return found;
  }
}
