/**
 * COCO average precision of boxes, masks and key points, number for number what pycocotools' COCOeval computes: crowd regions, area
 * ranges, detection limits, 101 recall points, and its order of equal scores (stable, images in order of their id); and of turned boxes
 * the same by their polygons, and what DOTA defines.
 */
import { UsageError } from "../base/errors.ts";
import {
  type AreaRange,
  allAreas,
  type ClassCells,
  compareRows,
  listDetections,
  matchClass,
  precisionRecall,
} from "./matching.ts";
import type { DetectionRow, GroundTruth } from "./rows.ts";
import { type Measure, similarityOf, usualSigmas } from "./similarity.ts";

export interface CocoOptions {
  /** What is compared; default `box`. */
  measure?: Measure;
  /** Spread of each key point, in parts of the object's size; default COCO's for 17 points, else 1 / their number. */
  sigmas?: readonly number[];
  /**
   * Ascending limits of detections per image and class; default [1, 10, 100], [20] for key points, and [1, 10, 300] for turned boxes, of
   * which aerial pictures have many. AP uses the last.
   */
  maxDets?: readonly number[];
  /** Overlaps at which a detection counts as found; default 0.50:0.05:0.95. */
  iouThresholds?: readonly number[];
}

/** Fractions 0..1, −1 where there is nothing to measure, as in pycocotools. */
export interface CocoResult {
  /** Mean over classes, thresholds and 101 recall points. */
  AP: number;
  /** At IoU 0.50 and 0.75; −1 if that threshold is not among those measured. */
  AP50: number;
  AP75: number;
  /** By area: small < 32², medium, large ≥ 96² pixels. Key points have no small ones. */
  APs: number;
  APm: number;
  APl: number;
  /** Mean greatest recall with at most 1, 10, 100 detections per image (the first three limits of `maxDets`). */
  AR1: number;
  AR10: number;
  AR100: number;
  /** At the last limit: over all thresholds, and at 0.50 and 0.75. */
  AR: number;
  AR50: number;
  AR75: number;
  /** By area, at the last limit. */
  ARs: number;
  ARm: number;
  ARl: number;
  /** Every class that occurs in the ground truth or in the detections, ascending. */
  perClass: ClassResult[];
}

/** Average precision of one class. */
export interface ClassResult {
  category: number;
  /** Objects without crowd regions. */
  objects: number;
  AP: number;
  AP50: number;
}

const areaRanges: readonly AreaRange[] = [allAreas, [0, 32 ** 2], [32 ** 2, 96 ** 2], [96 ** 2, allAreas[1]]];
/** NumPy's linspace(0.5, 0.95, 10), to the last bit. */
export const cocoThresholds = Float64Array.from({ length: 10 }, (_, i) =>
  i === 9 ? 0.95 : 0.5 + i * ((0.95 - 0.5) / 9),
);

const limitsOf: { readonly [M in Measure]: readonly number[] } = {
  box: [1, 10, 100],
  mask: [1, 10, 100],
  points: [20],
  corners: [1, 10, 300],
};
/** The limits of detections by which a measure is taken. */
export const usualLimits = (measure: Measure): readonly number[] => limitsOf[measure];

/** Scores detections against the truth. Any image or class that occurs on either side counts. */
export function evaluateCoco(
  groundTruth: readonly GroundTruth[],
  detections: readonly DetectionRow[],
  options: CocoOptions = {},
): CocoResult {
  const { measure = "box", maxDets = usualLimits(measure) } = options;
  checkOptions(maxDets, options.iouThresholds ?? [...cocoThresholds]);
  const points = (groundTruth[0] ?? detections[0])?.points?.length ?? 0;
  const similarity = similarityOf(measure, options.sigmas ?? usualSigmas(points));
  const compared = compareRows(groundTruth, detections, similarity, maxDets[maxDets.length - 1]);
  return evaluateClasses(compared.classes(), { ...options, measure, maxDets });
}

/** The same of what is compared already, with at least the last limit of detections. */
export function evaluateClasses(classes: readonly ClassCells[], options: CocoOptions = {}): CocoResult {
  const { measure = "box", maxDets: limits = usualLimits(measure) } = options;
  const thresholds = Float64Array.from(options.iouThresholds ?? cocoThresholds);
  const ranges = areaRanges.map((range, i) => (measure === "points" && i === 1 ? undefined : range));
  const scores = classes.map((each) => evaluateClass(each, limits, thresholds, ranges));
  const last = limits.length - 1;
  const precision = (area: number, threshold?: number) =>
    mean(scores.map((score) => score.precisionMeans(area, last, threshold)));
  const recall = (area: number, limit: number, threshold?: number) =>
    mean(scores.map((score) => score.recalls(area, limit, threshold)));
  const at = (value: number) => thresholds.findIndex((threshold) => Math.abs(threshold - value) < 1e-9);
  return {
    AP: precision(0),
    AP50: precision(0, at(0.5)),
    AP75: precision(0, at(0.75)),
    APs: precision(1),
    APm: precision(2),
    APl: precision(3),
    AR1: recall(0, 0),
    AR10: recall(0, Math.min(1, last)),
    AR100: recall(0, Math.min(2, last)),
    AR: recall(0, last),
    AR50: recall(0, last, at(0.5)),
    AR75: recall(0, last, at(0.75)),
    ARs: recall(1, last),
    ARm: recall(2, last),
    ARl: recall(3, last),
    perClass: classes.map(({ category }, i) => ({
      category,
      objects: scores[i].objects,
      AP: mean([scores[i].precisionMeans(0, last)]),
      AP50: mean([scores[i].precisionMeans(0, last, at(0.5))]),
    })),
  };
}

function checkOptions(limits: readonly number[], thresholds: readonly number[]): void {
  if (!limits.length || limits.some((limit, i) => !(limit >= 1) || (i > 0 && limit <= limits[i - 1]))) {
    throw new UsageError(`maxDets ${limits}: expected ascending numbers from 1`);
  }
  if (!thresholds.length || thresholds.some((threshold) => !(threshold > 0 && threshold <= 1))) {
    throw new UsageError(`iouThresholds ${thresholds}: expected numbers above 0, at most 1`);
  }
}

/** Mean of all numbers in the lists; −1 when there are none. */
function mean(lists: readonly (readonly number[])[]): number {
  let sum = 0;
  let count = 0;
  for (const list of lists) {
    for (const value of list) sum += value;
    count += list.length;
  }
  return count ? sum / count : -1;
}

/** Results of one class; the lists are empty where the class has no object of that size. */
interface ClassScores {
  objects: number;
  /** Mean over the recall points of the precision, for one threshold or for each. */
  precisionMeans(area: number, limit: number, threshold?: number): number[];
  /** Greatest recall at one threshold or at each. */
  recalls(area: number, limit: number, threshold?: number): number[];
}

function evaluateClass(
  { cells }: ClassCells,
  limits: readonly number[],
  thresholds: Float64Array,
  ranges: readonly (AreaRange | undefined)[],
): ClassScores {
  const { areas, ranks, order } = listDetections(cells);
  const total = order.length;
  const objects: number[] = [];
  const curves = ranges.map((range, area) => {
    if (!range) return [];
    const { states, positives } = matchClass(cells, areas, range, thresholds);
    objects[area] = positives;
    if (!positives) return [];
    // The smaller limits only give recall over all sizes.
    return limits.map((limit, l) =>
      area > 0 && l < limits.length - 1
        ? []
        : Array.from(thresholds, (_, t) =>
            precisionRecall(
              states.subarray(t * total, (t + 1) * total),
              order,
              (i) => (ranks[i] < limit ? 1 : 0),
              positives,
            ),
          ),
    );
  });
  const listOf = (area: number, limit: number, threshold?: number) => {
    const list = curves[area][limit] ?? [];
    return threshold === undefined ? list : list.slice(threshold, threshold + 1);
  };
  return {
    objects: objects[0],
    precisionMeans: (area, limit, threshold) =>
      listOf(area, limit, threshold).map(({ precision }) => precision),
    recalls: (area, limit, threshold) => listOf(area, limit, threshold).map(({ recall }) => recall),
  };
}

/** Average precision of turned boxes as DOTA's first task defines it. */
export interface DotaResult {
  /** Mean over the classes with objects, 0..1; −1 without any. */
  AP: number;
  perClass: { category: number; AP: number }[];
}

/**
 * DOTA's task 1: polygons that share more than half of their union, Pascal VOC's matching, and precision averaged at 11 recalls. Crowds
 * are its difficult objects.
 */
export function evaluateDota(classes: readonly ClassCells[]): DotaResult {
  const perClass = classes.flatMap(({ category, cells }) => {
    const { areas, order } = listDetections(cells);
    const { states, positives } = matchClass(cells, areas, allAreas, Float64Array.of(0.5), "voc");
    if (!positives) return [];
    return [{ category, AP: precisionRecall(states, order, () => 1, positives, 11).precision }];
  });
  return { AP: mean([perClass.map(({ AP }) => AP)]), perClass };
}
