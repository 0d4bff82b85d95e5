/** Model outputs to detections in the original picture: decode, suppress, map back, clip. */

import { described, expectKind } from "../base/arguments.ts";
import { UsageError } from "../base/errors.ts";
import { brief } from "../base/text.ts";
import { Candidates } from "../heads/candidates.ts";
import { decodeHead, needsNms } from "../heads/index.ts";
import type { Manifest } from "../heads/manifest.ts";
import type { Tensor } from "../ir/tensor.ts";
import { type Transform, toSource } from "./letterbox.ts";
import { nms } from "./nms.ts";

/** Left top corner and extent, in pixels of the original picture. */
export interface Box {
  x: number;
  y: number;
  width: number;
  height: number;
}

/** A landmark or key point, in pixels of the original picture; it may lie outside of it. */
export interface Point {
  x: number;
  y: number;
  /** How surely it is seen, 0..1, where the model says so. */
  score?: number;
}

/** One object that was found. */
export interface Detection {
  label: string;
  /** Index of the label. */
  classId: number;
  /** objectness · class probability, 0..1. */
  score: number;
  /** Clipped to the picture. */
  box: Box;
  /** In the order of the model, as many for each object; missing where the model has none. */
  points?: Point[];
}

/** Which boxes count. */
export interface DetectOptions {
  /** Least score, 0..1; default 0.25. */
  confidence?: number;
  /** Overlap above which the weaker of two boxes is dropped, 0..1; default 0.45. */
  iou?: number;
  /** Most boxes per picture; default 300. */
  maxDetections?: number;
  /** Every class of a box that passes counts, as when YOLOv5 measures accuracy; default only the best. */
  multiLabel?: boolean;
  /** Boxes of different classes suppress each other; default no. */
  agnostic?: boolean;
  /** Only these classes, by number or by label; default all. */
  classes?: readonly (number | string)[];
}

/** The settings with which accuracy is measured: YOLOv5's validation. */
export const evaluationOptions = {
  confidence: 0.001,
  iou: 0.6,
  maxDetections: 300,
  multiLabel: true,
} as const satisfies DetectOptions;

/**
 * Detections from the raw outputs by blob name, best score first. `transform` is how the picture was placed in the input
 * (`toTensor`). Throws UsageError for wrong options, GraphError when outputs do not fit the manifest.
 */
export function postprocess(
  outputs: Readonly<Record<string, Tensor>>,
  manifest: Pick<Manifest, "heads" | "labels">,
  transform: Transform,
  options: DetectOptions = {},
): Detection[] {
  expectKind("postprocess: outputs", outputs, "an object");
  expectKind("postprocess: manifest", manifest, "an object");
  expectKind("postprocess: manifest.heads", manifest.heads, "a list");
  expectKind("postprocess: manifest.labels", manifest.labels, "a list");
  expectKind("postprocess: transform", transform, "an object");
  expectKind("postprocess: options", options, "an object of options");
  const {
    confidence = 0.25,
    iou = 0.45,
    maxDetections = 300,
    multiLabel = false,
    agnostic = false,
  } = options;
  checkFraction("confidence", confidence);
  checkFraction("iou", iou);
  if (!(typeof maxDetections === "number" && maxDetections >= 0)) {
    throw new UsageError(`maxDetections is ${described(maxDetections)}, expected a number of at least 0`);
  }
  expectKind("multiLabel", multiLabel, "true or false");
  expectKind("agnostic", agnostic, "true or false");
  const { heads, labels } = manifest;
  if (!heads.length) {
    throw new UsageError(
      "the model manifest has no heads, so its outputs cannot be read as boxes; run it for raw outputs",
    );
  }
  const { width, height } = transform;
  const allowed = allowedClasses(options.classes, labels);
  const candidates = new Candidates();
  const decoding = { confidence, multiLabel, allowed, width, height };
  for (const head of heads) decodeHead(head, outputs, labels.length, decoding, candidates);
  const kept = nms(candidates, { iou: needsNms(heads) ? iou : 1, maxDetections, agnostic });
  // A box that lies wholly in the border has nothing left after clipping.
  return kept
    .map((i) => detectionAt(candidates, i, labels, transform))
    .filter(({ box }) => box.width > 0 && box.height > 0);
}

function detectionAt(
  { boxes, scores, classes, parts }: Candidates,
  i: number,
  labels: readonly string[],
  transform: Transform,
): Detection {
  const clamp = (value: number, limit: number) => Math.min(Math.max(value, 0), limit);
  const [x0, y0] = toSource(transform, boxes[i * 4], boxes[i * 4 + 1]);
  const [x1, y1] = toSource(transform, boxes[i * 4 + 2], boxes[i * 4 + 3]);
  const x = clamp(x0, transform.sourceWidth);
  const y = clamp(y0, transform.sourceHeight);
  const width = clamp(x1, transform.sourceWidth) - x;
  const height = clamp(y1, transform.sourceHeight) - y;
  const found = { label: labels[classes[i]], classId: classes[i], score: scores[i] };
  const box = { x, y, width, height };
  const points = parts[i]?.points;
  return points ? { ...found, box, points: pointsAt(points, transform) } : { ...found, box };
}

function pointsAt(points: Float64Array, transform: Transform): Point[] {
  return Array.from({ length: points.length / 3 }, (_, i) => {
    const [x, y] = toSource(transform, points[3 * i], points[3 * i + 1]);
    const score = points[3 * i + 2];
    return Number.isNaN(score) ? { x, y } : { x, y, score };
  });
}

function checkFraction(name: string, value: number): void {
  if (!(typeof value === "number" && value >= 0 && value <= 1)) {
    throw new UsageError(`${name} is ${described(value)}, expected a number from 0 to 1`);
  }
}

function allowedClasses(
  classes: DetectOptions["classes"],
  labels: readonly string[],
): Uint8Array | undefined {
  if (classes === undefined) return undefined;
  expectKind("classes", classes, "a list");
  const allowed = new Uint8Array(labels.length);
  for (const wanted of classes) {
    const id = typeof wanted === "number" ? wanted : labels.indexOf(wanted);
    if (!Number.isInteger(id) || id < 0 || id >= labels.length) {
      throw new UsageError(
        `class ${JSON.stringify(wanted)}: the model has classes 0 to ${labels.length - 1}: ${brief(labels.slice(0, 100).join(", "))}`,
      );
    }
    allowed[id] = 1;
  }
  return allowed;
}
