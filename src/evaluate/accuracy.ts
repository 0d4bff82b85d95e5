/** What is measured of a model against the labels of pictures that come one after another. */
import { UsageError } from "../base/errors.ts";
import { apChange, type Change } from "./bootstrap.ts";
import { type CocoResult, type DotaResult, evaluateClasses, evaluateDota, usualLimits } from "./coco-ap.ts";
import { bare, type CategoryCell, type ClassCells, Comparison } from "./matching.ts";
import type { DetectionRow, GroundTruth, ImageId } from "./rows.ts";
import { type Measure, probSimilarity, similarityOf } from "./similarity.ts";

/** How often the right class is the first, or among the first five: shares of the pictures, 0..1; −1 without any. */
export interface TopResult {
  top1: number;
  top5: number;
  /** Every class that pictures are labelled with, ascending. */
  perClass: { category: number; pictures: number; top1: number; top5: number }[];
}

/** Against the ground truth, fractions 0..1. */
export interface Accuracy {
  /** What `coco` compares; missing where pictures are sorted into classes. */
  measure?: Measure;
  /** COCO's figures by the measure of the task: boxes, masks, key points (OKS) or turned boxes as polygons. */
  coco?: CocoResult;
  /** Of the boxes of objects that are measured by masks or key points. */
  boxes?: CocoResult;
  /** Of turned boxes: DOTA's task 1. */
  dota?: DotaResult;
  /** Of turned boxes: COCO's figures by ProbIoU instead of polygons, near what ultralytics prints. */
  probiou?: { AP: number; AP50: number };
  /** Where pictures are sorted into classes. */
  top?: TopResult;
}

/** What one picture says of a model: its cells, and whether its objects have key points, where it has some. */
interface ObjectPicture {
  readonly image: ImageId;
  readonly hasPoints: boolean | undefined;
  readonly main: readonly CategoryCell[] | undefined;
  readonly boxes: readonly CategoryCell[] | undefined;
  readonly prob: readonly CategoryCell[] | undefined;
}

function pointsIn(image: ImageId, truth: readonly GroundTruth[]): boolean | undefined {
  if (!truth.length) return undefined;
  const hasPoints = truth[0].points !== undefined;
  const other = truth.find(({ points }) => (points !== undefined) !== hasPoints);
  if (other) throw otherPoints(image, !hasPoints);
  return hasPoints;
}

const otherPoints = (image: ImageId, hasPoints: boolean): UsageError =>
  new UsageError(
    `picture ${JSON.stringify(image)}: an object with${hasPoints ? "" : "out"} key points, unlike those before it`,
  );

/** Collects pictures of one model. */
export class ObjectAccuracy {
  private readonly measure: Measure;
  private readonly main: Comparison;
  private readonly boxes: Comparison | undefined;
  private readonly prob: Comparison | undefined;
  /** Whether objects have key points; face detectors are also measured on pictures that have none. */
  private hasPoints: boolean | undefined;

  constructor(measure: Measure, sigmas: readonly number[]) {
    const limit = (of: Measure) => usualLimits(of)[usualLimits(of).length - 1];
    this.measure = measure;
    this.main = new Comparison(similarityOf(measure, sigmas), limit(measure));
    if (measure === "mask" || measure === "points")
      this.boxes = new Comparison(similarityOf("box"), limit("box"));
    if (measure === "corners") this.prob = new Comparison(probSimilarity, limit("corners"));
  }

  /** Adds a picture; all rows are of it. Throws UsageError where only some objects have key points. */
  add(image: ImageId, truth: readonly GroundTruth[], found: readonly DetectionRow[]): void {
    this.take(this.of(image, truth, found));
  }

  /** What a picture says, as plain data. */
  of(image: ImageId, truth: readonly GroundTruth[], found: readonly DetectionRow[]): ObjectPicture {
    const hasPoints = this.measure === "points" ? pointsIn(image, truth) : undefined;
    const cells = (of: Comparison | undefined) => of && bare(of.cells(image, truth, found));
    return {
      ...{ image, hasPoints, boxes: cells(this.boxes), prob: cells(this.prob) },
      main: hasPoints === false ? undefined : cells(this.main),
    };
  }

  /** Adds a picture that `of` was asked about, here or elsewhere. */
  take({ image, hasPoints, main, boxes, prob }: ObjectPicture): void {
    this.hasPoints ??= hasPoints;
    if (hasPoints !== undefined && hasPoints !== this.hasPoints) throw otherPoints(image, hasPoints);
    if (main) this.main.take(main);
    if (boxes) this.boxes?.take(boxes);
    if (prob) this.prob?.take(prob);
  }

  /** The classes that AP is of, and what compares them. */
  private headline(): { measure: Measure; classes: ClassCells[] } {
    if (this.boxes && this.hasPoints === false) return { measure: "box", classes: this.boxes.classes() };
    return { measure: this.measure, classes: this.main.classes() };
  }

  result(): Accuracy {
    const { measure, classes } = this.headline();
    const prob = this.prob && evaluateClasses(this.prob.classes(), { measure });
    return {
      measure,
      coco: evaluateClasses(classes, { measure }),
      ...(this.boxes && measure !== "box" && { boxes: evaluateClasses(this.boxes.classes()) }),
      ...(prob && { dota: evaluateDota(classes), probiou: { AP: prob.AP, AP50: prob.AP50 } }),
    };
  }

  /** AP less that of another model, on the same `images` pictures. */
  changeFrom(first: this, images: number): Change | undefined {
    return apChange(first.headline().classes, this.headline().classes, images);
  }
}
