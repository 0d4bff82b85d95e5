import { describe, expect, test } from "vitest";
import { postprocess } from "../../src/detect/detect.ts";
import { type Detection, scaledDetection } from "../../src/detect/detection.ts";
import { letterboxTransform, stretchTransform } from "../../src/detect/letterbox.ts";
import { maskFromBitmap } from "../../src/detect/mask.ts";
import { nms } from "../../src/detect/nms.ts";
import { polygonIou } from "../../src/detect/polygon.ts";
import { cornersOf, probiou, type RotatedBox, scaledRotated, spreadOf } from "../../src/detect/rotated.ts";
import { Candidates } from "../../src/heads/candidates.ts";
import type { Head } from "../../src/heads/index.ts";
import { tensor } from "../../src/ir/tensor.ts";

const boxOf = ([x, y, width, height, angle]: readonly number[]): RotatedBox => ({
  x,
  y,
  width,
  height,
  angle,
});
const boxes = [
  [50, 50, 40, 20, 0.3],
  [55, 52, 40, 22, 0.5],
  [60, 50, 20, 40, 1.2],
  [100, 100, 10, 10, 0],
  [50, 50, 40, 20, 0.3 + Math.PI],
].map(boxOf);

describe("turned boxes", () => {
  test("likeness is that of ultralytics' batch_probiou", () => {
    const [first, second] = boxes.map((box) => boxes.map((other) => probiou(spreadOf(box), spreadOf(other))));
    expect(first).toEqual([0.999553, 0.804607, 0.573661, 0, 0.999553].map((v) => expect.closeTo(v, 5)));
    expect(second).toEqual([0.804607, 0.999553, 0.613519, 3.4e-5, 0.804607].map((v) => expect.closeTo(v, 5)));
  });

  test("corners go clockwise from the left top", () => {
    expect(cornersOf(boxOf([10, 20, 8, 4, 0]))).toEqual([6, 18, 14, 18, 14, 22, 6, 22]);
    const quarter = cornersOf(boxOf([10, 20, 8, 4, Math.PI / 2]));
    expect(quarter).toEqual([12, 16, 12, 24, 8, 24, 8, 16].map((v) => expect.closeTo(v, 12)));
  });

  test("in another scale: exact where both are one, else the sides stay sides", () => {
    expect(scaledRotated(boxOf([10, 20, 8, 4, 7]), 2, 2)).toEqual(boxOf([20, 40, 16, 8, 7]));
    const flat = scaledRotated(boxOf([10, 20, 8, 4, Math.PI / 2]), 2, 3);
    expect(flat).toEqual({
      ...{ x: 20, y: 60, width: expect.closeTo(24, 9), height: expect.closeTo(8, 9) },
      angle: expect.closeTo(Math.PI / 2, 9),
    });
    const turned = scaledRotated(boxOf([0, 0, 10, 2, 1 + 2 * Math.PI]), 1, 1.001);
    expect(turned.angle).toBeCloseTo(1 + 2 * Math.PI, 2);
  });

  test("what was dropped drops others too, as ultralytics does it; upright boxes do not", () => {
    const row = (angle?: number): number[] => {
      const candidates = new Candidates();
      for (const [i, x] of [50, 58, 66, 74].entries()) {
        candidates.add(x - 20, 40, x + 20, 60, 0.9 - i / 10, 0, angle === undefined ? undefined : { angle });
      }
      return nms(candidates, { iou: 0.6, maxDetections: 10 });
    };
    // Neighbours are alike by 0.76, the next but one by 0.54.
    expect(row(0)).toEqual([0]);
    expect(row()).toEqual([0, 2]);
  });

  test("boxes of other classes stay, unless they are suppressed too", () => {
    const candidates = new Candidates();
    for (const k of [0, 1]) candidates.add(0, 0, 40, 20, 0.9 - k / 10, k, { angle: 0.5 });
    expect(nms(candidates, { iou: 0.5, maxDetections: 10 })).toEqual([0, 1]);
    expect(nms(candidates, { iou: 0.5, maxDetections: 10, agnostic: true })).toEqual([0]);
  });
});

describe("in the picture", () => {
  const head = {
    ...{ kind: "boxes", blob: "out", layout: "rows", box: "cxcywh", unit: "pixels" },
    ...{ objectness: false, stride: 8 },
  } as const;
  const find = (row: number[], more: object, transform = letterboxTransform(128, 64, 64, 64)): Detection[] =>
    postprocess(
      { out: tensor([1, row.length], Float32Array.from(row)), protos: protos },
      { heads: [{ ...head, ...more } as Head], labels: ["a"] },
      transform,
    );
  const protos = tensor([1, 16, 16], new Float32Array(256).fill(1));

  test("a turned box, and the upright one about it, which is clipped", () => {
    const [found] = find([32, 20, 20, 10, 0.5, Math.PI / 2], { angle: true });
    // Scale 0.5, 16 pixels of border above.
    expect(found).toMatchObject({
      task: "obb",
      rotated: { x: 64, y: 8, width: 40, height: 20, angle: expect.closeTo(Math.PI / 2, 6) },
      box: { x: expect.closeTo(54, 5), y: 0, width: expect.closeTo(20, 5), height: expect.closeTo(28, 5) },
    });
    expect(find([32, 2, 20, 10, 0.5, 0], { angle: true })).toEqual([]); // in the border
    const stretched = stretchTransform(128, 64, 64, 64);
    const [wide] = find([32, 32, 20, 10, 0.5, 0], { angle: true }, stretched);
    expect(wide).toMatchObject({ rotated: { x: 64, y: 32, width: 40, height: 10, angle: 0 } });
  });

  test("points with scores are clipped, those without are not", () => {
    const row = [32, 32, 20, 20, 0.5, -4, 40, 0.75];
    expect(find(row, { points: { count: 1, visibility: true } })).toMatchObject([
      { task: "pose", points: [{ x: 0, y: 48, score: 0.75 }] },
    ]);
    const [plain] = find(row.slice(0, 7), { points: { count: 1 } });
    expect(plain).toMatchObject({ task: "pose", points: [{ x: -8, y: 48 }] });
  });

  test("a mask fills its box; one without pixels is nothing", () => {
    const mask = { count: 1, prototypes: "protos" };
    const [found] = find([32, 32, 10, 8, 0.5, 2], { mask });
    // Columns 54 to 73, rows 24 to 39 of 128x64.
    expect(found).toMatchObject({ task: "segment", mask: { size: [64, 128], counts: expect.any(Array) } });
    const counts = found.task === "segment" ? found.mask.counts : [];
    expect(counts.slice(0, 3)).toEqual([54 * 64 + 24, 16, 48]);
    expect(counts.filter((_, i) => i % 2)).toEqual(Array(20).fill(16));
    expect(find([32, 32, 10, 8, 0.5, -2], { mask })).toEqual([]);
    // Thinner than a pixel.
    expect(find([32.25, 32, 0.1, 8, 0.5, 2], { mask })).toEqual([]);
  });

  test("classes: the best five, whatever their scores, or as told", () => {
    const data = Float32Array.from({ length: 8 }, (_, i) => i / 4);
    const of = (options: object): Detection[] =>
      postprocess(
        { out: tensor([8], data) },
        {
          heads: [{ kind: "classes", blob: "out", softmax: true, stride: 1 }],
          labels: [..."abcdefgh"],
        },
        letterboxTransform(64, 64, 64, 64),
        options,
      );
    expect(of({}).map(({ task, label }) => `${task} ${label}`)).toEqual(
      [..."hgfed"].map((l) => `classify ${l}`),
    );
    expect(of({}).every((found) => !("box" in found))).toBe(true);
    expect(of({ maxDetections: 100 })).toHaveLength(8);
    expect(of({ confidence: 0.2 }).map(({ label }) => label)).toEqual(["h"]);
    expect(of({ classes: ["a", 2] }).map(({ label }) => label)).toEqual(["c", "a"]);
  });
});

test("in another size of the picture", () => {
  const base = { label: "a", classId: 0, score: 0.5, box: { x: 2, y: 4, width: 6, height: 8 } };
  const [from, to] = [
    { width: 16, height: 16 },
    { width: 32, height: 16 },
  ];
  const box = { x: 4, y: 4, width: 12, height: 8 };
  expect(scaledDetection({ task: "detect", ...base }, from, to)).toEqual({ task: "detect", ...base, box });
  const points = [
    { x: 1, y: 2, score: 0.5 },
    { x: 3, y: 4 },
  ];
  expect(scaledDetection({ task: "pose", ...base, points }, from, to)).toMatchObject({
    points: [
      { x: 2, y: 2, score: 0.5 },
      { x: 6, y: 4 },
    ],
  });
  const bits = Uint8Array.from({ length: 256 }, (_, i) => Number(i % 16 < 4));
  const mask = maskFromBitmap(bits, from);
  const scaled = scaledDetection({ task: "segment", ...base, mask }, from, to);
  expect(scaled).toMatchObject({ mask: { size: [16, 32], counts: [0, 128, 384] } });
  const rotated = boxOf([8, 8, 4, 2, 0]);
  const turned = scaledDetection({ task: "obb", ...base, rotated }, from, to);
  expect(turned).toMatchObject({ rotated: { x: 16, y: 8, width: 8, height: 2 } });
  if (turned.task === "obb") {
    expect(polygonIou(cornersOf(turned.rotated), [12, 7, 20, 7, 20, 9, 12, 9])).toBeCloseTo(1, 9);
  }
  const sorted = { task: "classify" as const, label: "a", classId: 0, score: 0.5 };
  expect(scaledDetection(sorted, from, to)).toEqual(sorted);
});
