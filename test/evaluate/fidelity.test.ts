import { expect, test } from "vitest";
import { Random } from "../../src/base/random.ts";
import { fidelity } from "../../src/evaluate/fidelity.ts";
import type { DetectionRow } from "../../src/evaluate/rows.ts";

/** Boxes apart from each other on a grid, so that each has one possible partner. */
function detections(seed: number): DetectionRow[] {
  const random = new Random(seed);
  return Array.from({ length: 120 }, (_, i) => ({
    image: Math.floor(i / 12),
    category: random.int(0, 3),
    score: random.uniform(0.3, 0.9),
    box: { x: (i % 12) * 200, y: 0, width: random.pick([20, 60, 150]), height: random.pick([20, 60, 150]) },
  }));
}

test("a model is faithful to itself", () => {
  const rows = detections(1);
  const result = fidelity(rows, rows);
  expect(result.fidelity).toBeCloseTo(1, 12);
  expect(result.objects).toBe(120);
  expect(result.all).toEqual({ change: 0, matched: 120, missing: 0 });
  expect(result.small.matched + result.medium.matched + result.large.matched).toBe(120);
});

test("score change is relative to the reference, by the size of the reference box", () => {
  const rows = detections(2);
  const factor = (row: DetectionRow) => (row.box.width * row.box.height < 1024 ? 0.8 : 1.1);
  const result = fidelity(
    rows,
    rows.map((row) => ({ ...row, score: row.score * factor(row) })),
  );
  expect(result.small.change).toBeCloseTo(-0.2, 12);
  expect(result.medium.change).toBeCloseTo(0.1, 12);
  expect(result.large.change).toBeCloseTo(0.1, 12);
  expect(result.pairs).toHaveLength(120);
});

test("weak reference boxes are no truth; lost, moved and relabelled boxes are missing", () => {
  const box = { x: 0, y: 0, width: 100, height: 100 };
  const row = (image: number, changes: Partial<DetectionRow> = {}): DetectionRow => ({
    image,
    category: 0,
    score: 0.5,
    box,
    ...changes,
  });
  const reference = [row(1), row(2), row(3), row(4), row(5, { score: 0.2499 }), row(6, { score: 0.25 })];
  const candidate = [
    row(2, { box: { ...box, x: 40 } }), // IoU 60/140
    row(3, { category: 1 }),
    row(4, { box: { ...box, x: 20 }, score: 0.3 }), // IoU 80/120
    row(4, { box: { ...box, x: 25 }, score: 0.9 }),
    row(5),
    row(6),
  ];
  const result = fidelity(reference, candidate);
  expect(result.objects).toBe(5);
  expect(result.all).toEqual({
    change: ((0.3 - 0.5) / 0.5 + (0.5 - 0.25) / 0.25) / 2,
    matched: 2,
    missing: 3,
  });
  expect(result.large).toEqual(result.all);
  expect(result.small).toEqual({ change: null, matched: 0, missing: 0 });
});

test("up to 300 boxes of a class count, and nothing to compare is −1", () => {
  const row = (i: number, score: number): DetectionRow => ({
    image: 1,
    category: 0,
    score,
    box: { x: i * 20, y: 0, width: 10, height: 10 },
  });
  const reference = Array.from({ length: 310 }, (_, i) => row(i, 0.9 - i * 0.001));
  expect(fidelity(reference, reference).fidelity).toBeCloseTo(Math.floor((300 / 310) * 100 + 1) / 101, 12);
  expect(fidelity([], reference).fidelity).toBe(-1);
  expect(fidelity([], [])).toMatchObject({ objects: 0, all: { change: null } });
});
