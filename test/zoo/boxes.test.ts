/** Detection layers of the benchmark's networks against native ncnn with the same weights (scripts/zoo-boxes.ts and .py). */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { isObject } from "../../src/index.ts";
import { zoo } from "../../src/zoo/index.ts";
import { runNetwork } from "./_boxes.ts";

/** Class (1 is the first label), score, left, top, right, bottom as parts of the input. */
type Row = [number, number, number, number, number, number];
const goldens = JSON.parse(
  readFileSync(new URL("data/native-boxes.json", import.meta.url), "utf8"),
) as Record<string, { seed: number; rows: Row[] }>;

/** Rows of the same class and score, in any order: scores may be equal. */
function expectSame(found: readonly Row[], expected: readonly Row[], tolerance: number): void {
  expect(found.length).toBe(expected.length);
  const left = [...found];
  for (const row of expected) {
    const at = left.findIndex(
      (other) =>
        other[0] === row[0] &&
        Math.abs(other[1] - row[1]) < 1e-3 &&
        row
          .slice(2)
          .every((corner, i) => Math.abs(corner - other[i + 2]) < tolerance * Math.max(1, Math.abs(corner))),
    );
    expect(at, `${row}`).toBeGreaterThanOrEqual(0);
    left.splice(at, 1);
  }
}

describe("rows and boxes are native ncnn's", () => {
  test.each(Object.entries(goldens))("%s", async (name, { seed, rows }) => {
    const { size, build } = zoo.find((network) => network.name === name)!;
    const { outputs, detections } = await runNetwork(build(), size, seed);
    const [{ data, shape }] = Object.values(outputs);
    const found = Array.from({ length: shape[0] }, (_, i) => [...data.subarray(6 * i, 6 * i + 6)] as Row);
    expectSame(found, rows, 1e-3);
    const boxes = detections
      .filter(isObject)
      .map(
        ({ classId, score, box: { x, y, width, height } }): Row => [
          ...([classId + 1, score, x, y, x + width, y + height] as const),
        ],
      );
    const clipped = rows.map(([label, score, ...corners]) => [
      ...[label, score, ...corners.map((corner) => size * Math.min(Math.max(corner, 0), 1))],
    ]);
    expectSame(boxes, clipped as Row[], 1e-3 * size);
  });
});
