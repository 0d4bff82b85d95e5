/** Average precision of masks, key points and turned boxes against pycocotools and DOTA's rules (scripts/task-ap-goldens.py). */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { UsageError } from "../../src/base/errors.ts";
import { type Mask, maskFromCounts, maskFromOutlines, maskFromString } from "../../src/detect/mask.ts";
import { polygonArea, polygonIou } from "../../src/detect/polygon.ts";
import { cornersOf, rotatedAbout } from "../../src/detect/rotated.ts";
import { ObjectAccuracy } from "../../src/evaluate/accuracy.ts";
import { evaluateCoco, evaluateDota } from "../../src/evaluate/coco-ap.ts";
import { fidelity } from "../../src/evaluate/fidelity.ts";
import { compareRows } from "../../src/evaluate/matching.ts";
import type { DetectionRow, GroundTruth, ImageId } from "../../src/evaluate/rows.ts";
import { type Measure, similarityOf } from "../../src/evaluate/similarity.ts";
import { objectStats } from "./_stats.ts";

interface Row {
  image_id: number;
  category_id: number;
  segmentation?: number[][] | { counts: string | number[] };
  bbox?: number[];
  area?: number;
  iscrowd?: number;
  keypoints?: number[];
  corners?: number[];
  score?: number;
}
interface Case {
  name: string;
  measure: Measure;
  stats: number[];
  sigmas?: number[];
  dota?: [category: number, AP: number][];
  ultralytics?: [AP50: number, AP: number];
  truth: Row[];
  found: Row[];
}
const cases: Case[] = JSON.parse(readFileSync(new URL("data/task-ap.json", import.meta.url), "utf8"));

const size = { width: 200, height: 200 };

function maskOf(segmentation: NonNullable<Row["segmentation"]>): Mask {
  if (Array.isArray(segmentation)) return maskFromOutlines(segmentation, size);
  const { counts } = segmentation;
  return typeof counts === "string" ? maskFromString(counts, size) : maskFromCounts(counts, size);
}

/** What truth and detections have in common, and where a result has no box, the area that pycocotools computes. */
function shared({ image_id, category_id, bbox, segmentation, keypoints, corners }: Row) {
  const mask = segmentation && maskOf(segmentation);
  const xy = keypoints?.flatMap((v, i) => (i % 3 < 2 ? [v] : [])) ?? [];
  const places = Array.from({ length: xy.length / 2 }, (_, i) => ({ x: xy[2 * i], y: xy[2 * i + 1] }));
  const extent = (axis: "x" | "y") =>
    Math.max(...places.map((p) => p[axis])) - Math.min(...places.map((p) => p[axis]));
  const area = bbox ? undefined : mask ? areaOf(mask) : extent("x") * extent("y");
  const [x, y, width, height] = bbox ?? [0, 0, 0, 0];
  return {
    image: image_id,
    category: category_id,
    box: { x, y, width, height },
    area,
    mask,
    places,
    corners,
  };
}
const areaOf = ({ counts }: Mask): number => counts.reduce((sum, run, i) => sum + (i % 2 ? run : 0), 0);

function truthRow(row: Row): GroundTruth {
  const { places, ...rest } = shared(row);
  const points = row.keypoints && places.map((p, i) => ({ ...p, labelled: row.keypoints![3 * i + 2] > 0 }));
  return { ...rest, area: row.area, crowd: row.iscrowd === 1, points };
}
function foundRow(row: Row): DetectionRow {
  const { places, ...rest } = shared(row);
  return { ...rest, score: row.score!, points: row.keypoints && places };
}

const pointStats = ["AP", "AP50", "AP75", "APm", "APl", "AR", "AR50", "AR75", "ARm", "ARl"] as const;

describe.each(cases)(
  "$measure: $name",
  ({ name, measure, stats, sigmas, dota, ultralytics, truth, found }) => {
    const [objects, rows] = [truth.map(truthRow), found.map(foundRow)];
    test("pycocotools' numbers", () => {
      const result = evaluateCoco(objects, rows, { measure, sigmas });
      const names = measure === "points" ? pointStats : objectStats;
      for (const [i, name] of names.entries()) expect(result[name], name).toBeCloseTo(stats[i], 10);
      if (measure === "points") expect(result.APs).toBe(-1);
    });
    // It knows no difficult objects, and leaves the order of equal scores open.
    test.runIf(ultralytics && !name.includes("equal"))("near ultralytics' figures by ProbIoU", () => {
      const accuracy = new ObjectAccuracy(measure, []);
      for (const image of new Set([...objects, ...rows].map((row) => row.image))) {
        const of = <R extends { image: ImageId }>(list: R[]) => list.filter((row) => row.image === image);
        accuracy.add(
          image,
          of(objects).map((row) => ({ ...row, crowd: false })),
          of(rows),
        );
      }
      const { probiou } = accuracy.result();
      expect([probiou!.AP50, probiou!.AP].map((value, i) => Math.abs(value - ultralytics![i]))).toSatisfy(
        (differences: number[]) => differences.every((each) => each < 0.006),
      );
    });
    test.runIf(dota)("DOTA's task 1", () => {
      const result = evaluateDota(compareRows(objects, rows, similarityOf("corners"), 300).classes());
      expect(result.perClass.map(({ category }) => category)).toEqual(dota!.map(([category]) => category));
      for (const [i, [, AP]] of dota!.entries()) expect(result.perClass[i].AP).toBeCloseTo(AP, 12);
      const mean = dota!.reduce((sum, [, AP]) => sum + AP, 0) / dota!.length;
      expect(result.AP).toBeCloseTo(dota!.length ? mean : -1, 12);
    });
  },
);

test("fidelity by each measure: a model is faithful to itself, and less so where its results moved", () => {
  const row = (image: number, shift: number, score: number): DetectionRow => {
    const [x, y, side] = [20 + shift, 20, 60];
    const corners = [x, y, x + side, y, x + side, y + side, x, y + side];
    const points = [0, 1, 2, 3].map((i) => ({ x: corners[2 * i], y: corners[2 * i + 1], score: i / 3 }));
    const box = { x: 0, y: 0, width: 100, height: 100 };
    return { image, category: 0, score, box, corners, points, mask: maskFromOutlines([corners], size) };
  };
  const first = [row(1, 0, 0.8), row(2, 0, 0.5), row(3, 0, 0.2)];
  for (const measure of ["mask", "corners", "points"] as const) {
    const same = fidelity(first, first, { measure });
    expect(same.fidelity).toBeCloseTo(1, 12);
    expect(same.all).toEqual({ change: 0, matched: 2, missing: 0 });
    const moved = [row(1, 12, 0.4), row(2, 0, 0.5), row(3, 0, 0.2)];
    const other = fidelity(first, moved, { measure });
    expect(other.fidelity).toBeLessThan(0.99);
    expect(other.large).toEqual({ change: -0.25, matched: 2, missing: 0 });
    expect(fidelity(first, [row(1, 90, 0.4)], { measure }).all.missing).toBe(2);
  }
  // A weak double is not taken for the object, though it may be the more alike.
  const double = [row(1, 1, 0.7), row(1, 0, 0.1)];
  expect(fidelity(first.slice(0, 1), double, { measure: "mask" }).pairs[0].candidate).toBe(0.7);
  // Of the key points, those that the first model is not sure of say nothing.
  const unsure = row(1, 0, 0.8);
  unsure.points = unsure.points!.map((p, i) => (i < 2 ? { ...p, x: 999 } : p));
  expect(fidelity([first[0]], [unsure], { measure: "points" }).fidelity).toBeCloseTo(1, 12);
});

test("key points of objects without an area are compared as if 0.53 of the box were filled, as ultralytics does", () => {
  const { truth, found, sigmas } = cases.find(({ name }) => name === "people")!;
  const rows = found.map(foundRow);
  const objects = truth.map(truthRow).map((row) => ({ ...row, area: undefined }));
  const filled = objects.map((row) => ({ ...row, area: row.box.width * row.box.height * 0.53 }));
  const [bare, told] = [objects, filled].map((each) =>
    evaluateCoco(each, rows, { measure: "points", sigmas }),
  );
  expect(bare.AP).toBeGreaterThan(0.1);
  expect(bare.AP).toBeCloseTo(told.AP, 12);
});

test("what is to be compared has to be there", () => {
  const row = { image: "a", category: 0, box: { x: 0, y: 0, width: 9, height: 9 } };
  for (const measure of ["mask", "corners", "points"] as const) {
    expect(() => evaluateCoco([row], [{ ...row, score: 1 }], { measure })).toThrow(UsageError);
  }
  const points = [{ x: 1, y: 1, labelled: true }];
  expect(() =>
    evaluateCoco([{ ...row, points }], [{ ...row, score: 1, points: [...points, ...points] }], {
      measure: "points",
    }),
  ).toThrow('picture "a": 2 key points beside 1 spreads');
});

describe("polygons", () => {
  const square = [0, 0, 10, 0, 10, 10, 0, 10];
  const shifted = (dx: number, dy: number) => square.map((v, i) => v + (i % 2 ? dy : dx));
  test("what they share, whichever way round, and far from the origin", () => {
    expect(polygonIou(square, square)).toBe(1);
    expect(polygonIou(square, shifted(5, 0))).toBeCloseTo(1 / 3, 15);
    expect(polygonIou([0, 10, 10, 10, 10, 0, 0, 0], shifted(5, 0))).toBeCloseTo(1 / 3, 15);
    expect(polygonIou(square, shifted(10, 0))).toBe(0);
    expect(polygonIou(square, shifted(100, 100))).toBe(0);
    const far = 1e6;
    expect(polygonIou(shifted(far, far), shifted(far + 5, far))).toBeCloseTo(1 / 3, 12);
    // The square inscribed in another has half its area.
    expect(polygonIou(square, [5, 0, 10, 5, 5, 10, 0, 5])).toBeCloseTo(0.5, 15);
  });
  test("one with a dent, and one without area", () => {
    const dart = [0, 0, 5, 5, 10, 0, 5, 10];
    expect(polygonArea(dart)).toBe(25);
    expect(polygonIou(dart, square)).toBeCloseTo(0.25, 15);
    expect(polygonIou(dart, [4, 0, 6, 0, 6, 4, 4, 4])).toBe(0);
    expect(polygonIou([1, 1, 5, 5, 1, 1, 5, 5], square)).toBe(0);
    expect(polygonIou([1, 1, 1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 1, 1, 1])).toBe(0);
  });

  test("the least turned box about a rectangle is the rectangle, about other corners one that holds them", () => {
    for (const angle of [-2, -0.7, 0, 0.3, 1.5]) {
      const corners = cornersOf({ x: 50, y: 30, width: 40, height: 10, angle });
      const about = rotatedAbout(corners);
      expect([about.x, about.y]).toEqual([expect.closeTo(50, 9), expect.closeTo(30, 9)]);
      expect([about.width, about.height].sort((a, b) => b - a)).toEqual([
        expect.closeTo(40, 9),
        expect.closeTo(10, 9),
      ]);
      expect(polygonIou(cornersOf(about), corners)).toBeCloseTo(1, 9);
    }
    expect(polygonArea(cornersOf(rotatedAbout([0, 0, 4, 0, 4, 4, 1, 3])))).toBeCloseTo(16, 9);
    expect(rotatedAbout([3, 3, 3, 3, 3, 3, 3, 3])).toMatchObject({ x: 3, y: 3, width: 0, height: 0 });
  });
});
