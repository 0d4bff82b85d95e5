/** Model outputs to detections in the original picture: decode, suppress, map back, clip. */

import { described, expectKind } from "../base/arguments.ts";
import { UsageError } from "../base/errors.ts";
import type { Sieve } from "../base/sieve.ts";
import { brief } from "../base/text.ts";
import { Candidates } from "../heads/candidates.ts";
import { decodeHead, needsNms, taskOf } from "../heads/index.ts";
import type { Manifest } from "../heads/manifest.ts";
import type { Tensor } from "../ir/tensor.ts";
import { maskAt } from "./_mask-at.ts";
import type { Box, Detection, Point } from "./detection.ts";
import { type Transform, toSource } from "./letterbox.ts";
import { nms, rotatedAt } from "./nms.ts";
import { cornersOf, type RotatedBox, scaledRotated } from "./rotated.ts";

/** What counts. */
export interface DetectOptions {
  /** Least score, 0..1; default 0.25, for classes of pictures 0. */
  confidence?: number;
  /** Overlap above which the weaker of two boxes is dropped, 0..1; default 0.45. */
  iou?: number;
  /** Most boxes per picture; default 300. For classes of pictures the best so many; default 5. */
  maxDetections?: number;
  /**
   * Every class of a box that passes counts, as when YOLOv5 measures accuracy; default only the best. Classes of pictures always do.
   */
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
 * (`toTensor`). Throws UsageError for wrong options, GraphError when outputs do not fit the manifest. `sieve`: what finds large values in
 * these outputs, where there is something faster than the usual.
 */
export function postprocess(
  outputs: Readonly<Record<string, Tensor>>,
  manifest: Pick<Manifest, "heads" | "labels">,
  transform: Transform,
  options: DetectOptions = {},
  sieve?: Sieve,
): Detection[] {
  expectKind("postprocess: outputs", outputs, "an object");
  expectKind("postprocess: manifest", manifest, "an object");
  expectKind("postprocess: manifest.heads", manifest.heads, "a list");
  expectKind("postprocess: manifest.labels", manifest.labels, "a list");
  expectKind("postprocess: transform", transform, "an object");
  expectKind("postprocess: options", options, "an object of options");
  const isSorting = manifest.heads.length > 0 && taskOf(manifest.heads) === "classify";
  const {
    confidence = isSorting ? 0 : 0.25,
    iou = 0.45,
    maxDetections = isSorting ? 5 : 300,
    multiLabel = false,
    agnostic = false,
  } = options;
  expectKind("confidence", confidence, "a number from 0 to 1");
  expectKind("iou", iou, "a number from 0 to 1");
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
  const candidates = scratch.clear();
  const decoding = { confidence, multiLabel: multiLabel || isSorting, allowed, width, height, sieve };
  for (const head of heads) decodeHead(head, outputs, labels.length, decoding, candidates);
  const kept = nms(candidates, { iou: needsNms(heads) ? iou : 1, maxDetections, agnostic });
  const found = kept.flatMap((i) => detectionAt(candidates, i, labels, transform, isSorting) ?? []);
  candidates.clear();
  return found;
}

/** Boxes of one picture: a steady stream of them makes no new lists. */
const scratch = new Candidates();

/** Nothing for a box that lies wholly in the border, and for a mask without pixels. */
function detectionAt(
  candidates: Candidates,
  i: number,
  labels: readonly string[],
  transform: Transform,
  isSorting: boolean,
): Detection | undefined {
  const { boxes, scores, classes, parts } = candidates;
  const found = { label: labels[classes[i]], classId: classes[i], score: scores[i] };
  if (isSorting) return { task: "classify", ...found };
  const { points, mask, angle } = parts[i] ?? {};
  const [x0, y0, x1, y1] = boxes.subarray(i * 4, i * 4 + 4);
  const rotated = angle === undefined ? undefined : rotatedInSource(rotatedAt(candidates, i), transform);
  const box = rotated
    ? boxAbout(cornersOf(rotated), transform)
    : clippedBox([...toSource(transform, x0, y0), ...toSource(transform, x1, y1)], transform);
  if (!(box.width > 0 && box.height > 0)) return undefined;
  if (rotated) return { task: "obb", ...found, box, rotated };
  if (points) return { task: "pose", ...found, box, points: pointsAt(points, transform) };
  if (!mask) return { task: "detect", ...found, box };
  const pixels = maskAt(mask, box, transform);
  return pixels.counts.length > 1 ? { task: "segment", ...found, box, mask: pixels } : undefined;
}

const clamp = (value: number, limit: number): number => Math.min(Math.max(value, 0), limit);

/** A box from its left top and right bottom corner; of a size below 0 where they are the other way round. */
function clippedBox([x0, y0, x1, y1]: readonly number[], { sourceWidth, sourceHeight }: Transform): Box {
  const [x, y] = [clamp(x0, sourceWidth), clamp(y0, sourceHeight)];
  return { x, y, width: clamp(x1, sourceWidth) - x, height: clamp(y1, sourceHeight) - y };
}

/** The least box about corners `x y x y …`, clipped to the picture. */
function boxAbout(corners: ArrayLike<number>, { sourceWidth, sourceHeight }: Transform): Box {
  let [left, top, right, bottom] = [sourceWidth, sourceHeight, 0, 0];
  for (let i = 0; i < corners.length; i += 2) {
    const [x, y] = [clamp(corners[i], sourceWidth), clamp(corners[i + 1], sourceHeight)];
    [left, top, right, bottom] = [
      Math.min(left, x),
      Math.min(top, y),
      Math.max(right, x),
      Math.max(bottom, y),
    ];
  }
  return { x: left, y: top, width: right - left, height: bottom - top };
}

function rotatedInSource(box: RotatedBox, transform: Transform): RotatedBox {
  const [x, y] = toSource(transform, box.x, box.y);
  return { ...scaledRotated(box, 1 / transform.scaleX, 1 / transform.scaleY), x, y };
}

function pointsAt(points: Float64Array, transform: Transform): Point[] {
  const { sourceWidth, sourceHeight } = transform;
  return Array.from({ length: points.length / 3 }, (_, i) => {
    const [x, y] = toSource(transform, points[3 * i], points[3 * i + 1]);
    const score = points[3 * i + 2];
    if (Number.isNaN(score)) return { x, y };
    return { x: clamp(x, sourceWidth), y: clamp(y, sourceHeight), score };
  });
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
