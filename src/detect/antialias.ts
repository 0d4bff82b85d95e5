/**
 * Resizing of 8-bit pictures by triangles that widen as the picture shrinks, so that every pixel counts: Pillow's arithmetic for
 * `BILINEAR` (weights of 22 bits, rounded to levels after each axis, columns first). Networks that sort pictures are trained with it.
 */
import { checkPicture, type Picture } from "./picture.ts";

/** A part of the resized picture, in its pixels. */
export interface Window {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

const weightBits = 22;
const half = 2 ** (weightBits - 1);

/** What the pixels of one line are made from. */
interface Taps {
  /** First source pixel of each, from the first one needed on. */
  readonly from: Int32Array;
  readonly counts: Int32Array;
  /** Weights of all, one after the other. */
  readonly weights: Int32Array;
  /** Source pixels that are needed. */
  readonly first: number;
  readonly length: number;
}

/** Pixels `start … start + count − 1` of a line of `source` pixels that becomes one of `target`. */
function taps(source: number, target: number, start: number, count: number): Taps {
  const scale = source / target;
  const reach = Math.max(scale, 1);
  const places = Array.from({ length: count }, (_, i) => {
    const center = (start + i + 0.5) * scale;
    const from = Math.max(Math.trunc(center - reach + 0.5), 0);
    const to = Math.min(Math.trunc(center + reach + 0.5), source);
    const parts = Array.from({ length: to - from }, (_, k) =>
      Math.max(1 - Math.abs((from + k - center + 0.5) / reach), 0),
    );
    const sum = parts.reduce((a, b) => a + b, 0);
    return { from, weights: parts.map((part) => Math.trunc((part / sum) * 2 ** weightBits + 0.5)) };
  });
  const first = Math.min(...places.map(({ from }) => from));
  const end = Math.max(...places.map(({ from, weights }) => from + weights.length));
  return {
    from: Int32Array.from(places, ({ from }) => from - first),
    counts: Int32Array.from(places, ({ weights }) => weights.length),
    weights: Int32Array.from(places.flatMap(({ weights }) => weights)),
    first,
    length: end - first,
  };
}

/**
 * Writes the window of the picture at `width` x `height` into `out`, RGB (alpha is dropped), rows `pitch` bytes apart, the first at
 * `offset`. The window lies in the resized picture.
 */
export function antialiasInto(
  picture: Picture,
  width: number,
  height: number,
  window: Window,
  out: Uint8Array,
  pitch: number,
  offset: number,
): void {
  const channels = checkPicture(picture);
  const across = taps(picture.width, width, window.x, window.width);
  const down = taps(picture.height, height, window.y, window.height);
  const length = window.width * 3;
  const rows = new Uint8Array(down.length * length);
  for (let row = 0; row < down.length; row++) {
    const base = ((down.first + row) * picture.width + across.first) * channels;
    for (let x = 0, o = row * length, w = 0; x < window.width; x++, o += 3) {
      let [r, g, b] = [half, half, half];
      let at = base + across.from[x] * channels;
      for (let k = 0; k < across.counts[x]; k++, at += channels) {
        const weight = across.weights[w++];
        r += picture.data[at] * weight;
        g += picture.data[at + 1] * weight;
        b += picture.data[at + 2] * weight;
      }
      rows[o] = Math.min(r >> weightBits, 255);
      rows[o + 1] = Math.min(g >> weightBits, 255);
      rows[o + 2] = Math.min(b >> weightBits, 255);
    }
  }
  for (let y = 0, w = 0; y < window.height; w += down.counts[y], y++) {
    const top = down.from[y] * length;
    for (let i = 0; i < length; i++) {
      let sum = half;
      for (let k = 0; k < down.counts[y]; k++) sum += rows[top + k * length + i] * down.weights[w + k];
      out[offset + y * pitch + i] = Math.min(sum >> weightBits, 255);
    }
  }
}
