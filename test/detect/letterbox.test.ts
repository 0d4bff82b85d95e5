import { readFileSync } from "node:fs";
import fc from "fast-check";
import sharp from "sharp";
import { describe, expect, test } from "vitest";
import { InputError, UsageError } from "../../src/base/errors.ts";
import {
  cropTransform,
  letterboxTransform,
  normalize,
  place,
  type Transform,
  toInput,
  toSource,
  toTensor,
} from "../../src/detect/letterbox.ts";
import type { Picture } from "../../src/detect/picture.ts";
import { resize } from "../../src/detect/resize.ts";
import { preprocessingOf } from "../../src/heads/families.ts";
import type { ModelInput } from "../../src/heads/input.ts";
import { dataPath, describeData, readNpy } from "../data.ts";

const input: ModelInput = {
  ...{ blob: "images", width: 320, height: 320, stride: 32, channels: 3 },
  ...preprocessingOf("yolov5", 3),
};

/** The picture of scripts/resize-goldens.py. */
function formulaPicture(width: number, height: number, channels: 3 | 4 = 3): Picture {
  const data = new Uint8Array(width * height * channels);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      for (let c = 0; c < channels; c++) {
        data[(y * width + x) * channels + c] = x * 7 + y * 13 + c * 31 + x * y * (c + 3);
      }
    }
  }
  return { width, height, channels, data };
}

interface ResizeCase {
  source: [number, number];
  target: [number, number];
  rgb: string;
}
const cases: ResizeCase[] = JSON.parse(readFileSync(new URL("data/resize.json", import.meta.url), "utf8"));

describe("resize", () => {
  test.each(cases)("$source to $target gives native ncnn's levels", ({ source, target, rgb }) => {
    const expected = new Uint8Array(Buffer.from(rgb, "base64"));
    const rgbOnly = resize(formulaPicture(...source), ...target);
    expect(rgbOnly.data).toEqual(expected);
    expect(resize(formulaPicture(...source, 4), ...target).data).toEqual(expected);
  });

  test("a constant picture stays constant at every size", () => {
    const size = fc.integer({ min: 1, max: 70 });
    fc.assert(
      fc.property(size, size, size, size, fc.nat(255), (w, h, w2, h2, level) => {
        const data = new Uint8Array(w * h * 3).fill(level);
        const levels = new Set(resize({ width: w, height: h, channels: 3, data }, w2, h2).data);
        return [...levels].every((found) => Math.abs(found - level) <= 1);
      }),
      { numRuns: 60 },
    );
  });
});

describe("letterbox", () => {
  // Values of YOLOv5's letterbox(): new_unpad, and left and top as round(d − 0.1).
  test.each([
    [640, 426, 320, 320, undefined, { width: 320, height: 320, inner: [320, 213], pad: [0, 53] }],
    [428, 640, 416, 416, undefined, { width: 416, height: 416, inner: [278, 416], pad: [69, 0] }],
    [640, 426, 640, 640, 32, { width: 640, height: 448, inner: [640, 426], pad: [0, 11] }],
    [100, 50, 320, 320, 32, { width: 320, height: 160, inner: [320, 160], pad: [0, 0] }],
    [10000, 1, 320, 320, undefined, { width: 320, height: 320, inner: [320, 1], pad: [0, 159] }],
    [1, 1, 64, 64, undefined, { width: 64, height: 64, inner: [64, 64], pad: [0, 0] }],
  ] as const)("%ix%i in %ix%i, rectangle %s", (w, h, width, height, stride, expected) => {
    const t = letterboxTransform(w, h, width, height, stride);
    expect({
      width: t.width,
      height: t.height,
      inner: [t.scaleX * w, t.scaleY * h],
      pad: [t.padX, t.padY],
    }).toEqual(expected);
  });

  test("points come back, and the picture lies within the input", () => {
    const side = fc.integer({ min: 1, max: 5000 });
    const target = fc.integer({ min: 1, max: 20 }).map((n) => n * 32);
    fc.assert(
      fc.property(
        side,
        side,
        target,
        target,
        fc.boolean(),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (w, h, tw, th, rect, u) => {
          const t = letterboxTransform(w, h, tw, th, rect ? 32 : undefined);
          const [x, y] = toInput(t, u * w, u * h);
          const [backX, backY] = toSource(t, x, y);
          expect(backX).toBeCloseTo(u * w, 6);
          expect(backY).toBeCloseTo(u * h, 6);
          const [right, bottom] = toInput(t, w, h);
          expect(t.padX >= 0 && t.padY >= 0 && right <= t.width + 1e-9 && bottom <= t.height + 1e-9).toBe(
            true,
          );
          if (rect) expect([t.width <= tw, t.height <= th]).toEqual([true, true]);
          else expect([t.width, t.height]).toEqual([tw, th]);
        },
      ),
    );
  });

  test("the border is grey on every side of a wide and of a tall picture", () => {
    for (const [w, h] of [
      [50, 10],
      [10, 50],
      [3000, 1],
      [1, 3000],
      [1, 1],
    ]) {
      const data = new Uint8Array(w * h * 3).fill(200);
      const t = letterboxTransform(w, h, 64, 64);
      const placed = place({ width: w, height: h, channels: 3, data }, t, 114);
      const inside = placed.data.filter((level) => level === 200).length;
      expect(placed.data.filter((level) => level === 114).length).toBe(64 * 64 * 3 - inside);
      expect(inside).toBe(Math.round(t.scaleX * w) * Math.round(t.scaleY * h) * 3);
    }
  });
});

describe("the middle of a picture", () => {
  const goldens: { source: [number, number]; size: number; pillow: string; opencv: string }[] = JSON.parse(
    readFileSync(new URL("data/crop.json", import.meta.url), "utf8"),
  );
  const cropped = (source: [number, number], size: number, antialias: boolean, channels: 3 | 4 = 3) => {
    const t = cropTransform(...source, size, size, antialias);
    return place(formulaPicture(...source, channels), t, 114, antialias).data;
  };

  test.each(goldens)("$source to $size as torchvision with Pillow", ({ source, size, pillow }) => {
    const expected = new Uint8Array(Buffer.from(pillow, "base64"));
    expect(cropped(source, size, true)).toEqual(expected);
    expect(cropped(source, size, true, 4)).toEqual(expected);
  });

  test.each(goldens)("$source to $size as YOLOv5 with OpenCV", ({ source, size, opencv }) => {
    const expected = new Uint8Array(Buffer.from(opencv, "base64"));
    const found = cropped(source, size, false);
    // Weights that lie between two 11-bit ones are rounded otherwise (resize.ts).
    expect(Math.max(...found.map((level, i) => Math.abs(level - expected[i])))).toBeLessThanOrEqual(1);
  });

  test("points of the cut are those of the picture", () => {
    for (const antialias of [false, true]) {
      const t = cropTransform(90, 47, 32, 32, antialias);
      expect([t.padX < 0, t.padY === 0]).toEqual([true, true]);
      const [x, y] = toSource(t, 16, 16);
      expect(Math.abs(x - 45)).toBeLessThanOrEqual(0.75);
      expect(y).toBeCloseTo(23.5, 9);
      expect(toInput(t, x, y)).toEqual([16, 16].map((v) => expect.closeTo(v, 9)));
    }
  });

  test("a letterbox may be averaged too", () => {
    const picture = formulaPicture(90, 47);
    const { tensor } = toTensor(picture, { ...input, width: 32, height: 32, antialias: true });
    expect(new Set(tensor.data.slice(0, 32)).size).toBe(1); // border
    expect(new Set(tensor.data.slice(32 * 16, 32 * 17)).size).toBeGreaterThan(16);
  });

  test.each([
    [6, 5, 48],
    [5, 6, 48],
    [1001, 1000, 8],
  ])(
    "is cut out of %ix%i where one line is too many, as YOLOv5 cuts first and resizes then",
    (w, h, size) => {
      const picture = formulaPicture(w, h);
      const side = Math.min(w, h);
      const data = new Uint8Array(side * side * 3);
      for (let y = 0; y < side; y++) {
        data.set(picture.data.subarray(y * w * 3, (y * w + side) * 3), y * side * 3);
      }
      const expected = resize({ width: side, height: side, channels: 3, data }, size, size);
      expect(place(picture, cropTransform(w, h, size, size), 0).data).toEqual(expected.data);
    },
  );
});

describe("toTensor", () => {
  test("channel order, mean and norm", () => {
    const picture: Picture = { width: 1, height: 1, channels: 3, data: Uint8Array.of(10, 20, 30) };
    const base = { ...input, width: 1, height: 1, stride: 1, mean: [1, 2, 3], norm: [0.5, 0.25, 2] };
    expect([...toTensor(picture, base).tensor.data]).toEqual([4.5, 4.5, 54]);
    expect([...toTensor(picture, { ...base, pixel: "BGR" }).tensor.data]).toEqual([14.5, 4.5, 14]);
    const gray = { ...base, pixel: "GRAY", channels: 1, mean: [0], norm: [1] } as const;
    const { tensor } = toTensor(picture, { ...gray, mean: [0], norm: [1] });
    expect(tensor).toEqual({ shape: [1, 1, 1], data: Float32Array.of((770 + 3000 + 870) >> 8) });
  });

  test("each value is the single rounding of level·norm − mean·norm", () => {
    const data = Uint8Array.from({ length: 768 }, (_, i) => i / 3);
    const { data: values } = normalize({ width: 256, height: 1, channels: 3, data }, input);
    for (let i = 0; i < 256; i++) expect(values[i]).toBe(Math.fround(i * Math.fround(1 / 255)));
  });

  test("bad pictures and sizes are refused", () => {
    const picture = formulaPicture(4, 4);
    expect(() => toTensor({ ...picture, width: 5 }, input)).toThrow(InputError);
    expect(() => toTensor({ ...picture, width: 0 }, input)).toThrow("width is 0");
    expect(() => toTensor({ ...picture, width: 1e9 }, input)).toThrow(InputError);
    expect(() => toTensor(picture, input, { width: 300 })).toThrow(UsageError);
    expect(() => toTensor(picture, input, { height: Number.NaN })).toThrow(UsageError);
  });
});

/** Means over blocks of 8x8 pixels: what is left when resizers differ only in how they treat fine detail. */
function blockMeans(data: ArrayLike<number>, size: number): number[] {
  const blocks = size / 8;
  const sums = new Array<number>(blocks * blocks * 3).fill(0);
  for (let i = 0; i < size * size * 3; i++) {
    const [c, x, y] = [i % 3, Math.floor(i / 3) % size, Math.floor(i / 3 / size)];
    sums[(Math.floor(y / 8) * blocks + Math.floor(x / 8)) * 3 + c] += data[i] / 64;
  }
  return sums;
}
function meanDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  return Array.from(a).reduce((sum, value, i) => sum + Math.abs(value - b[i]), 0) / a.length;
}

describeData("real pictures", () => {
  // These references were resized with a low-pass filter, which YOLOv5's letterbox does not have: compare without detail.
  test.each([
    ["000000000139", "golden/in320-139.npy", 320],
    ["000000000776", "golden/in416-776.npy", 416],
  ])("%s lies where it does in %s", async (name, golden, size) => {
    const file = dataPath(`coco/images/val2017/${name}.jpg`);
    const decoder = sharp(file).removeAlpha().toColourspace("srgb").raw();
    const { data, info } = await decoder.toBuffer({ resolveWithObject: true });
    const picture: Picture = { width: info.width, height: info.height, channels: 3, data };
    const expected = readNpy(golden);
    expect(expected.shape).toEqual([size, size, 3]);
    const transform = letterboxTransform(info.width, info.height, size, size);
    const coarse = blockMeans(expected.data, size);
    const difference = (t: Transform) =>
      meanDifference(blockMeans(place(picture, t, 114).data, size), coarse);
    const found = difference(transform);
    console.log(`${name}: mean difference of blocks ${found.toFixed(3)} levels`);
    expect(found).toBeLessThan(0.5);
    // One pixel off would show.
    const { padX, padY } = transform;
    expect(
      difference({ ...transform, padX: Math.max(padX - 1, 0), padY: Math.max(padY - 1, 0) }),
    ).toBeGreaterThan(2 * found);
  });
});
