/** Boxes of the detection layers: overlap, suppression, and the [rows, 6] result. */
import { elementCount, type Shape, type Tensor } from "../ir/tensor.ts";
import { sigmoid } from "./activations.ts";

export interface Box {
  readonly label: number;
  readonly score: number;
  readonly x0: number;
  readonly y0: number;
  readonly x1: number;
  readonly y1: number;
}

const area = (b: Box): number => (b.x1 - b.x0) * (b.y1 - b.y0);

function intersection(a: Box, b: Box): number {
  const w = Math.min(a.x1, b.x1) - Math.max(a.x0, b.x0);
  const h = Math.min(a.y1, b.y1) - Math.max(a.y0, b.y0);
  return w > 0 && h > 0 ? w * h : 0;
}

export const byScore = (a: Box, b: Box): number => b.score - a.score;

/** Boxes in their order, without those that overlap an earlier kept one by more than `threshold` (IoU). */
export function suppress(boxes: readonly Box[], threshold: number): Box[] {
  const kept: Box[] = [];
  const areas: number[] = [];
  const isNew = (box: Box, own: number): boolean => {
    for (let i = 0; i < kept.length; i++) {
      const common = intersection(box, kept[i]);
      if (common > threshold * (own + areas[i] - common)) return false;
    }
    return true;
  };
  for (const box of boxes) {
    const own = area(box);
    if (!isNew(box, own)) continue;
    kept.push(box);
    areas.push(own);
  }
  return kept;
}

/** Rows of label, score, x0, y0, x1, y1. */
export function boxesToTensor(boxes: readonly Box[]): Tensor {
  const data = new Float32Array(boxes.length * 6);
  boxes.forEach((b, i) => {
    data.set([b.label, b.score, b.x0, b.y0, b.x1, b.y1], i * 6);
  });
  return { shape: [boxes.length, 6], data };
}

/** Reads values of one anchor of a YOLO head at one cell: channel `k` of the anchor. */
export interface YoloCell {
  readonly anchor: number;
  /** Cell indices and grid extents. */
  readonly x: number;
  readonly y: number;
  readonly w: number;
  readonly h: number;
  channel(k: number): number;
}

/** All cells of a head of `anchors` blocks of channels x, y, w, h, objectness, classes…; anchors outermost. */
export function* yoloCells({ shape, data }: Tensor, anchors: number): Generator<YoloCell> {
  const [channels, h, w] = shape;
  const each = channels / anchors;
  for (let anchor = 0; anchor < anchors; anchor++) {
    for (let y = 0; y < h; y++) {
      for (let x = 0; x < w; x++) {
        const first = anchor * each * h * w + y * w + x;
        yield { anchor, x, y, w, h, channel: (k) => data[first + k * h * w] };
      }
    }
  }
}

/** The box of a cell; widths are relative to the image already (`anchorW` = anchor width / image width). */
export function yoloBox(cell: YoloCell, anchorW: number, anchorH: number, label: number, score: number): Box {
  const cx = (cell.x + sigmoid(cell.channel(0))) / cell.w;
  const cy = (cell.y + sigmoid(cell.channel(1))) / cell.h;
  const w = Math.exp(cell.channel(2)) * anchorW;
  const h = Math.exp(cell.channel(3)) * anchorH;
  return { label, score, x0: cx - w / 2, y0: cy - h / 2, x1: cx + w / 2, y1: cy + h / 2 };
}

/** The most rows that YOLO heads can give. */
export function mostYoloRows(inputs: readonly Shape[], anchors: number): number {
  return inputs.reduce((sum, shape) => sum + anchors * elementCount(shape.slice(1)), 0);
}
