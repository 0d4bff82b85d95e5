/**
 * Which detection found which object: the one matching behind average precision, fidelity and its score changes, whatever tells how
 * alike two are.
 */
import type { DetectionRow, GroundTruth, ImageId } from "./rows.ts";
import type { Similarity } from "./similarity.ts";

/** What is kept of the objects and detections of one class in one picture: no masks, so that pictures cost little memory. */
export interface Cell {
  readonly image: ImageId;
  /** Of the objects. */
  readonly truthAreas: Float64Array;
  /** 1 for crowds, and for objects that are neither to be found nor missed. */
  readonly crowds: Uint8Array;
  readonly ignored: Uint8Array;
  /** Of the detections, best first. */
  readonly scores: Float64Array;
  readonly areas: Float64Array;
  /** Similarity of every detection (row) with every object. */
  readonly overlaps: Float64Array;
}

export interface CategoryCell {
  readonly category: number;
  readonly cell: Cell;
}

/** Cells without what they were made of. */
export const bare = (cells: readonly CategoryCell[]): CategoryCell[] =>
  cells.map(({ category, cell }) => ({ category, cell }));

/** A cell with what it was made of, detections best first. */
export interface PictureCell extends CategoryCell {
  readonly truth: readonly GroundTruth[];
  readonly found: readonly DetectionRow[];
}

export interface ClassCells {
  readonly category: number;
  /** In order of the image ids. */
  readonly cells: readonly Cell[];
}

const areaOf = ({ area, box }: { area?: number; box: GroundTruth["box"] }): number =>
  area ?? box.width * box.height;

/** Collects pictures, class by class. */
export class Comparison {
  private readonly similarity: Similarity;
  private readonly limit: number;
  private readonly byClass = new Map<number, Cell[]>();

  /** At most `limit` detections of a class in a picture count, the best. */
  constructor(similarity: Similarity, limit: number) {
    this.similarity = similarity;
    this.limit = limit;
  }

  /** Adds a picture; all rows are of it. */
  add(image: ImageId, truth: readonly GroundTruth[], found: readonly DetectionRow[]): void {
    this.take(this.cells(image, truth, found));
  }

  /** Adds a picture that `cells` was made of, here or by a like comparison elsewhere. */
  take(cells: readonly CategoryCell[]): void {
    for (const { category, cell } of cells) {
      const known = this.byClass.get(category);
      if (known) known.push(cell);
      else this.byClass.set(category, [cell]);
    }
  }

  /** What would be kept of a picture, with what it was made of. */
  cells(image: ImageId, truth: readonly GroundTruth[], found: readonly DetectionRow[]): PictureCell[] {
    const categories = new Set([...truth, ...found].map(({ category }) => category));
    return [...categories].map((category) => {
      const isOf = (row: { category: number }) => row.category === category;
      const rows = found.filter(isOf).sort((a, b) => b.score - a.score);
      const part = { category, truth: truth.filter(isOf), found: rows.slice(0, this.limit) };
      return { ...part, cell: this.cellOf(image, part.truth, part.found) };
    });
  }

  private cellOf(image: ImageId, truth: readonly GroundTruth[], found: readonly DetectionRow[]): Cell {
    const { similarity } = this;
    const overlaps = new Float64Array(truth.length * found.length);
    let at = 0;
    for (const each of found) for (const object of truth) overlaps[at++] = similarity.between(each, object);
    return {
      ...{ image, overlaps },
      truthAreas: Float64Array.from(truth, areaOf),
      crowds: Uint8Array.from(truth, ({ crowd }) => Number(crowd ?? false)),
      ignored: Uint8Array.from(truth, (object) =>
        Number(object.crowd || similarity.ignores?.(object) || false),
      ),
      scores: Float64Array.from(found, ({ score }) => score),
      areas: Float64Array.from(found, areaOf),
    };
  }

  /** Every class that occurs in the ground truth or in the detections, ascending. */
  classes(): ClassCells[] {
    return [...this.byClass]
      .sort(([a], [b]) => a - b)
      .map(([category, cells]) => ({
        category,
        cells: cells.toSorted((a, b) => compareIds(a.image, b.image)),
      }));
  }
}

/** The rows of each picture, in the order in which pictures occur. */
export function byImage<T extends { image: ImageId }>(rows: readonly T[]): Map<ImageId, T[]> {
  const images = new Map<ImageId, T[]>();
  for (const row of rows) {
    const of = images.get(row.image);
    if (of) of.push(row);
    else images.set(row.image, [row]);
  }
  return images;
}

/** The pictures of both sides compared. */
export function compareRows(
  truth: readonly GroundTruth[],
  found: readonly DetectionRow[],
  similarity: Similarity,
  limit: number,
): Comparison {
  const comparison = new Comparison(similarity, limit);
  const [objects, rows] = [byImage(truth), byImage(found)];
  for (const image of new Set([...objects.keys(), ...rows.keys()])) {
    comparison.add(image, objects.get(image) ?? [], rows.get(image) ?? []);
  }
  return comparison;
}

function compareIds(a: ImageId, b: ImageId): number {
  if (typeof a === "number" && typeof b === "number") return a - b;
  return String(a) < String(b) ? -1 : String(a) > String(b) ? 1 : 0;
}

/** The detections of a class, in the order of the cells. */
export interface Listing {
  readonly areas: Float64Array;
  /** Place of each among its image's detections, for the smaller limits. */
  readonly ranks: Int32Array;
  /** Their numbers, best first. */
  readonly order: Uint32Array;
}

export function listDetections(cells: readonly Cell[]): Listing {
  const total = cells.reduce((sum, cell) => sum + cell.scores.length, 0);
  const scores = new Float64Array(total);
  const areas = new Float64Array(total);
  const ranks = new Int32Array(total);
  let at = 0;
  for (const cell of cells) {
    scores.set(cell.scores, at);
    areas.set(cell.areas, at);
    for (let rank = 0; rank < cell.scores.length; rank++) ranks[at++] = rank;
  }
  const order = Uint32Array.from({ length: total }, (_, i) => i).sort(
    (a, b) => scores[b] - scores[a] || a - b,
  );
  return { areas, ranks, order };
}

/** Bounds of objects' areas, inclusive, as in pycocotools. */
export type AreaRange = readonly [least: number, most: number];
export const allAreas: AreaRange = [0, 1e10];

/**
 * How a detection takes an object. `coco`: the most alike of those that are free, at least as alike as the threshold. `voc`: the most
 * alike of all, more than the threshold; where another has taken it, it is found twice, which is wrong (Pascal VOC, DOTA).
 */
export type MatchRule = "coco" | "voc";

const falsePositive = 0;
export const truePositive = 1;
/** Matched to a crowd or to an object of another size, or unmatched and of another size itself. */
const ignored = 2;

/** States of all detections of a class `[thresholds, detections]`, and how many objects there are to be found. */
export interface Matches {
  readonly states: Uint8Array;
  readonly positives: number;
}

/** `areas` are those of the detections, in the order of the cells. */
export function matchClass(
  cells: readonly Cell[],
  areas: Float64Array,
  range: AreaRange,
  thresholds: Float64Array,
  rule: MatchRule = "coco",
): Matches {
  const outside = (area: number) => area < range[0] || area > range[1];
  const unmatched = Uint8Array.from(areas, (area) => (outside(area) ? ignored : falsePositive));
  const states = new Uint8Array(thresholds.length * unmatched.length);
  for (let t = 0; t < thresholds.length; t++) states.set(unmatched, t * unmatched.length);
  const best = rule === "coco" ? bestFree : bestOfAll;
  let positives = 0;
  let start = 0;
  for (const cell of cells) {
    const { truthAreas, scores } = cell;
    const skip = truthAreas.map((area, g) => Number(cell.ignored[g] || outside(area)));
    // Objects that count come first, so that a detection takes an ignored one only where no other fits.
    const order = Uint32Array.from(skip, (_, g) => g).sort((a, b) => skip[a] - skip[b] || a - b);
    for (const each of skip) if (!each) positives++;
    const taken = new Uint8Array(skip.length);
    for (let t = 0; t < thresholds.length && skip.length; t++) {
      taken.fill(0);
      for (let d = 0; d < scores.length; d++) {
        const match = best(cell, d * skip.length, order, skip, taken, thresholds[t]);
        if (match < 0) continue;
        taken[match] = 1;
        states[t * unmatched.length + start + d] = skip[match] ? ignored : truePositive;
      }
    }
    start += scores.length;
  }
  return { states, positives };
}

/** The object that a detection takes, or −1. */
type Choice = (
  cell: Cell,
  row: number,
  order: Uint32Array,
  skip: Float64Array,
  taken: Uint8Array,
  threshold: number,
) => number;

/** The free object with the greatest overlap; the later of equals, as in pycocotools. */
const bestFree: Choice = ({ overlaps, crowds }, row, order, skip, taken, threshold) => {
  let best = Math.min(threshold, 1 - 1e-10);
  let match = -1;
  for (const g of order) {
    if (taken[g] && !crowds[g]) continue;
    if (match >= 0 && !skip[match] && skip[g]) break;
    if (overlaps[row + g] < best) continue;
    best = overlaps[row + g];
    match = g;
  }
  return match;
};

/** The object with the greatest overlap, the first of equals, unless another took it. */
const bestOfAll: Choice = ({ overlaps }, row, _order, skip, taken, threshold) => {
  let best = threshold;
  let match = -1;
  for (let g = 0; g < taken.length; g++) {
    if (!(overlaps[row + g] > best)) continue;
    best = overlaps[row + g];
    match = g;
  }
  return match >= 0 && taken[match] && !skip[match] ? -1 : match;
};

const precisionsAt = { 101: (i: number) => (i === 100 ? 1 : i * 0.01), 11: (i: number) => i * 0.1 } as const;
/** At how many recalls precision is averaged: COCO's 101, or the 11 of Pascal VOC 2007 and DOTA. */
export type RecallPoints = keyof typeof precisionsAt;

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
  recallPoints: RecallPoints = 101,
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
    const wanted = precisionsAt[recallPoints](r);
    while (i < count && reached[i] / positives < wanted) i++;
    if (i === count) break;
    sum += precisions[i];
  }
  return { precision: sum / recallPoints, recall: hits / positives };
}
