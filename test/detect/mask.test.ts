import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { FormatError, UsageError } from "../../src/base/errors.ts";
import { Random } from "../../src/base/random.ts";
import {
  type Mask,
  maskArea,
  maskBounds,
  maskFromBitmap,
  maskFromCounts,
  maskFromOutlines,
  maskFromString,
  maskIou,
  maskOutline,
  maskOutlines,
  maskScaled,
  maskToBitmap,
  maskToString,
  maskUnion,
} from "../../src/detect/mask.ts";

interface Group {
  width: number;
  height: number;
  rows: [outlines: number[][], text: string, area: number, bounds: number[]][];
  step: number;
  overlaps: [plain: number[], crowds: number[]];
}
const groups: Group[] = JSON.parse(readFileSync(new URL("data/masks.json", import.meta.url), "utf8"));

const random = new Random(5);
const noise = (width: number, height: number, share: number): Uint8Array =>
  Uint8Array.from({ length: width * height }, () => (random.next() < share ? 255 : 0));
const maskOf = (rows: string[]): Mask =>
  maskFromBitmap(
    Uint8Array.from(rows.join(""), (c) => Number(c === "#")),
    {
      width: rows[0].length,
      height: rows.length,
    },
  );

describe.each(groups)("pycocotools' masks of $width x $height", ({ width, height, rows, step, overlaps }) => {
  const size = { width, height };
  const made = rows.map(([outlines]) => maskFromOutlines(outlines, size));
  test.each(rows)("outlines %#", (outlines, text, area, bounds) => {
    const mask = maskFromOutlines(outlines, size);
    expect(maskToString(mask)).toBe(text);
    expect(maskArea(mask)).toBe(area);
    const { x, y, width: w, height: h } = maskBounds(mask);
    expect([x, y, w, h]).toEqual(bounds);
    expect(maskFromString(text, size)).toEqual(mask);
    expect(maskFromCounts(mask.counts, size)).toEqual(mask);
    const bitmap = maskToBitmap(mask);
    expect(maskFromBitmap(bitmap, size)).toEqual(mask);
    expect(bitmap.reduce((sum, each) => sum + each, 0)).toBe(area);
  });
  test("overlaps", () => {
    const some = made.filter((_, i) => i % step === 0);
    for (const [crowd, list] of overlaps.entries()) {
      const found = some.flatMap((a) => some.map((b) => maskIou(a, b, crowd === 1)));
      expect(found).toEqual(list);
    }
  });
});

test("outlines of a mask make the mask again", () => {
  for (const share of [0, 0.1, 0.5, 0.9, 1]) {
    for (const [width, height] of [
      [1, 1],
      [9, 4],
      [23, 31],
    ]) {
      const mask = maskFromBitmap(noise(width, height, share), { width, height });
      const outline = maskOutline(mask);
      if (!maskArea(mask)) expect(outline).toEqual([]);
      else expect(maskFromOutlines([outline], { width, height })).toEqual(mask);
    }
  }
});

test("parts, holes, and pixels that touch at a corner", () => {
  const square = maskOf(["....", ".##.", ".##."]);
  expect(maskOutlines(square)).toEqual([[3, 1, 3, 3, 1, 3, 1, 1]]);
  expect(maskOutline(square)).toEqual([3, 1, 3, 3, 1, 3, 1, 1]);
  expect(maskOutlines(maskOf(["###", "#.#", "###"]))).toHaveLength(2);
  expect(maskOutlines(maskOf(["#..", ".#.", "..#"]))).toHaveLength(1);
  expect(maskOutlines(maskOf(["#.#"]))).toHaveLength(2);
});

test("part of a picture, union, scale", () => {
  const part = maskFromBitmap(
    Uint8Array.of(1, 0, 1, 1),
    { width: 4, height: 3 },
    { x: 1, y: 1, width: 2, height: 2 },
  );
  expect(part).toEqual(maskOf(["....", ".#..", ".##."]));
  expect(maskUnion([part, maskOf(["#...", ".##.", "...#"])])).toEqual(maskOf(["#...", ".##.", ".###"]));
  expect(maskScaled(part, { width: 8, height: 3 })).toEqual(maskOf(["........", "..##....", "..####.."]));
  expect(maskScaled(part, { width: 4, height: 3 })).toBe(part);
  expect(maskScaled(maskOf(["#.", ".#"]), { width: 1, height: 1 })).toEqual(maskOf(["#"]));
  const large = maskFromBitmap(noise(13, 17, 0.4), { width: 13, height: 17 });
  const bitmap = maskToBitmap(large);
  const twice = maskToBitmap(maskScaled(large, { width: 26, height: 51 }));
  expect(twice.every((each, i) => each === bitmap[Math.floor(i / 26 / 3) * 13 + ((i % 26) >> 1)])).toBe(true);
});

test("long strings and long runs", () => {
  const size = { width: 40_000, height: 50_000 };
  const mask = maskFromCounts([1_234_567_890, 5, 700_000_000, 65_432_105], size);
  expect(maskFromString(maskToString(mask), size)).toEqual(mask);
  expect(maskFromCounts([0, 3, 0, 0, 2, 0, 1], { width: 2, height: 3 })).toEqual({
    size: [3, 2],
    counts: [0, 3, 3],
  });
});

test("an outline far outside costs no more than the picture has columns", () => {
  const far = [-1e8, -1e8, 1e8, -1e8, 1e8, 1e8, -1e8, 1e8];
  expect(maskArea(maskFromOutlines([far], { width: 10, height: 10 }))).toBe(100);
  expect(maskArea(maskFromOutlines([[-1e8, -1e8, 1e8, 1e8, -1e8, 1e8]], { width: 10, height: 10 }))).toBe(55);
});

test("what is wrong is said", () => {
  const size = { width: 4, height: 3 };
  expect(() => maskFromOutlines([], size)).toThrow(FormatError);
  expect(() => maskFromOutlines([[1, 2, 3, 4]], size)).toThrow(
    "an outline of 4 numbers, expected x and y of at least three points",
  );
  expect(() => maskFromOutlines([[1, 2, 3, 4, Number.NaN, 1]], size)).toThrow("coordinate NaN");
  expect(() => maskFromOutlines([[1, 2, 3, 4, 5, 6]], { width: 1e6, height: 1e6 })).toThrow("size");
  expect(() => maskFromCounts([4, 5], size)).toThrow("its runs are 9 pixels long, expected 12 for 4x3");
  expect(() => maskFromCounts([4, -5, 13], size)).toThrow("run length -5");
  for (const text of ["", "ab", "~", "zzzzzzzzzzzzzzzz", "0\n", "P"]) {
    expect(() => maskFromString(text, size)).toThrow(FormatError);
  }
  expect(() => maskFromBitmap(new Uint8Array(3), size)).toThrow(UsageError);
  expect(() => maskIou(maskOf(["#"]), maskOf(["#."]))).toThrow("masks of 1x1 and 2x1 pixels");
});
