/**
 * Bilinear resizing of 8-bit pictures in fixed point: half-pixel centers, 11-bit weights, no low-pass filter when
 * shrinking. This is the arithmetic of ncnn's resize_bilinear_c3 (docs of ncnn2table's pipeline), and of OpenCV's
 * INTER_LINEAR except that OpenCV rounds weights that lie exactly between two 11-bit values to even: at most one level.
 */
import type { Taps } from "../ir/pixels.ts";
import { checkPicture, type Picture } from "./picture.ts";

/** Where the lines (or columns) of a picture that is `source` lines high read, if it is resized to `target`; weights add up to 2048 (±1). */
export function tapsOf(source: number, target: number): Taps {
  const out = {
    from: new Int32Array(target),
    next: new Int32Array(target),
    first: new Int32Array(target),
    second: new Int32Array(target),
  };
  const scale = source / target;
  for (let i = 0; i < target; i++) {
    const position = Math.fround((i + 0.5) * scale - 0.5);
    let from = Math.floor(position);
    let t = Math.fround(position - from);
    if (from < 0) [from, t] = [0, 0];
    if (from >= source - 1) [from, t] = [Math.max(source - 2, 0), 1];
    out.from[i] = from;
    out.next[i] = Math.min(from + 1, source - 1);
    out.first[i] = Math.trunc(Math.fround(Math.fround(1 - t) * 2048 + 0.5));
    out.second[i] = Math.trunc(Math.fround(t * 2048 + 0.5));
  }
  return out;
}

/** The picture at `width` x `height`, RGB (alpha is dropped). A picture of that size already keeps its pixels. */
export function resize(picture: Picture, width: number, height: number): Picture & { channels: 3 } {
  const data = new Uint8Array(width * height * 3);
  resizeInto(picture, width, height, data, width * 3, 0);
  return { width, height, channels: 3, data };
}

/** Writes the resized RGB rows into `out`, `pitch` bytes apart, the first at `offset`: a border is not written twice. */
export function resizeInto(
  picture: Picture,
  width: number,
  height: number,
  out: Uint8Array,
  pitch: number,
  offset: number,
): void {
  const channels = checkPicture(picture);
  if (picture.width === width && picture.height === height) {
    copyRows(picture, channels, out, pitch, offset);
    return;
  }
  const across = tapsOf(picture.width, width);
  const down = tapsOf(picture.height, height);
  for (const list of [across.from, across.next]) for (let i = 0; i < width; i++) list[i] *= channels;
  const length = width * 3;
  // Horizontally resized rows, 4 fraction bits; each source row is resized at most once.
  let upper = new Int32Array(length);
  let lower = new Int32Array(length);
  let upperRow = -1;
  let lowerRow = -1;
  for (let y = 0; y < height; y++) {
    const a = down.from[y];
    const b = down.next[y];
    if (a === lowerRow) {
      [upper, lower] = [lower, upper];
      [upperRow, lowerRow] = [lowerRow, upperRow];
    }
    if (a !== upperRow) resizeRow(picture, channels, a, across, upper);
    if (b !== lowerRow) resizeRow(picture, channels, b, across, lower);
    upperRow = a;
    lowerRow = b;
    blendRows(upper, lower, down.first[y], down.second[y], out, offset + y * pitch);
  }
}

function resizeRow(picture: Picture, channels: number, row: number, across: Taps, out: Int32Array): void {
  const { data } = picture;
  const { from, next, first, second } = across;
  const base = row * picture.width * channels;
  for (let x = 0, o = 0; x < from.length; x++, o += 3) {
    const p = base + from[x];
    const q = base + next[x];
    const a = first[x];
    const b = second[x];
    out[o] = (data[p] * a + data[q] * b) >> 4;
    out[o + 1] = (data[p + 1] * a + data[q + 1] * b) >> 4;
    out[o + 2] = (data[p + 2] * a + data[q + 2] * b) >> 4;
  }
}

function blendRows(
  upper: Int32Array,
  lower: Int32Array,
  a: number,
  b: number,
  out: Uint8Array,
  at: number,
): void {
  for (let i = 0; i < upper.length; i++) {
    const level = (((upper[i] * a) >> 16) + ((lower[i] * b) >> 16) + 2) >> 2;
    out[at + i] = Math.min(level, 255);
  }
}

function copyRows(picture: Picture, channels: number, out: Uint8Array, pitch: number, offset: number): void {
  const { width, height, data } = picture;
  for (let y = 0; y < height; y++) {
    let from = y * width * channels;
    let to = offset + y * pitch;
    if (channels === 3) out.set(data.subarray(from, from + width * 3), to);
    else {
      for (let x = 0; x < width; x++, from += 4, to += 3) {
        out[to] = data[from];
        out[to + 1] = data[from + 1];
        out[to + 2] = data[from + 2];
      }
    }
  }
}
