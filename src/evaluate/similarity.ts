/** How alike a detection and a labelled object are: what average precision is measured by, for each task. */
import { described } from "../base/arguments.ts";
import { UsageError } from "../base/errors.ts";
import { maskIou } from "../detect/mask.ts";
import { polygonIou } from "../detect/polygon.ts";
import { probiou, rotatedAbout, spreadOf } from "../detect/rotated.ts";
import type { DetectionRow, GroundTruth, ImageId, TruePoint } from "./rows.ts";

/** What of an object is compared: overlap of boxes, of masks or of turned boxes, or key points (OKS). */
export type Measure = "box" | "mask" | "corners" | "points";

/** A measure between detections and labelled objects. */
export interface Similarity {
  /** 0..1; where the object is a crowd, the share of the detection that lies in it. */
  between(found: DetectionRow, truth: GroundTruth): number;
  /** Labelled objects that nothing can be said of: they are treated as those of another size. */
  ignores?(truth: GroundTruth): boolean;
}

/** Intersection over union of boxes. */
const boxSimilarity: Similarity = {
  between({ box: a }, { box: b, crowd }) {
    const width = Math.min(a.x + a.width, b.x + b.width) - Math.max(a.x, b.x);
    const height = Math.min(a.y + a.height, b.y + b.height) - Math.max(a.y, b.y);
    if (!(width > 0 && height > 0)) return 0;
    const shared = width * height;
    const area = a.width * a.height;
    return shared / (crowd ? area : area + b.width * b.height - shared);
  },
};

/** Intersection over union of masks. Throws UsageError where one is missing. */
const maskSimilarity: Similarity = {
  between: (found, truth) => maskIou(needed(found, "mask"), needed(truth, "mask"), truth.crowd),
};

/** ProbIoU of turned boxes, by which ultralytics measures. Throws UsageError where corners are missing. */
export const probSimilarity: Similarity = {
  between: (found, truth) =>
    probiou(
      spreadOf(rotatedAbout(needed(found, "corners"))),
      spreadOf(rotatedAbout(needed(truth, "corners"))),
    ),
};

/** Intersection over union of turned boxes as polygons. Throws UsageError where corners are missing. */
const cornersSimilarity: Similarity = {
  between: (found, truth) => polygonIou(needed(found, "corners"), needed(truth, "corners")),
};

/** COCO's spread of each of the 17 key points of a person, in parts of the object's size: nose, eyes, ears, … ankles. */
const cocoSigmas: readonly number[] = [
  ...[0.026, 0.025, 0.025, 0.035, 0.035, 0.079, 0.079, 0.072, 0.072],
  ...[0.062, 0.062, 0.107, 0.107, 0.087, 0.087, 0.089, 0.089],
];

/** The spreads that are taken where nothing says them: COCO's for its 17 points, else as ultralytics has it. */
export function usualSigmas(points: number): readonly number[] {
  if (!(Number.isInteger(points) && points >= 0 && points < 10_000)) {
    throw new UsageError(`usualSigmas: points is ${described(points)}, expected a number of key points`);
  }
  return points === cocoSigmas.length ? cocoSigmas : Array<number>(points).fill(1 / points);
}

/** Part of an object's box that the object is taken to fill where no outline says it: as ultralytics has it. */
const filledPart = 0.53;

/**
 * COCO's object key point similarity: the mean over the labelled points of `exp(−distance² / (8 σ² area))`. Of an object without
 * labelled points the distances are those to twice its box, and it is ignored. Throws UsageError where the numbers of points differ.
 */
function pointsSimilarity(sigmas: readonly number[]): Similarity {
  const variances = sigmas.map((sigma) => (2 * sigma) ** 2);
  return {
    between(found, truth) {
      const [a, b] = [needed(found, "points"), needed(truth, "points")];
      for (const { length } of [a, b]) {
        if (length === sigmas.length) continue;
        throw new UsageError(
          `picture ${shown(truth.image)}: ${length} key points beside ${sigmas.length} spreads (sigmas), expected as many`,
        );
      }
      const area = (truth.area ?? truth.box.width * truth.box.height * filledPart) + Number.EPSILON;
      const isLabelled = b.some(({ labelled }) => labelled);
      let [sum, count] = [0, 0];
      for (const [i, point] of b.entries()) {
        if (isLabelled && !point.labelled) continue;
        const squared = isLabelled ? squaredDistance(a[i], point) : squaredOutside(a[i], truth.box);
        sum += Math.exp(-squared / variances[i] / area / 2);
        count++;
      }
      return sum / count;
    },
    ignores: (truth) => !needed(truth, "points").some(({ labelled }) => labelled),
  };
}

type Place = Pick<TruePoint, "x" | "y">;

const squaredDistance = (a: Place, b: Place): number => (a.x - b.x) ** 2 + (a.y - b.y) ** 2;

/** From the box with as much again on each side; 0 inside. */
function squaredOutside({ x, y }: Place, box: GroundTruth["box"]): number {
  const outside = (value: number, start: number, extent: number): number =>
    Math.max(0, start - extent - value) + Math.max(0, value - (start + 2 * extent));
  return outside(x, box.x, box.width) ** 2 + outside(y, box.y, box.height) ** 2;
}

/** What compares by the measure; `sigmas` are those of `points`. */
export function similarityOf(measure: Measure, sigmas: readonly number[] = []): Similarity {
  if (measure === "points") return pointsSimilarity(sigmas);
  return { box: boxSimilarity, mask: maskSimilarity, corners: cornersSimilarity }[measure];
}

const shown = (image: ImageId): string => JSON.stringify(image);

function needed<K extends "mask" | "points" | "corners", R extends Partial<Record<K, unknown>>>(
  row: R & { image: ImageId },
  part: K,
): NonNullable<R[K]> {
  const value = row[part];
  if (value === undefined || value === null) {
    throw new UsageError(
      `picture ${shown(row.image)}: an object without "${part}", which is what is compared`,
    );
  }
  return value;
}
