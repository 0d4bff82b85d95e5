/** Greedy non-maximum suppression, class by class as in YOLOv5. */
import type { Candidates } from "../heads/candidates.ts";

export interface NmsOptions {
  /** A box that overlaps a better one of its class by more than this intersection over union is dropped. */
  iou: number;
  /** Most boxes that are kept, over all classes. */
  maxDetections: number;
  /** Only this many best candidates are looked at, which bounds the work. */
  maxCandidates?: number;
  /** Boxes of different classes suppress each other too. */
  agnostic?: boolean;
}

/**
 * Indices of the boxes to keep, best score first; equal scores keep their order. Work is at most
 * `maxCandidates · maxDetections` comparisons.
 */
export function nms(candidates: Candidates, options: NmsOptions): number[] {
  const { iou: limit, maxDetections, maxCandidates = 30_000, agnostic = false } = options;
  const { boxes, scores, classes } = candidates;
  const order = Uint32Array.from({ length: candidates.length }, (_, i) => i);
  order.sort((a, b) => scores[b] - scores[a] || a - b);
  const kept: number[] = [];
  const keptByClass = new Map<number, number[]>();
  for (const i of order.subarray(0, maxCandidates)) {
    if (kept.length >= maxDetections) break;
    const group = agnostic ? -1 : classes[i];
    let rivals = keptByClass.get(group);
    if (!rivals) {
      rivals = [];
      keptByClass.set(group, rivals);
    }
    if (rivals.some((j) => overlap(boxes, i * 4, j * 4) > limit)) continue;
    rivals.push(i);
    kept.push(i);
  }
  return kept;
}

/** Intersection over union of the boxes `x0 y0 x1 y1` at two places of `boxes`; 0 where both are empty. */
function overlap(boxes: Float64Array, a: number, b: number): number {
  const width = Math.min(boxes[a + 2], boxes[b + 2]) - Math.max(boxes[a], boxes[b]);
  const height = Math.min(boxes[a + 3], boxes[b + 3]) - Math.max(boxes[a + 1], boxes[b + 1]);
  if (!(width > 0 && height > 0)) return 0;
  const shared = width * height;
  const areaA = (boxes[a + 2] - boxes[a]) * (boxes[a + 3] - boxes[a + 1]);
  const areaB = (boxes[b + 2] - boxes[b]) * (boxes[b + 3] - boxes[b + 1]);
  return shared / (areaA + areaB - shared);
}
