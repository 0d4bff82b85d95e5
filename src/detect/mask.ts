/**
 * Masks of objects as COCO's run lengths, with the arithmetic of its tools (pycocotools): the same runs from an outline, the same
 * strings, the same overlaps. Pixels are counted column by column, top to bottom, the first run is of pixels outside.
 */
import { expectKind } from "../base/arguments.ts";
import { FormatError, UsageError } from "../base/errors.ts";
import { brief } from "../base/text.ts";

/** The pixels of an object. */
export interface Mask {
  /** `[height, width]` of the picture, as COCO has it. */
  readonly size: readonly [height: number, width: number];
  /** Lengths of runs outside, inside, outside, …; their sum is the picture's area, and only the first may be 0. */
  readonly counts: readonly number[];
}

/** A size in pixels. */
interface Size {
  readonly width: number;
  readonly height: number;
}
/** A rectangle of pixels. */
interface Bounds extends Size {
  readonly x: number;
  readonly y: number;
}

const maxPixels = 2 ** 31 - 1;

function checkSize({ width, height }: Size): void {
  const isSide = (side: number) => Number.isSafeInteger(side) && side >= 0;
  if (isSide(width) && isSide(height) && width * height <= maxPixels) return;
  throw new FormatError(
    `mask: found a size of ${brief(`${width}x${height}`)}, expected whole numbers of pixels, at most ${maxPixels} in all`,
  );
}

/** Collects runs in the order of pixels; neighbours of one kind become one. */
class Runs {
  readonly counts: number[] = [];
  private end = 0;

  /** The pixels from `start` on, none of them before the last ones added, are inside. */
  add(start: number, length: number): void {
    if (length <= 0) return;
    const { counts } = this;
    if (counts.length && start === this.end) counts[counts.length - 1] += length;
    else counts.push(start - this.end, length);
    this.end = start + length;
  }

  mask({ width, height }: Size): Mask {
    const rest = width * height - this.end;
    if (rest || !this.counts.length) this.counts.push(rest);
    return { size: [height, width], counts: this.counts };
  }
}

/** First pixel and length of every run inside. */
function* insideRuns({ counts }: Mask): Generator<[start: number, length: number]> {
  for (let i = 1, at = counts[0]; i < counts.length; i += 2) {
    yield [at, counts[i]];
    at += counts[i] + (counts[i + 1] ?? 0);
  }
}

/**
 * The mask of the pixels that are not 0. `bitmap` is `[height, width]`, rows from the top; it covers the whole picture, or
 * `part` of a picture of `size`, and nothing is inside elsewhere. Throws UsageError where bytes and sizes do not agree.
 */
export function maskFromBitmap(
  bitmap: Uint8Array | Uint8ClampedArray,
  size: Size,
  part: Bounds = { x: 0, y: 0, ...size },
): Mask {
  expectKind("maskFromBitmap: size", size, "an object");
  expectKind("maskFromBitmap: part", part, "an object");
  checkSize(size);
  const { x, y, width, height } = part;
  const isInside = x >= 0 && y >= 0 && x + width <= size.width && y + height <= size.height;
  if (!isInside || bitmap.length !== width * height) {
    throw new UsageError(
      `maskFromBitmap: ${bitmap.length} bytes for ${width}x${height} pixels at ${x}, ${y} of ${size.width}x${size.height}`,
    );
  }
  const runs = new Runs();
  for (let column = 0; column < width; column++) {
    const top = (x + column) * size.height + y;
    for (let row = 0, at = column; row < height; ) {
      const start = row;
      const isSet = bitmap[at] !== 0;
      while (row < height && (bitmap[at] !== 0) === isSet) [row, at] = [row + 1, at + width];
      if (isSet) runs.add(top + start, row - start);
    }
  }
  return runs.mask(size);
}

/** The pixels as `[height, width]`, rows from the top, 1 inside and 0 outside. */
export function maskToBitmap(mask: Mask): Uint8Array {
  expectKind("maskToBitmap: mask", mask, "a mask ({ size, counts })");
  const [height, width] = mask.size;
  return bitmapOf(mask, { x: 0, y: 0, width, height });
}

/** The pixels within bounds that hold all of the mask. */
function bitmapOf(mask: Mask, bounds: Bounds): Uint8Array {
  const [height] = mask.size;
  const bitmap = new Uint8Array(bounds.width * bounds.height);
  for (const [start, length] of insideRuns(mask)) {
    let [x, y] = [Math.floor(start / height), start % height];
    for (let i = 0; i < length; i++) {
      bitmap[(y - bounds.y) * bounds.width + x - bounds.x] = 1;
      if (++y === height) [x, y] = [x + 1, 0];
    }
  }
  return bitmap;
}

/** Number of pixels inside. */
export function maskArea(mask: Mask): number {
  expectKind("maskArea: mask", mask, "a mask ({ size, counts })");
  const { counts } = mask;
  let area = 0;
  for (let i = 1; i < counts.length; i += 2) area += counts[i];
  return area;
}

/** The least rectangle of pixels that holds the mask; all 0 where nothing is inside. */
export function maskBounds(mask: Mask): Bounds {
  expectKind("maskBounds: mask", mask, "a mask ({ size, counts })");
  const [height] = mask.size;
  let [left, top, right, bottom] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY, -1, -1];
  for (const [start, length] of insideRuns(mask)) {
    const last = start + length - 1;
    const [x0, x1] = [Math.floor(start / height), Math.floor(last / height)];
    left = Math.min(left, x0);
    right = Math.max(right, x1);
    top = x1 > x0 ? 0 : Math.min(top, start % height);
    bottom = x1 > x0 ? height - 1 : Math.max(bottom, last % height);
  }
  if (right < 0) return { x: 0, y: 0, width: 0, height: 0 };
  return { x: left, y: top, width: right - left + 1, height: bottom - top + 1 };
}

/**
 * Intersection over union of two masks of one picture; with `isCrowd` the share of `found` that lies in `truth`. 0 where they do
 * not meet. Throws UsageError for masks of different sizes.
 */
export function maskIou(found: Mask, truth: Mask, isCrowd = false): number {
  expectKind("maskIou: found", found, "a mask ({ size, counts })");
  expectKind("maskIou: truth", truth, "a mask ({ size, counts })");
  if (found.size[0] !== truth.size[0] || found.size[1] !== truth.size[1]) {
    throw new UsageError(
      `maskIou: masks of ${found.size.toReversed().join("x")} and ${truth.size.toReversed().join("x")} pixels, expected one size`,
    );
  }
  const isApart = endOf(found) <= truth.counts[0] || endOf(truth) <= found.counts[0];
  const shared = isApart ? 0 : sharedPixels(found.counts, truth.counts);
  if (shared === 0) return 0;
  const area = maskArea(found);
  return shared / (isCrowd ? area : area + maskArea(truth) - shared);
}

/** The pixel behind the last one inside. */
const endOf = ({ size: [height, width], counts }: Mask): number =>
  height * width - (counts.length % 2 ? counts[counts.length - 1] : 0);

function sharedPixels(a: readonly number[], b: readonly number[]): number {
  let shared = 0;
  let [i, j] = [0, 0];
  let [endA, endB] = [a[0], b[0]];
  for (let at = 0; ; ) {
    const end = Math.min(endA, endB);
    if (i % 2 && j % 2) shared += end - at;
    at = end;
    if (endA === end) {
      if (++i >= a.length) return shared;
      endA += a[i];
    }
    if (endB === end) {
      if (++j >= b.length) return shared;
      endB += b[j];
    }
  }
}

/** The pixels that are inside one of the masks, which are of one size; at least one mask. */
export function maskUnion(masks: readonly Mask[]): Mask {
  const [first] = masks;
  if (!first) throw new UsageError("maskUnion: no mask");
  if (masks.length === 1) return first;
  const [height, width] = first.size;
  const all = masks.flatMap((mask) => [...insideRuns(mask)]).sort(([a], [b]) => a - b);
  const runs = new Runs();
  let end = 0;
  for (const [start, length] of all) {
    const from = Math.max(start, end);
    runs.add(from, start + length - from);
    end = Math.max(end, start + length);
  }
  return runs.mask({ width, height });
}

/** The mask in another size, each pixel that of the place where its centre was. */
export function maskScaled(mask: Mask, size: Size): Mask {
  checkSize(size);
  const [height, width] = mask.size;
  if (width === size.width && height === size.height) return mask;
  const from = maskBounds(mask);
  const bitmap = bitmapOf(mask, from);
  const sx = width / size.width;
  const sy = height / size.height;
  // A pixel more on each side than can be hit.
  const x = Math.max(0, Math.floor(from.x / sx) - 1);
  const y = Math.max(0, Math.floor(from.y / sy) - 1);
  const part = {
    ...{ x, y },
    width: Math.max(0, Math.min(size.width, Math.ceil((from.x + from.width) / sx) + 1) - x),
    height: Math.max(0, Math.min(size.height, Math.ceil((from.y + from.height) / sy) + 1) - y),
  };
  const scaled = new Uint8Array(part.width * part.height);
  for (let row = 0, at = 0; row < part.height; row++) {
    const sourceY = Math.floor((part.y + row + 0.5) * sy) - from.y;
    for (let column = 0; column < part.width; column++, at++) {
      const sourceX = Math.floor((part.x + column + 0.5) * sx) - from.x;
      if (sourceX < 0 || sourceY < 0 || sourceX >= from.width || sourceY >= from.height) continue;
      scaled[at] = bitmap[sourceY * from.width + sourceX];
    }
  }
  return maskFromBitmap(scaled, size, part);
}

/** A mask from run lengths of a file, which may have runs of 0. Throws FormatError where they do not make up the picture. */
export function maskFromCounts(counts: readonly number[], size: Size): Mask {
  checkSize(size);
  const runs = new Runs();
  let at = 0;
  for (const [i, count] of counts.entries()) {
    if (!(Number.isSafeInteger(count) && count >= 0)) {
      throw new FormatError(
        `mask: found the run length ${brief(String(count))}, expected whole numbers from 0`,
      );
    }
    if (i % 2) runs.add(at, count);
    at += count;
  }
  if (at !== size.width * size.height) {
    throw new FormatError(
      `mask: its runs are ${at} pixels long, expected ${size.width * size.height} for ${size.width}x${size.height}`,
    );
  }
  return runs.mask(size);
}

/** The run lengths as COCO's results files have them: differences of every second in base 32, as letters. */
export function maskToString({ counts }: Mask): string {
  let text = "";
  for (const [i, count] of counts.entries()) {
    let value = i > 2 ? count - counts[i - 2] : count;
    for (let isLast = false; !isLast; ) {
      const digit = value & 31;
      value >>= 5;
      isLast = value === (digit & 16 ? -1 : 0);
      text += String.fromCharCode(48 + (isLast ? digit : digit | 32));
    }
  }
  return text;
}

/** The reverse of `maskToString`. Throws FormatError for what is no such text, or is one of another size. */
export function maskFromString(text: string, size: Size): Mask {
  expectKind("maskFromString: text", text, "a string");
  const counts: number[] = [];
  for (let at = 0; at < text.length; ) {
    let value = 0;
    let place = 1;
    for (let isLast = false; !isLast; place *= 32) {
      const digit = text.charCodeAt(at++) - 48;
      if (!(digit >= 0 && digit < 64) || place > 2 ** 35) {
        throw new FormatError(
          `mask: found ${brief(text.slice(Math.max(0, at - 8), at))}, expected run lengths as COCO compresses them`,
        );
      }
      isLast = digit < 32;
      value += (digit & 31) * place;
      if (isLast && digit & 16) value -= 32 * place;
    }
    counts.push(counts.length > 2 ? value + counts[counts.length - 2] : value);
  }
  return maskFromCounts(counts, size);
}

/** COCO's tools put outlines on a grid of a fifth of a pixel. */
const scale = 5;
const maxCoordinate = 1e8;
/** Far more than outlines of a picture have; bounds the work. */
const maxCrossings = 2 ** 25;

/**
 * The mask inside any of the outlines, each `x y x y …` in pixels with at least three points (the left top corner of the picture is 0, 0, and pixel
 * centres are at halves); an outline that crosses itself is outside where it winds twice. The same pixels as pycocotools' `frPyObjects` and
 * `merge`. Throws FormatError for less than three points or coordinates beyond 10⁸.
 */
export function maskFromOutlines(outlines: readonly (readonly number[])[], size: Size): Mask {
  checkSize(size);
  if (!outlines.length) throw new FormatError("mask: no outline, expected at least one");
  return maskUnion(outlines.map((outline) => fromOutline(outline, size)));
}

function fromOutline(outline: readonly number[], size: Size): Mask {
  if (outline.length < 6 || outline.length % 2) {
    throw new FormatError(
      `mask: an outline of ${outline.length} numbers, expected x and y of at least three points`,
    );
  }
  const wrong = outline.find((value) => !(Math.abs(value) <= maxCoordinate));
  if (wrong !== undefined) {
    throw new FormatError(`mask: found the coordinate ${wrong}, expected pixels, at most ${maxCoordinate}`);
  }
  const grid = outline.map((value) => Math.trunc(scale * value + 0.5));
  const crossings: number[] = [];
  for (let i = 0; i < grid.length; i += 2) {
    const next = (i + 2) % grid.length;
    addCrossings(grid[i], grid[i + 1], grid[next], grid[next + 1], size, crossings);
  }
  crossings.sort((a, b) => a - b);
  const runs = new Runs();
  const end = size.width * size.height;
  for (let i = 0; i < crossings.length; i += 2) {
    runs.add(crossings[i], (crossings[i + 1] ?? end) - crossings[i]);
  }
  return runs.mask(size);
}

/**
 * Where a line, given on the grid, crosses the middles of the picture's columns: the pixels from which on inside and outside change.
 * Points are a step apart along the longer side; a crossing is between two of them, at the upper one's height.
 */
function addCrossings(
  ...[fromX, fromY, toX, toY, size, out]: [number, number, number, number, Size, number[]]
): void {
  const [dx, dy] = [Math.abs(toX - fromX), Math.abs(toY - fromY)];
  const isFlat = dx >= dy;
  const isSwapped = isFlat ? fromX > toX : fromY > toY;
  const [xs, ys, xe, ye] = isSwapped ? [toX, toY, fromX, fromY] : [fromX, fromY, toX, toY];
  const slope = isFlat ? (ye - ys) / dx : (xe - xs) / dy;
  const along = (start: number, t: number) => Math.trunc(start + slope * t + 0.5);
  const middle = (scale - 1) / 2;
  const first = Math.max(0, Math.ceil((Math.min(xs, xe) - middle) / scale));
  const last = Math.min(size.width - 1, Math.floor((Math.max(xs, xe) - 1 - middle) / scale));
  if (out.length + last - first > maxCrossings) {
    throw new FormatError(`mask: an outline with more than ${maxCrossings} crossings`);
  }
  for (let column = first; column <= last; column++) {
    const left = column * scale + middle;
    let y: number;
    if (isFlat) y = Math.min(along(ys, left - xs), along(ys, left - xs + 1));
    else {
      // The first step on the far side; rounding may put the estimate one off.
      const isFar = (t: number) => (slope > 0 ? along(xs, t) > left : along(xs, t) <= left);
      let t = Math.min(Math.max(Math.round((left + 0.5 - xs) / slope), 0), dy);
      while (t > 0 && isFar(t - 1)) t--;
      while (t < dy && !isFar(t)) t++;
      if (!isFar(t) || t === 0) continue;
      y = ys + t - 1;
    }
    const row = Math.min(Math.max((y + 0.5) / scale - 0.5, 0), size.height);
    out.push(column * size.height + Math.ceil(row));
  }
}

/**
 * The outlines of a mask, `x y x y …` in pixels along the edges of pixels, inside on the right; outlines of holes run the other way.
 * Pixels that touch at a corner are in one outline. All of them as one list of crossings (even-odd) are the mask again.
 */
export function maskOutlines(mask: Mask): number[][] {
  expectKind("maskOutlines: mask", mask, "a mask ({ size, counts })");
  const { x: left, y: top, width, height } = maskBounds(mask);
  const bitmap = bitmapOf(mask, { x: left, y: top, width, height });
  const isSet = (x: number, y: number) =>
    x >= 0 && y >= 0 && x < width && y < height && bitmap[y * width + x] === 1;
  // Every outline runs to the right somewhere, above a pixel that is inside.
  const seen = new Uint8Array(bitmap.length);
  const outlines: number[][] = [];
  for (let at = 0; at < bitmap.length; at++) {
    const [startX, startY] = [at % width, Math.floor(at / width)];
    if (!isSet(startX, startY) || isSet(startX, startY - 1) || seen[at]) continue;
    const outline: number[] = [];
    let [x, y, dx, dy] = [startX, startY, 1, 0];
    do {
      if (dx === 1) seen[y * width + x] = 1;
      [x, y] = [x + dx, y + dy];
      // The pixels ahead, on the left and on the right of the way.
      const ahead = (side: number) => isSet(x + (dx + side * -dy - 1) / 2, y + (dy + side * dx - 1) / 2);
      const turn = ahead(-1) ? -1 : ahead(1) ? 0 : 1;
      if (turn) {
        outline.push(left + x, top + y);
        [dx, dy] = [turn * -dy, turn * dx];
      }
    } while (x !== startX || y !== startY || dx !== 1);
    outlines.push(outline);
  }
  return outlines;
}

/**
 * All outlines as one, for formats that hold one an object (YOLO text): parts and holes are joined by lines that are gone there and
 * back, and so hold no pixel. Empty where nothing is inside. `maskFromOutlines` makes the same mask of it.
 */
export function maskOutline(mask: Mask): number[] {
  const outlines = maskOutlines(mask);
  const [first = [], ...rest] = outlines;
  if (!rest.length) return first;
  const back = outlines.slice(0, -1).map(([x, y]) => [x, y]);
  return [...outlines.flatMap((outline) => [...outline, outline[0], outline[1]]), ...back.reverse().flat()];
}
