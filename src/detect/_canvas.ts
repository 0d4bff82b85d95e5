/** Shapes in plain RGBA pixels. */
import type { Letters } from "./lettering.ts";
import type { Mask } from "./mask.ts";
import type { Picture } from "./picture.ts";

export type Color = readonly [red: number, green: number, blue: number];

/** Fills `[x0, x1) x [y0, y1)`, as much of it as lies in the picture. */
export function fillRect(
  canvas: Picture,
  x0: number,
  y0: number,
  x1: number,
  y1: number,
  [r, g, b]: Color,
): void {
  const { width, height, data } = canvas;
  const left = Math.max(x0, 0);
  const right = Math.min(x1, width);
  for (let y = Math.max(y0, 0); y < Math.min(y1, height); y++) {
    for (let x = left, i = (y * width + left) * 4; x < right; x++, i += 4) {
      data[i] = r;
      data[i + 1] = g;
      data[i + 2] = b;
      data[i + 3] = 255;
    }
  }
}

/** An upright box, the line inside of it. */
export function strokeBox(
  canvas: Picture,
  x0: number,
  y0: number,
  x1: number,
  y1: number,
  line: number,
  color: Color,
): void {
  fillRect(canvas, x0, y0, x1, y0 + line, color);
  fillRect(canvas, x0, y1 - line, x1, y1, color);
  fillRect(canvas, x0, y0, x0 + line, y1, color);
  fillRect(canvas, x1 - line, y0, x1, y1, color);
}

/** A disc about the point, a plain pixel at least. */
export function fillDot(canvas: Picture, x: number, y: number, radius: number, color: Color): void {
  const first = Math.max(Math.floor(y - radius), 0);
  const last = Math.min(Math.ceil(y + radius), canvas.height);
  for (let row = first; row < last; row++) {
    const half = Math.sqrt(Math.max(radius ** 2 - (row + 0.5 - y) ** 2, 0));
    fillRect(canvas, Math.round(x - half), row, Math.round(x + half), row + 1, color);
  }
}

/** A line with round ends, as wide as `line`: the pixels whose centres are near enough. */
export function strokeLine(
  canvas: Picture,
  [x0, y0]: readonly number[],
  [x1, y1]: readonly number[],
  line: number,
  color: Color,
): void {
  const radius = Math.max(line, 1) / 2;
  const [dx, dy] = [x1 - x0, y1 - y0];
  const length = dx ** 2 + dy ** 2;
  const first = Math.max(Math.floor(Math.min(y0, y1) - radius), 0);
  const last = Math.min(Math.ceil(Math.max(y0, y1) + radius), canvas.height);
  const left = Math.max(Math.floor(Math.min(x0, x1) - radius), 0);
  const right = Math.min(Math.ceil(Math.max(x0, x1) + radius), canvas.width);
  for (let y = first; y < last; y++) {
    for (let x = left; x < right; x++) {
      const [px, py] = [x + 0.5 - x0, y + 0.5 - y0];
      const along = length ? Math.min(Math.max((px * dx + py * dy) / length, 0), 1) : 0;
      const apart = (px - along * dx) ** 2 + (py - along * dy) ** 2;
      if (apart <= radius ** 2) fillRect(canvas, x, y, x + 1, y + 1, color);
    }
  }
}

/** Lines from corner to corner of `x y x y …`, and back to the first. */
export function strokePolygon(canvas: Picture, corners: readonly number[], line: number, color: Color): void {
  for (let i = 0; i < corners.length; i += 2) {
    const next = (i + 2) % corners.length;
    const [from, to] = [corners.slice(i, i + 2), corners.slice(next, next + 2)];
    strokeLine(canvas, from, to, line, color);
  }
}

/** Mixes the colour into the pixels of a mask of the picture's size, with the weight `opacity`, 0..1. */
export function tint({ data, width, height }: Picture, mask: Mask, color: Color, opacity: number): void {
  if (mask.size[0] !== height || mask.size[1] !== width) return;
  for (let i = 1, at = mask.counts[0]; i < mask.counts.length; i += 2) {
    for (let k = 0; k < mask.counts[i]; k++, at++) {
      const pixel = ((at % height) * width + Math.floor(at / height)) * 4;
      for (const [c, level] of color.entries()) {
        data[pixel + c] = Math.round(data[pixel + c] * (1 - opacity) + level * opacity);
      }
    }
    at += mask.counts[i + 1] ?? 0;
  }
}

/** Writes letters with their left top corner at the point, as much of them as lies in the picture. */
export function blend(
  { width, height, data }: Picture,
  letters: Letters,
  x: number,
  y: number,
  color: Color,
): void {
  const last = Math.min(letters.height, height - y);
  for (let j = Math.max(-y, 0); j < last; j++) {
    for (let i = Math.max(-x, 0); i < Math.min(letters.width, width - x); i++) {
      const share = letters.ink[j * letters.width + i] / 255;
      if (!share) continue;
      const at = ((y + j) * width + x + i) * 4;
      for (let c = 0; c < 3; c++) data[at + c] = Math.round(data[at + c] * (1 - share) + color[c] * share);
    }
  }
}
