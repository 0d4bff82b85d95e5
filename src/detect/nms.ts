/** Greedy non-maximum suppression, class by class as in YOLOv5; of turned boxes as ultralytics does it. */
import type { Candidates } from "../heads/candidates.ts";
import { probiou, type RotatedBox, type Spread, spreadOf } from "./rotated.ts";

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
 * `maxCandidates · maxDetections` comparisons, but of turned boxes (`probiou`), where those that were dropped drop others too.
 */
export function nms(candidates: Candidates, options: NmsOptions): number[] {
  const { iou: limit, maxDetections, maxCandidates = 30_000, agnostic = false } = options;
  const { boxes, scores, classes } = candidates;
  if (candidates.length === 0) return [];
  const isTurned = candidates.parts.some((part) => part?.angle !== undefined);
  const spreads = new Map<number, Spread>();
  const overlaps = isTurned
    ? (i: number, j: number): boolean => probiou(spreads.get(i)!, spreads.get(j)!) > limit
    : (i: number, j: number): boolean => overlap(boxes, i * 4, j * 4) > limit;
  const order = Uint32Array.from({ length: candidates.length }, (_, i) => i);
  order.sort((a, b) => scores[b] - scores[a] || a - b);
  const kept: number[] = [];
  const rivalsByClass = new Map<number, number[]>();
  for (const i of order.subarray(0, maxCandidates)) {
    if (kept.length >= maxDetections) break;
    const group = agnostic ? -1 : classes[i];
    let rivals = rivalsByClass.get(group);
    if (!rivals) {
      rivals = [];
      rivalsByClass.set(group, rivals);
    }
    if (isTurned) spreads.set(i, spreadOf(rotatedAt(candidates, i)));
    const isDropped = rivals.some((j) => overlaps(i, j));
    if (isTurned || !isDropped) rivals.push(i);
    if (!isDropped) kept.push(i);
  }
  return kept;
}

/** A candidate as a turned box, in pixels of the input. */
export function rotatedAt({ boxes, parts }: Candidates, i: number): RotatedBox {
  const [x0, y0, x1, y1] = boxes.subarray(i * 4, i * 4 + 4);
  const angle = parts[i]?.angle ?? 0;
  return { x: (x0 + x1) / 2, y: (y0 + y1) / 2, width: x1 - x0, height: y1 - y0, angle };
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
