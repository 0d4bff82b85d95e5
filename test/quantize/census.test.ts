import { expect, test } from "vitest";
import { Random } from "../../src/base/random.ts";
import { type Census, chunk, plainCensus, wasmCensus } from "../../src/quantize/_census.ts";

const both: [string, Census][] = [
  ["wasm", wasmCensus()],
  ["JavaScript", plainCensus()],
];

/** What is to be found, number by number. */
function expected(data: Float32Array, perWidth: number) {
  const values = [...data];
  const places = values.map((x) => Math.min(Math.floor(Math.abs(x) * perWidth), 2 ** 31 - 1));
  return {
    min: Math.min(...values),
    max: Math.max(...values),
    zeros: values.filter((x) => x === 0).length,
    places: places.filter((place) => place > 0),
  };
}

test.each(both)("%s: range, zeros and bins are those of the numbers one by one", (_, { look, places }) => {
  const random = new Random(7);
  for (const length of [1, 2, 3, 4, 5, 7, 8, 63, 64, 1000, chunk - 1, chunk]) {
    for (const [low, high] of [
      [-3, 3],
      [0, 100],
      [-1e-20, 1e-20],
      [-(2 ** 99), 2 ** 99],
    ]) {
      const data = random
        .floats(length, low, high)
        .map((x, i) => (i % 3 === 1 || (length % 2 === 0 && i === 0) ? (i % 2 ? -0 : 0) : x));
      for (const perWidth of [2 ** -40, 1, 2 ** 10, 2 ** 60]) {
        const { placed, min, max, zeros } = look(data, perWidth);
        const found = { min: min + 0, max: max + 0, zeros, places: [...places.subarray(0, placed)] };
        const right = expected(data, perWidth);
        expect(found).toEqual({ ...right, min: right.min + 0, max: right.max + 0 });
      }
    }
  }
});

test.each(both)("%s: what is not finite is told", (_, { look }) => {
  for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
    for (const at of [0, 3, 5]) {
      const data = new Float32Array(6).fill(1);
      data[at] = bad;
      expect(look(data, 1)).toMatchObject({ min: bad, max: bad });
    }
  }
});
