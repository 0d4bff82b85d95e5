import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { UsageError } from "../../src/base/errors.ts";
import { type CocoResult, evaluateCoco } from "../../src/evaluate/coco-ap.ts";
import type { DetectionRow, GroundTruth } from "../../src/evaluate/rows.ts";
import { objectStats } from "./_stats.ts";

interface Case {
  name: string;
  maxDets: number[];
  truth: number[][];
  found: number[][];
  stats: number[];
  perClass: [number, number, number][];
}
const cases: Case[] = JSON.parse(readFileSync(new URL("data/coco-ap.json", import.meta.url), "utf8"));

const truthRow = ([image, category, x, y, width, height, area, crowd]: number[]): GroundTruth => ({
  image,
  category,
  box: { x, y, width, height },
  area,
  crowd: crowd === 1,
});
const foundRow = ([image, category, score, x, y, width, height]: number[]): DetectionRow => ({
  image,
  category,
  score,
  box: { x, y, width, height },
});
const stats = (result: CocoResult) => objectStats.map((name) => result[name]);

describe("average precision", () => {
  test.each(cases)("pycocotools' twelve numbers and those of each class: $name", (each) => {
    const result = evaluateCoco(each.truth.map(truthRow), each.found.map(foundRow), {
      maxDets: each.maxDets,
    });
    const found = stats(result);
    each.stats.forEach((value, i) => {
      expect(found[i], objectStats[i]).toBeCloseTo(value, 12);
    });
    const classes = result.perClass.map((row) => [row.category, row.AP, row.AP50]);
    expect(classes.length).toBe(each.perClass.length);
    each.perClass.flat().forEach((value, i) => {
      expect(classes.flat()[i]).toBeCloseTo(value, 12);
    });
  });

  test("nothing at all, no detections, and perfect detections", () => {
    const truth = cases[0].truth.map(truthRow);
    expect(new Set(stats(evaluateCoco([], [])))).toEqual(new Set([-1]));
    expect(new Set(stats(evaluateCoco(truth, [])))).toEqual(new Set([0]));
    expect(evaluateCoco([], cases[0].found.map(foundRow)).AP).toBe(-1);
    const perfect = evaluateCoco(
      truth,
      truth.map((row, i) => ({ ...row, score: 1 / (i + 2) })),
    );
    for (const name of ["AP", "AP50", "AP75", "APs", "APm", "APl", "AR100"] as const) {
      expect(perfect[name]).toBeCloseTo(1, 12);
    }
  });

  test("image names may be strings, and the caller's rows are left as they were", () => {
    const { truth, found } = cases[1];
    const named = <T extends { image: number | string }>(row: T): T => ({
      ...row,
      image: String(row.image).padStart(12, "0"),
    });
    const rows = found.map(foundRow).map(named);
    const before = structuredClone(rows);
    const result = evaluateCoco(truth.map(truthRow).map(named), rows);
    expect(stats(result)[0]).toBeCloseTo(cases[1].stats[0], 12);
    expect(rows).toEqual(before);
  });

  test("wrong limits and thresholds are refused", () => {
    expect(() => evaluateCoco([], [], { maxDets: [] })).toThrow(UsageError);
    expect(() => evaluateCoco([], [], { maxDets: [10, 1] })).toThrow("maxDets 10,1");
    expect(() => evaluateCoco([], [], { iouThresholds: [50] })).toThrow("iouThresholds 50");
  });
});
