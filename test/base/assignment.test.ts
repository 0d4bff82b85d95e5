import { expect, test } from "vitest";
import { assign } from "../../src/base/assignment.ts";
import { Random } from "../../src/base/random.ts";

/** The least sum of all ways, by trying them. */
function leastSum(cost: readonly number[], rows: number, columns: number): number {
  if (rows > columns) {
    const turned = Array.from(
      { length: rows * columns },
      (_, i) => cost[(i % rows) * columns + Math.floor(i / rows)],
    );
    return leastSum(turned, columns, rows);
  }
  const best = (row: number, free: readonly number[]): number =>
    row === rows
      ? 0
      : Math.min(
          ...free.map(
            (k) =>
              cost[row * columns + k] +
              best(
                row + 1,
                free.filter((each) => each !== k),
              ),
          ),
        );
  return best(
    0,
    Array.from({ length: columns }, (_, k) => k),
  );
}

test("the sum of costs is the least of all, of every rectangle", () => {
  const random = new Random(1);
  for (let round = 0; round < 600; round++) {
    const [rows, columns] = [random.int(1, 6), random.int(1, 6)];
    // Whole numbers make ties, clipped ones (as behind a gate) many of them.
    const value = random.pick([
      () => random.uniform(-5, 5),
      () => random.int(-2, 2),
      () => Math.min(random.uniform(-1, 3), 0),
    ]);
    const cost = Array.from({ length: rows * columns }, value);
    const columnOf = [...assign(cost, rows, columns)];
    const used = columnOf.filter((column) => column >= 0);
    expect(used.length).toBe(Math.min(rows, columns));
    expect(new Set(used).size).toBe(used.length);
    const sum = columnOf.reduce(
      (total, column, row) => total + (column < 0 ? 0 : cost[row * columns + column]),
      0,
    );
    expect(sum, `round ${round}: ${rows}x${columns} ${cost}`).toBeCloseTo(leastSum(cost, rows, columns), 9);
  }
});

test("of equally good solutions it is scipy's", () => {
  // scipy.optimize.linear_sum_assignment, 1.17
  expect([...assign(new Float64Array(9), 3, 3)]).toEqual([0, 1, 2]);
  expect([...assign([1, 1, 1, 1, 1, 1], 2, 3)]).toEqual([0, 1]);
  expect([...assign([1, 1, 1, 1, 1, 1], 3, 2)]).toEqual([0, 1, -1]);
  expect([...assign([0, 1, 1, 0, 0, 1, 0, 0, 0], 3, 3)]).toEqual([0, 1, 2]);
});

test("nothing to assign", () => {
  expect([...assign([], 0, 5)]).toEqual([]);
  expect([...assign([], 2, 0)]).toEqual([-1, -1]);
});

test("two hundred on two hundred take a moment", () => {
  const cost = new Random(3).floats(40_000);
  const started = performance.now();
  assign(cost, 200, 200);
  expect(performance.now() - started).toBeLessThan(2000);
});
