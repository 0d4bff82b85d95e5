/**
 * Accuracy and speed of detectors on labelled pictures, and how far each is from the first: average precision, fidelity,
 * score change, milliseconds. Pictures come one after another, so memory does not grow with them (detections do stay).
 */
import { expectKind } from "../base/arguments.ts";
import { InputError, UsageError } from "../base/errors.ts";
import { toTensor } from "../detect/letterbox.ts";
import type { Accuracy } from "../evaluate/accuracy.ts";
import type { Change } from "../evaluate/bootstrap.ts";
import type { Fidelity } from "../evaluate/fidelity.ts";
import type { DetectionRow } from "../evaluate/rows.ts";
import { taskOf } from "../heads/index.ts";
import type { ModelInput, Task } from "../heads/manifest.ts";
import type { Tensor } from "../ir/tensor.ts";
import { bothSides, type KnownFacts } from "../open/facts.ts";
import type { Model } from "../open/model.ts";
import { Detections, type Milliseconds } from "../tally/detections.ts";
import { asPictures, type EvaluationItem } from "../tally/pictures.ts";
import { type Runner, run } from "../tally/run.ts";
import { pictureSubject } from "../tally/subjects.ts";

/** Options of `evaluateModels`. */
export interface EvaluateOptions {
  /** Input size in pixels; default: that of the first model's manifest, for all models. */
  size?: KnownFacts["size"];
  /** Spread of each key point, in parts of the object's size; default COCO's for 17 points, else 1 / their number. */
  sigmas?: readonly number[];
  /** What carries out the pass over the pictures; default: this thread. The result is the same, times of course apart. */
  runner?: Runner;
  /** Told after every picture, or every few. */
  onProgress?: (done: number) => void;
  signal?: AbortSignal;
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
  const subjects = models.map((model) => {
    const { graph, backend, manifest } = model;
    return pictureSubject(
      graph,
      { of: manifest.input, options: { width, height } },
      { backend, session: model },
    );
  });
  const manifests = models.map(({ manifest }) => manifest);
  const tally = new Detections(subjects, manifests, options.sigmas);
  const { runner, signal, onProgress } = options;
  const pictures = asPictures(items);
  const images = await run([tally], pictures, {
    ...{ runner, signal, onProgress, warmUp: true, title: "evaluate" },
  });
  if (images === 0) throw new InputError("no picture to evaluate on");
  const { objects, models: found } = tally.result();
  const isLabelled = objects !== undefined;
  return {
    ...{ task: taskOf(first.manifest.heads), images, objects, width, height },
    labels: first.manifest.labels,
    models: found.map(({ accuracy, agreement, detections, milliseconds }, i) => ({
      ...{ model: manifests[i].name, milliseconds, detections },
      ...(isLabelled && accuracy.result()),
      apChange: isLabelled && i > 0 ? accuracy.changeFrom(found[0].accuracy, images) : undefined,
      fidelity: i > 0 ? agreement.result() : undefined,
    })),
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
