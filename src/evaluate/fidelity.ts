/**
 * How far a model's detections are from those of a reference model: far less noisy than the difference of two APs,
 * because every object that the reference sees is a truth with exactly known box and class.
 */
import type { Point } from "../detect/detection.ts";
import { evaluateClasses } from "./coco-ap.ts";
import { bare, byImage, type CategoryCell, Comparison, type PictureCell } from "./matching.ts";
import type { DetectionRow, GroundTruth, ImageId } from "./rows.ts";
import { type Measure, similarityOf, usualSigmas } from "./similarity.ts";

export interface FidelityOptions {
  /** What is compared; default `box`. */
  measure?: Measure;
  /** Spread of each key point; default COCO's for 17 points, else 1 / their number. */
  sigmas?: readonly number[];
  /** Reference detections with at least this score are the truth; default 0.25. */
  truthScore?: number;
  /** Detections of the candidate that count, per image and class; default 300. */
  maxDets?: number;
  /** Overlap (or similarity of key points) from which a candidate's is the same object, for the score change; default 0.5. */
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
  /** Reference objects without a candidate of the same class at `matchIou`; not part of `change`. */
  missing: number;
}

/** How far the detections of one model are those of another. */
export interface Fidelity {
  /** COCO AP50-95 by the measure, 0..1, of the candidate with the reference's detections as truth; −1 without any truth. */
  fidelity: number;
  /** The same of the boxes, where objects are compared by key points. */
  boxes?: number;
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
  const points = reference[0]?.points?.length ?? 0;
  const tally = new FidelityTally({ sigmas: usualSigmas(points), ...options });
  const [first, second] = [byImage(reference), byImage(candidate)];
  for (const image of new Set([...first.keys(), ...second.keys()])) {
    tally.add(image, first.get(image) ?? [], second.get(image) ?? []);
  }
  return tally.result();
}

/** So much less alike is as good. */
const hardlyLess = 0.05;
/** Score from which a key point of the reference counts, if any of the object has it. */
const leastPointScore = 0.5;

/** What one picture says: its cells, and of each object of the reference its size and perhaps its scores. */
interface ComparedPicture {
  readonly main: readonly CategoryCell[];
  readonly boxes: readonly CategoryCell[] | undefined;
  readonly pairs: readonly ScorePair[];
  readonly missing: readonly SizeClass[];
}

/** Fidelity over pictures that come one after another; keeps no masks. */
export class FidelityTally {
  private readonly comparison: Comparison;
  private readonly options: Required<Omit<FidelityOptions, "sigmas" | "maxDets">>;
  private readonly pairs: ScorePair[] = [];
  private readonly missing: SizeClass[] = [];
  private readonly maxDets: number;
  private readonly boxes: Comparison | undefined;

  constructor(options: FidelityOptions = {}) {
    const { measure = "box", truthScore = 0.25, matchIou = 0.5, maxDets = 300, sigmas } = options;
    this.options = { measure, truthScore, matchIou };
    this.maxDets = maxDets;
    this.comparison = new Comparison(similarityOf(measure, sigmas), maxDets);
    if (measure === "points") this.boxes = new Comparison(similarityOf("box"), maxDets);
  }

  /** Adds a picture; all rows are of it. */
  add(image: ImageId, reference: readonly DetectionRow[], candidate: readonly DetectionRow[]): void {
    this.take(this.of(image, reference, candidate));
  }

  /** What a picture says, as plain data. */
  of(
    image: ImageId,
    reference: readonly DetectionRow[],
    candidate: readonly DetectionRow[],
  ): ComparedPicture {
    const objects = reference.filter((row) => row.score >= this.options.truthScore);
    const truth = objects.map((row) => truthOf(row, this.options.measure));
    const best = new Map<GroundTruth, number>();
    const cells = this.comparison.cells(image, truth, candidate);
    for (const cell of cells) this.match(cell, best);
    const boxes = this.boxes && bare(this.boxes.cells(image, truth, candidate));
    const pairs: ScorePair[] = [];
    const missing: SizeClass[] = [];
    for (const [i, row] of objects.entries()) {
      const [size, candidateScore] = [sizeOf(row), best.get(truth[i])];
      if (candidateScore === undefined) missing.push(size);
      else {
        const { category, score } = row;
        pairs.push({ image, category, size, reference: score, candidate: candidateScore });
      }
    }
    return { main: bare(cells), boxes, pairs, missing };
  }

  /** Adds a picture that `of` was asked about, here or elsewhere. */
  take({ main, boxes, pairs, missing }: ComparedPicture): void {
    this.comparison.take(main);
    if (boxes) this.boxes?.take(boxes);
    this.pairs.push(...pairs);
    this.missing.push(...missing);
  }

  /**
   * The score of each object's most alike candidate of the same class, if they are at least `matchIou` alike; of those that are hardly less
   * alike the best scored, since a weak double may have the same mask. Objects choose independently: two may choose the same box.
   */
  private match({ truth, found, cell }: PictureCell, best: Map<GroundTruth, number>): void {
    for (const [g, object] of truth.entries()) {
      const overlap = (d: number): number => cell.overlaps[d * truth.length + g];
      const greatest = found.reduce((most, _, d) => Math.max(most, overlap(d)), 0);
      const least = Math.max(this.options.matchIou, greatest - hardlyLess);
      const chosen = found.findIndex((_, d) => overlap(d) >= least);
      if (chosen >= 0) best.set(object, found[chosen].score);
    }
  }

  result(): Fidelity {
    const { pairs, missing, maxDets } = this;
    const { measure } = this.options;
    const limits = { maxDets: [maxDets] };
    const changeOf = (size?: SizeClass): ScoreChange => {
      const of = pairs.filter((pair) => !size || pair.size === size);
      const sum = of.reduce((total, pair) => total + (pair.candidate - pair.reference) / pair.reference, 0);
      const lost = missing.filter((each) => !size || each === size);
      return { change: of.length ? sum / of.length : null, matched: of.length, missing: lost.length };
    };
    return {
      fidelity: evaluateClasses(this.comparison.classes(), { measure, ...limits }).AP,
      ...(this.boxes && { boxes: evaluateClasses(this.boxes.classes(), limits).AP }),
      objects: pairs.length + missing.length,
      all: changeOf(),
      small: changeOf("small"),
      medium: changeOf("medium"),
      large: changeOf("large"),
      pairs,
    };
  }
}

function truthOf(
  { image, category, box, mask, corners, points }: DetectionRow,
  measure: Measure,
): GroundTruth {
  const object = { image, category, box, mask, corners };
  if (measure !== "points" || !points) return object;
  const isSure = ({ score = 1 }: Point) => score >= leastPointScore;
  const any = points.some(isSure);
  return {
    ...object,
    points: points.map((point) => ({ x: point.x, y: point.y, labelled: !any || isSure(point) })),
  };
}

/** By the area of the box in pixels of the picture: COCO's small < 32², large ≥ 96². */
function sizeOf({ box }: DetectionRow): SizeClass {
  const area = box.width * box.height;
  return area < 32 ** 2 ? "small" : area < 96 ** 2 ? "medium" : "large";
}
