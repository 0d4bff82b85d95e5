/**
 * COCO average precision of boxes, number for number what pycocotools' COCOeval("bbox") computes: crowd regions, area
 * ranges, detection limits, 101 recall points, and its order of equal scores (stable, images in order of their id).
 */
import { UsageError } from "../base/errors.ts";
import type { Box } from "../detect/detect.ts";

/** Images are named by number or by string; both sides must use the same. */
export type ImageId = number | string;

/** A labelled object, in pixels of its picture. */
export interface GroundTruth {
  image: ImageId;
  /** Class number. */
  category: number;
  box: Box;
  /** Area that decides the size class, in pixels²; COCO gives that of the outline. The box's when absent. */
  area?: number;
  /** A region of many objects: never missed, and any number of detections may lie in it without counting. */
  crowd?: boolean;
}

/** A detection as evaluation takes it, in pixels of its picture. */
export interface DetectionRow {
  image: ImageId;
  category: number;
  score: number;
  box: Box;
}

export interface CocoOptions {
  /** Ascending limits of detections per image and class; default [1, 10, 100]. AP uses the last. */
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
  /** By area: small < 32², medium, large ≥ 96² pixels. */
  APs: number;
  APm: number;
  APl: number;
  /** Mean greatest recall with at most 1, 10, 100 detections per image (the first three limits of `maxDets`). */
  AR1: number;
  AR10: number;
  AR100: number;
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

/** Bounds are inclusive, as in pycocotools. */
const areaRanges: readonly (readonly [number, number])[] = [
  [0, 1e10],
  [0, 32 ** 2],
  [32 ** 2, 96 ** 2],
  [96 ** 2, 1e10],
];
const recallPoints = 101;
/** NumPy's linspace(0.5, 0.95, 10), to the last bit. */
export const cocoThresholds = Float64Array.from({ length: 10 }, (_, i) =>
  i === 9 ? 0.95 : 0.5 + i * ((0.95 - 0.5) / 9),
);

/** Scores detections against the truth. Any image or class that occurs on either side counts. */
export function evaluateCoco(
  groundTruth: readonly GroundTruth[],
  detections: readonly DetectionRow[],
  options: CocoOptions = {},
): CocoResult {
  const limits = options.maxDets ?? [1, 10, 100];
  const thresholds = Float64Array.from(options.iouThresholds ?? cocoThresholds);
  checkOptions(limits, thresholds);
  const classes = groupByClass(groundTruth, detections, limits[limits.length - 1]);
  const scores = classes.map((each) => evaluateClass(each, limits, thresholds));
  const last = limits.length - 1;
  const precision = (area: number, threshold?: number) =>
    mean(scores.map((score) => score.precisionMeans(area, last, threshold)));
  const recall = (area: number, limit: number) => mean(scores.map((score) => score.recalls(area, limit)));
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

function checkOptions(limits: readonly number[], thresholds: Float64Array): void {
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

/** One class in one image. */
interface Cell {
  truth: GroundTruth[];
  /** Best first, at most the last limit. */
  found: DetectionRow[];
}
export interface ClassCells {
  category: number;
  /** In order of the image ids. */
  cells: Cell[];
}

export function groupByClass(
  truth: readonly GroundTruth[],
  found: readonly DetectionRow[],
  limit: number,
): ClassCells[] {
  const byClass = new Map<number, Map<ImageId, Cell>>();
  const cellOf = (row: { category: number; image: ImageId }): Cell => {
    const images = byClass.get(row.category) ?? new Map<ImageId, Cell>();
    byClass.set(row.category, images);
    const cell = images.get(row.image) ?? { truth: [], found: [] };
    images.set(row.image, cell);
    return cell;
  };
  for (const row of truth) cellOf(row).truth.push(row);
  for (const row of found) cellOf(row).found.push(row);
  const classes = [...byClass].sort(([a], [b]) => a - b);
  return classes.map(([category, images]) => {
    const cells = [...images].sort(([a], [b]) => compareIds(a, b)).map(([, cell]) => cell);
    for (const cell of cells) {
      cell.found.sort((a, b) => b.score - a.score);
      cell.found.length = Math.min(cell.found.length, limit);
    }
    return { category, cells };
  });
}

function compareIds(a: ImageId, b: ImageId): number {
  if (typeof a === "number" && typeof b === "number") return a - b;
  return String(a) < String(b) ? -1 : String(a) > String(b) ? 1 : 0;
}

/** Results of one class; the lists are empty where the class has no object of that size. */
interface ClassScores {
  objects: number;
  /** Mean over the recall points of the precision, for one threshold or for each. */
  precisionMeans(area: number, limit: number, threshold?: number): number[];
  /** Greatest recall at each threshold. */
  recalls(area: number, limit: number): number[];
}

/** The detections of a class, in the order of the cells. */
interface Listing {
  truthCells: TruthCell[];
  areas: Float64Array;
  /** Place of each among its image's detections, for the smaller limits. */
  ranks: Int32Array;
  /** Their numbers, best first. */
  order: Uint32Array;
}

function listDetections(cells: readonly Cell[]): Listing {
  const total = cells.reduce((sum, cell) => sum + cell.found.length, 0);
  const scores = new Float64Array(total);
  const areas = new Float64Array(total);
  const ranks = new Int32Array(total);
  const truthCells: TruthCell[] = [];
  let at = 0;
  for (const cell of cells) {
    if (cell.truth.length) truthCells.push({ ...cell, overlaps: overlapMatrix(cell), start: at });
    cell.found.forEach(({ score, box }, rank) => {
      scores[at] = score;
      areas[at] = box.width * box.height;
      ranks[at++] = rank;
    });
  }
  const order = Uint32Array.from({ length: total }, (_, i) => i).sort(
    (a, b) => scores[b] - scores[a] || a - b,
  );
  return { truthCells, areas, ranks, order };
}

/** States of all detections `[thresholds, detections]` with objects of every size, and the order of their scores. */
export function matchAll(
  cells: readonly Cell[],
  thresholds: Float64Array,
): { states: Uint8Array; order: Uint32Array } {
  const { truthCells, areas, order } = listDetections(cells);
  return { states: matchClass(truthCells, areas, areaRanges[0], thresholds).states, order };
}

function evaluateClass(
  { cells }: ClassCells,
  limits: readonly number[],
  thresholds: Float64Array,
): ClassScores {
  const { truthCells, areas, ranks, order } = listDetections(cells);
  const total = order.length;
  const objects: number[] = [];
  const curves = areaRanges.map((range, area) => {
    const { states, positives } = matchClass(truthCells, areas, range, thresholds);
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
  return {
    objects: objects[0],
    precisionMeans(area, limit, threshold) {
      const list = curves[area][limit] ?? [];
      return (threshold === undefined ? list : list.slice(threshold, threshold + 1)).map(
        (curve) => curve.precision,
      );
    },
    recalls: (area, limit) => (curves[area][limit] ?? []).map((curve) => curve.recall),
  };
}

/** IoU of every detection (row) with every truth; with a crowd it is the share of the detection that lies inside. */
function overlapMatrix({ truth, found }: Cell): Float64Array {
  const out = new Float64Array(truth.length * found.length);
  for (let d = 0, at = 0; d < found.length; d++) {
    const a = found[d].box;
    for (let g = 0; g < truth.length; g++, at++) {
      const b = truth[g].box;
      const width = Math.min(a.x + a.width, b.x + b.width) - Math.max(a.x, b.x);
      const height = Math.min(a.y + a.height, b.y + b.height) - Math.max(a.y, b.y);
      if (width <= 0 || height <= 0) continue;
      const shared = width * height;
      const areaA = a.width * a.height;
      out[at] = shared / (truth[g].crowd ? areaA : areaA + b.width * b.height - shared);
    }
  }
  return out;
}

const falsePositive = 0;
export const truePositive = 1;
/** Matched to a crowd or to an object of another size, or unmatched and of another size itself. */
const ignored = 2;

/** A cell that has truth: only there can anything match. */
interface TruthCell extends Cell {
  overlaps: Float64Array;
  /** Place of its first detection among those of the class. */
  start: number;
}

/**
 * State of every detection at every threshold `[thresholds, detections]`, and how many objects there are to be found.
 * `areas` are those of the detections.
 */
function matchClass(
  cells: readonly TruthCell[],
  areas: Float64Array,
  range: readonly [number, number],
  thresholds: Float64Array,
): { states: Uint8Array; positives: number } {
  const outside = (area: number) => area < range[0] || area > range[1];
  const unmatched = Uint8Array.from(areas, (area) => (outside(area) ? ignored : falsePositive));
  const states = new Uint8Array(thresholds.length * unmatched.length);
  for (let t = 0; t < thresholds.length; t++) states.set(unmatched, t * unmatched.length);
  let positives = 0;
  for (const { truth, found, overlaps, start } of cells) {
    const skip = truth.map(
      ({ box, area, crowd }) => Boolean(crowd) || outside(area ?? box.width * box.height),
    );
    // Objects that count come first, so that a detection takes an ignored one only where no other fits.
    const order = truth.map((_, g) => g).sort((a, b) => Number(skip[a]) - Number(skip[b]));
    for (const each of skip) if (!each) positives++;
    const taken = new Uint8Array(truth.length);
    for (let t = 0; t < thresholds.length; t++) {
      taken.fill(0);
      for (let d = 0; d < found.length; d++) {
        const match = bestMatch(overlaps, d * truth.length, order, truth, skip, taken, thresholds[t]);
        if (match < 0) continue;
        taken[match] = 1;
        states[t * unmatched.length + start + d] = skip[match] ? ignored : truePositive;
      }
    }
  }
  return { states, positives };
}

/** The free truth with the greatest overlap, or −1; the later of equals, as in pycocotools. */
function bestMatch(
  overlaps: Float64Array,
  row: number,
  order: readonly number[],
  truth: readonly GroundTruth[],
  skip: readonly boolean[],
  taken: Uint8Array,
  threshold: number,
): number {
  let best = Math.min(threshold, 1 - 1e-10);
  let match = -1;
  for (const g of order) {
    if (taken[g] && !truth[g].crowd) continue;
    if (match >= 0 && !skip[match] && skip[g]) break;
    if (overlaps[row + g] < best) continue;
    best = overlaps[row + g];
    match = g;
  }
  return match;
}

/**
 * Mean interpolated precision at the recall points, and the greatest recall. Precision falls with every miss, so its
 * maximum to the right of a point is always at a hit, and only hits are looked at. A detection counts `timesOf` times, a whole
 * number; `positives` is how many hits there can be.
 */
export function precisionRecall(
  states: Uint8Array,
  order: Uint32Array,
  timesOf: (detection: number) => number,
  positives: number,
): { precision: number; recall: number } {
  const precisions = new Float64Array(positives);
  /** Hits up to and with each that counts. */
  const reached = new Uint32Array(positives);
  let count = 0;
  let hits = 0;
  let misses = 0;
  for (const i of order) {
    const times = timesOf(i);
    if (times === 0) continue;
    if (states[i] === truePositive) {
      hits += times;
      reached[count] = hits;
      precisions[count++] = hits / (misses + hits + Number.EPSILON);
    } else if (states[i] === falsePositive) misses += times;
  }
  for (let i = count - 1; i > 0; i--) precisions[i - 1] = Math.max(precisions[i - 1], precisions[i]);
  let sum = 0;
  for (let r = 0, i = 0; r < recallPoints; r++) {
    const wanted = r === recallPoints - 1 ? 1 : r * 0.01;
    while (i < count && reached[i] / positives < wanted) i++;
    if (i === count) break;
    sum += precisions[i];
  }
  return { precision: sum / recallPoints, recall: hits / positives };
}
