/** A labelled and a followed sequence side by side: who is in each picture, and how much their boxes overlap. */
import { assign } from "../base/assignment.ts";
import { UsageError } from "../base/errors.ts";
import type { Box } from "../detect/detection.ts";
import type { TrackRow } from "./mot-text.ts";

/**
 * Which boxes count. `all`: every label whose score is not 0. `mot17`, `mot20`: as MOTChallenge counts its sequences (those of 16 like
 * those of 17): only labels of the class 1 (pedestrian), and results that lie on somebody sitting, riding, mirrored or painted are left out.
 */
export type TrackRules = "all" | "mot17" | "mot20";

export const trackRules: readonly TrackRules[] = ["all", "mot17", "mot20"];

/** Classes that are no mistake to find and no merit: person on vehicle, static person, distractor, reflection; of 20 also vehicles. */
const distractors = { mot17: new Set([2, 7, 8, 12]), mot20: new Set([2, 6, 7, 8, 12]) } as const;

const pedestrian = 1;

/** One picture: identities as numbers from 0, in the order of the files. */
export interface TrackFrame {
  readonly truths: readonly number[];
  readonly found: readonly number[];
  /** Intersection over union, `[truths, found]`. */
  readonly overlaps: Float64Array;
}

export interface TrackSequence {
  /** Of every picture from the first to the last. */
  readonly frames: readonly TrackFrame[];
  /** How many identities there are. */
  readonly truthIds: number;
  readonly foundIds: number;
  /** How many boxes. */
  readonly truthBoxes: number;
  readonly foundBoxes: number;
}

/** The smallest difference of doubles at 1; trackeval leaves as much room at its thresholds. */
export const epsilon = Number.EPSILON;

export function sequenceOf(
  truth: readonly TrackRow[],
  result: readonly TrackRow[],
  rules: TrackRules,
): TrackSequence {
  const last = [...truth, ...result].reduce((most, { frame }) => Math.max(most, frame), 0);
  const [labelled, followed] = [byFrame(truth), byFrame(result)];
  const kept = Array.from({ length: last }, (_, i) =>
    counted(labelled.get(i + 1) ?? [], followed.get(i + 1) ?? [], rules),
  );
  const truthIds = numbering(kept.flatMap(({ truths }) => truths));
  const foundIds = numbering(kept.flatMap(({ found }) => found));
  const sum = (count: (frame: Kept) => number): number =>
    kept.reduce((total, each) => total + count(each), 0);
  return {
    frames: kept.map(({ truths, found }) => ({
      truths: truths.map(({ id }) => truthIds.get(id) ?? 0),
      found: found.map(({ id }) => foundIds.get(id) ?? 0),
      overlaps: overlapsOf(truths, found),
    })),
    ...{ truthIds: truthIds.size, foundIds: foundIds.size },
    ...{ truthBoxes: sum(({ truths }) => truths.length), foundBoxes: sum(({ found }) => found.length) },
  };
}

interface Kept {
  readonly truths: readonly TrackRow[];
  readonly found: readonly TrackRow[];
}

function byFrame(rows: readonly TrackRow[]): Map<number, TrackRow[]> {
  const frames = new Map<number, TrackRow[]>();
  for (const row of rows) {
    const frame = frames.get(row.frame);
    if (frame) frame.push(row);
    else frames.set(row.frame, [row]);
  }
  return frames;
}

function numbering(rows: readonly TrackRow[]): Map<number, number> {
  const ids = [...new Set(rows.map(({ id }) => id))].sort((a, b) => a - b);
  return new Map(ids.map((id, i) => [id, i]));
}

/** What of a picture counts. */
function counted(truths: readonly TrackRow[], found: readonly TrackRow[], rules: TrackRules): Kept {
  if (rules === "all") return { truths: truths.filter(({ score }) => score !== 0), found };
  for (const row of truths) if (row.category === undefined) throw needsClass(row, rules);
  const overlaps = overlapsOf(truths, found);
  const matched = matchAbove(overlaps, truths.length, found.length, 0.5);
  const onDistractor = new Set(
    matched.filter(([i]) => distractors[rules].has(truths[i].category ?? pedestrian)).map(([, k]) => k),
  );
  return {
    truths: truths.filter(({ score, category }) => Math.trunc(score) !== 0 && category === pedestrian),
    found: found.filter((_, k) => !onDistractor.has(k)),
  };
}

function needsClass({ frame, id }: TrackRow, rules: TrackRules): UsageError {
  return new UsageError(
    `identity ${id} in picture ${frame} of the labels has no class (the eighth number), which the rules of ${rules} go by; use the rules "all"`,
  );
}

/** Pairs `[row, column]` of the greatest sum of overlaps, those of at least `least`. */
function matchAbove(
  overlaps: Float64Array,
  rows: number,
  columns: number,
  least: number,
): [number, number][] {
  const scores = overlaps.map((value) => (value < least - epsilon ? 0 : -value));
  return pairs(assign(scores, rows, columns)).filter(([i, k]) => scores[i * columns + k] < -epsilon);
}

/** Of the column of each row. */
export const pairs = (columnOf: Int32Array): [number, number][] =>
  [...columnOf].flatMap((k, i): [number, number][] => (k < 0 ? [] : [[i, k]]));

function overlapsOf(truths: readonly TrackRow[], found: readonly TrackRow[]): Float64Array {
  const out = new Float64Array(truths.length * found.length);
  truths.forEach(({ box: a }, i) => {
    found.forEach(({ box: b }, k) => {
      out[i * found.length + k] = iou(a, b);
    });
  });
  return out;
}

/** 0 for boxes without area. */
function iou(a: Box, b: Box): number {
  const width = Math.max(Math.min(a.x + a.width, b.x + b.width) - Math.max(a.x, b.x), 0);
  const height = Math.max(Math.min(a.y + a.height, b.y + b.height) - Math.max(a.y, b.y), 0);
  // From corners, as trackeval computes it: what x + width loses to rounding, the area loses too.
  const area = ({ x, y, width: w, height: h }: Box): number => (x + w - x) * (y + h - y);
  const [p, q] = [area(a), area(b)];
  const union = p + q - width * height;
  return p <= epsilon || q <= epsilon || union <= epsilon ? 0 : (width * height) / union;
}
