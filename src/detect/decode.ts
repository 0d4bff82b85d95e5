/** Raw head tensors to candidate boxes in pixels of the network's input. One function per decode kind. */

import { GraphError } from "../base/errors.ts";
import { sigmoid } from "../base/maths.ts";
import type { Head, Yolov5Head } from "../ir/manifest.ts";
import { formatShape, type Tensor } from "../ir/tensor.ts";

/** A growing list of scored boxes, one typed array per field. */
export class Candidates {
  length = 0;
  /** `x0 y0 x1 y1` per box. */
  boxes = new Float64Array(4 * 256);
  scores = new Float64Array(256);
  classes = new Int32Array(256);

  add(x0: number, y0: number, x1: number, y1: number, score: number, classId: number): void {
    const i = this.length++;
    if (i === this.scores.length) this.grow();
    this.boxes[i * 4] = x0;
    this.boxes[i * 4 + 1] = y0;
    this.boxes[i * 4 + 2] = x1;
    this.boxes[i * 4 + 3] = y1;
    this.scores[i] = score;
    this.classes[i] = classId;
  }
  private grow(): void {
    const larger = <T extends Float64Array | Int32Array>(old: T, bigger: T): T => {
      bigger.set(old);
      return bigger;
    };
    this.boxes = larger(this.boxes, new Float64Array(this.boxes.length * 2));
    this.scores = larger(this.scores, new Float64Array(this.scores.length * 2));
    this.classes = larger(this.classes, new Int32Array(this.classes.length * 2));
  }
}

export interface DecodeOptions {
  /** Boxes with a score at or below it are dropped. */
  confidence: number;
  /** A candidate for every class above `confidence` instead of one for the best class. */
  multiLabel: boolean;
  /** Classes that may occur: `allowed[classId]` is nonzero; all when absent. */
  allowed?: Uint8Array;
  /** Size of the input tensor that the head was computed from, in pixels. */
  width: number;
  height: number;
}

/** Adds the boxes of one head's output tensor to `out`. Throws GraphError when its shape does not fit the head. */
export function decodeHead(
  head: Head,
  output: Tensor,
  classes: number,
  options: DecodeOptions,
  out: Candidates,
): void {
  switch (head.kind) {
    case "yolov5":
      decodeYolov5(head, output, classes, options, out);
  }
}

/** Inverse of the sigmoid; below 0 and above 1 everything or nothing passes. */
const logit = (p: number): number =>
  p <= 0 ? Number.NEGATIVE_INFINITY : p >= 1 ? Number.POSITIVE_INFINITY : Math.log(p / (1 - p));
/** Logit comparisons are only a quick sieve before the score itself is compared, so they may let a little more pass. */
const slack = 1e-6;

function decodeYolov5(
  head: Yolov5Head,
  output: Tensor,
  classes: number,
  options: DecodeOptions,
  out: Candidates,
): void {
  const { data } = output;
  const { confidence } = options;
  const gridWidth = Math.ceil(options.width / head.stride);
  const cells = gridWidth * Math.ceil(options.height / head.stride);
  const values = 5 + classes;
  const anchors = head.anchors.length / 2;
  const expected = [anchors, cells, values];
  if (output.shape.length !== 3 || expected.some((extent, i) => extent !== output.shape[i])) {
    throw new GraphError(
      `head "${head.blob}": output is ${formatShape(output.shape)}, expected ${formatShape(expected)} (5 + ${classes} labels, cells of a ${options.width}x${options.height} input at stride ${head.stride}, anchors)`,
    );
  }
  // score = σ(objectness)·σ(class) is never above σ(objectness): most cells end at one comparison of logits.
  const least = logit(confidence) - slack;
  for (let row = 0, at = 0; row < anchors * cells; row++, at += values) {
    if (!(data[at + 4] > least)) continue;
    const objectness = sigmoid(data[at + 4]);
    if (options.multiLabel) {
      const leastClass = logit(confidence / objectness) - slack;
      for (let k = 0; k < classes; k++) {
        if (!(data[at + 5 + k] > leastClass)) continue;
        addYolov5(head, row, cells, gridWidth, data, at, k, objectness, options, out);
      }
    } else {
      const best = bestClass(data, at + 5, classes, options.allowed);
      if (best >= 0) addYolov5(head, row, cells, gridWidth, data, at, best, objectness, options, out);
    }
  }
}

/** First class with the greatest logit among the allowed, or −1. */
function bestClass(data: ArrayLike<number>, at: number, classes: number, allowed?: Uint8Array): number {
  let best = -1;
  let greatest = Number.NEGATIVE_INFINITY;
  for (let k = 0; k < classes; k++) {
    if (data[at + k] > greatest && (!allowed || allowed[k])) {
      best = k;
      greatest = data[at + k];
    }
  }
  return best;
}

/** Adds the box at `data[at]` with its class if the score passes; NaN boxes (a broken model) never do. */
function addYolov5(
  head: Yolov5Head,
  row: number,
  cells: number,
  gridWidth: number,
  data: ArrayLike<number>,
  at: number,
  classId: number,
  objectness: number,
  { confidence, allowed }: DecodeOptions,
  out: Candidates,
): void {
  const score = objectness * sigmoid(data[at + 5 + classId]);
  if (!(score > confidence) || (allowed && !allowed[classId])) return;
  const anchor = Math.floor(row / cells);
  const cell = row - anchor * cells;
  const gridY = Math.floor(cell / gridWidth);
  const x = (2 * sigmoid(data[at]) - 0.5 + (cell - gridY * gridWidth)) * head.stride;
  const y = (2 * sigmoid(data[at + 1]) - 0.5 + gridY) * head.stride;
  const halfWidth = 2 * sigmoid(data[at + 2]) ** 2 * head.anchors[anchor * 2];
  const halfHeight = 2 * sigmoid(data[at + 3]) ** 2 * head.anchors[anchor * 2 + 1];
  if (Number.isNaN(x + y + halfWidth + halfHeight)) return;
  out.add(x - halfWidth, y - halfHeight, x + halfWidth, y + halfHeight, score, classId);
}
