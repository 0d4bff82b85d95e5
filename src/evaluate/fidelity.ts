/**
 * How far a model's detections are from those of a reference model: far less noisy than the difference of two APs,
 * because every object that the reference sees is a truth with exactly known box and class.
 */
import { type DetectionRow, evaluateCoco, type GroundTruth, type ImageId } from "./coco-ap.ts";

export interface FidelityOptions {
  /** Reference detections with at least this score are the truth; default 0.25. */
  truthScore?: number;
  /** Detections of the candidate that count, per image and class; default 300. */
  maxDets?: number;
  /** Overlap from which a candidate's box is the same object, for the score change; default 0.5. */
  matchIou?: number;
}

/** COCO's sizes of objects: small below 32² pixels, large from 96² on. */
export type SizeClass = "small" | "medium" | "large";

/** One reference detection that the candidate found too. */
export interface ScorePair {
  image: ImageId;
  category: number;
  size: SizeClass;
  reference: number;
  candidate: number;
}

/** How scores of objects changed, relative to the reference. */
export interface ScoreChange {
  /** Mean of `(candidate − reference) / reference` over the matched objects; null if there are none. */
  change: number | null;
  matched: number;
  /** Reference objects without a candidate box of the same class at `matchIou`; not part of `change`. */
  missing: number;
}

/** How far the detections of one model are those of another. */
export interface Fidelity {
  /** COCO AP50-95, 0..1, of the candidate with the reference's detections as truth; −1 without any truth. */
  fidelity: number;
  /** Reference detections that are the truth. */
  objects: number;
  all: ScoreChange;
  small: ScoreChange;
  medium: ScoreChange;
  large: ScoreChange;
  /** The matched objects, in the order of the reference. */
  pairs: ScorePair[];
}

/** Both lists are to be made with `evaluationOptions` (IoU 0.6 NMS, at most 300 boxes kept above 0.001). */
export function fidelity(
  reference: readonly DetectionRow[],
  candidate: readonly DetectionRow[],
  options: FidelityOptions = {},
): Fidelity {
  const { truthScore = 0.25, maxDets = 300, matchIou = 0.5 } = options;
  const objects = reference.filter((row) => row.score >= truthScore);
  const truth: GroundTruth[] = objects.map(({ image, category, box }) => ({ image, category, box }));
  const { pairs, missing } = matchScores(objects, candidate, matchIou);
  const changeOf = (size?: SizeClass): ScoreChange => {
    const of = pairs.filter((pair) => !size || pair.size === size);
    const sum = of.reduce((total, pair) => total + (pair.candidate - pair.reference) / pair.reference, 0);
    const lost = missing.filter((row) => !size || sizeOf(row) === size);
    return { change: of.length ? sum / of.length : null, matched: of.length, missing: lost.length };
  };
  return {
    fidelity: evaluateCoco(truth, candidate, { maxDets: [maxDets] }).AP,
    objects: objects.length,
    all: changeOf(),
    small: changeOf("small"),
    medium: changeOf("medium"),
    large: changeOf("large"),
    pairs,
  };
}

/** By the area of the box in pixels of the picture: COCO's small < 32², large ≥ 96². */
function sizeOf({ box }: DetectionRow): SizeClass {
  const area = box.width * box.height;
  return area < 32 ** 2 ? "small" : area < 96 ** 2 ? "medium" : "large";
}

/**
 * For each object the candidate's box of the same image and class with the greatest IoU, if that is at least `matchIou`;
 * the better scored of equals. Objects choose independently: two may choose the same box.
 */
function matchScores(
  objects: readonly DetectionRow[],
  candidate: readonly DetectionRow[],
  matchIou: number,
): { pairs: ScorePair[]; missing: DetectionRow[] } {
  const cells = new Map<string, DetectionRow[]>();
  const keyOf = (row: DetectionRow) => `${row.category} ${row.image}`;
  for (const row of candidate) {
    const cell = cells.get(keyOf(row));
    if (cell) cell.push(row);
    else cells.set(keyOf(row), [row]);
  }
  const pairs: ScorePair[] = [];
  const missing: DetectionRow[] = [];
  for (const object of objects) {
    const best = bestOverlap(object, cells.get(keyOf(object)) ?? [], matchIou);
    if (!best) {
      missing.push(object);
      continue;
    }
    const { image, category, score } = object;
    pairs.push({ image, category, size: sizeOf(object), reference: score, candidate: best.score });
  }
  return { pairs, missing };
}

function bestOverlap(
  object: DetectionRow,
  rivals: readonly DetectionRow[],
  least: number,
): DetectionRow | undefined {
  let best: DetectionRow | undefined;
  let greatest = least;
  for (const rival of rivals) {
    const iou = overlap(object.box, rival.box);
    if (iou > greatest || (iou === greatest && (!best || rival.score > best.score))) {
      best = rival;
      greatest = iou;
    }
  }
  return best;
}

function overlap(a: DetectionRow["box"], b: DetectionRow["box"]): number {
  const width = Math.min(a.x + a.width, b.x + b.width) - Math.max(a.x, b.x);
  const height = Math.min(a.y + a.height, b.y + b.height) - Math.max(a.y, b.y);
  if (!(width > 0 && height > 0)) return 0;
  return (width * height) / (a.width * a.height + b.width * b.height - width * height);
}
