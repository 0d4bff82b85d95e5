/** How each task is measured: what is compared, with which settings, and what is counted. */
import { expectKind } from "../base/arguments.ts";
import { type DetectOptions, evaluationOptions } from "../detect/detect.ts";
import { type Accuracy, ObjectAccuracy } from "../evaluate/accuracy.ts";
import type { Change } from "../evaluate/bootstrap.ts";
import { ClassAccuracy, ClassAgreement } from "../evaluate/classes.ts";
import { type Fidelity, FidelityTally } from "../evaluate/fidelity.ts";
import type { DetectionRow, GroundTruth, ImageId } from "../evaluate/rows.ts";
import { type Measure, usualSigmas } from "../evaluate/similarity.ts";
import { pointCountOf, taskOf } from "../heads/index.ts";
import type { Head, Manifest, Task } from "../heads/manifest.ts";

/** Pictures that are sorted have a label each, and no objects. */
const measures: { readonly [T in Task]: Measure } = {
  detect: "box",
  segment: "mask",
  pose: "points",
  obb: "corners",
  classify: "box",
};

/** What the objects that the heads find are compared by. */
export function measureOf(heads: readonly Head[]): Measure {
  expectKind("measureOf: heads", heads, "a list");
  return measures[taskOf(heads)];
}

/** Collects how right a model is: pictures one by one, in the order of their numbers. */
export interface AccuracyTally {
  /** What a picture says, as plain data; and adds a picture by that. */
  of(image: ImageId, truth: readonly GroundTruth[], found: readonly DetectionRow[]): unknown;
  take(picture: unknown): void;
  result(): Accuracy;
  /** The headline figure less that of the first model; undefined where there is too little to tell. */
  changeFrom(first: this, images: number): Change | undefined;
}

/** Collects how near a model is to another, likewise. */
export interface AgreementTally {
  of(image: ImageId, reference: readonly DetectionRow[], candidate: readonly DetectionRow[]): unknown;
  take(picture: unknown): void;
  result(): Fidelity;
}

/** The one figure that a model is known by: AP, or top-1 where it sorts pictures; undefined without labels. */
export const headline = ({ coco, top }: Accuracy): number | undefined => coco?.AP ?? top?.top1;

/** How a model is measured. */
export interface Measuring {
  /** What is taken of its outputs. */
  readonly settings: DetectOptions;
  accuracy(): AccuracyTally;
  agreement(): AgreementTally;
}

/** `sigmas`: spread of each key point; default COCO's for 17 points, else 1 / their number. */
export function measuring(
  { heads, labels }: Pick<Manifest, "heads" | "labels">,
  sigmas: readonly number[] = usualSigmas(pointCountOf(heads)),
): Measuring {
  if (taskOf(heads) === "classify") {
    return {
      // The right class may be a hardly likely one.
      settings: { confidence: 0, maxDetections: labels.length },
      accuracy: () => new ClassAccuracy(),
      agreement: () => new ClassAgreement(),
    };
  }
  const measure = measureOf(heads);
  return {
    settings: evaluationOptions,
    accuracy: () => new ObjectAccuracy(measure, sigmas),
    agreement: () => new FidelityTally({ measure, sigmas }),
  };
}
