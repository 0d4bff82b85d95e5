/**
 * Tensors as ncnn has them: rank 1 to 4, no batch axis. A shape lists the extents outermost first, so axis numbers
 * are ncnn's: `[w]`, `[h, w]`, `[c, h, w]`, `[c, d, h, w]`. Data is dense and row-major (no gap between channels).
 */
import { expectKind } from "../base/arguments.ts";
/** Extents, outermost first: `[channels, height, width]` for a picture. */
export type Shape = readonly number[];

/** Values and their shape, rows without gaps, the last axis innermost. */
export interface Tensor {
  readonly shape: Shape;
  /** float32 values, or the integers of a requantized int8 blob. */
  readonly data: Float32Array | Int8Array;
}

/** Values by blob name. */
export type Blobs = Record<string, Tensor>;

export function elementCount(shape: Shape): number {
  let count = 1;
  for (const extent of shape) count *= extent;
  return count;
}

/** A tensor of the values, or of zeros. */
export function tensor(shape: Shape, data?: Float32Array | Int8Array): Tensor {
  expectKind("tensor: shape", shape, "a shape (whole numbers)");
  return { shape, data: data ?? new Float32Array(elementCount(shape)) };
}

/** The ends of the ranges of a tensor's channels (its outermost axis); NaN where a channel has one. */
export interface Extremes {
  /** Of the tensor. */
  readonly shape: Shape;
  /** A number for every channel. */
  readonly least: ArrayLike<number>;
  readonly greatest: ArrayLike<number>;
}

export function extremesOf({ shape, data }: Tensor): Extremes {
  const size = data.length / shape[0];
  const [least, greatest] = [new Float32Array(shape[0]), new Float32Array(shape[0])];
  for (let c = 0; c < shape[0]; c++) {
    let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
    for (let i = c * size; i < (c + 1) * size; i++) {
      low = Math.min(low, data[i]);
      high = Math.max(high, data[i]);
    }
    least[c] = low;
    greatest[c] = high;
  }
  return { shape, least, greatest };
}

export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((extent, i) => extent === b[i]);
}

/** `320x320x3`: ncnn's order, innermost first. */
export function formatShape(shape: Shape): string {
  expectKind("formatShape: shape", shape, "a list");
  return [...shape].reverse().join("x");
}
