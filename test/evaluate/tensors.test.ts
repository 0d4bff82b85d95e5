import { expect, test } from "vitest";
import { UsageError } from "../../src/base/errors.ts";
import { compareTensors } from "../../src/evaluate/tensors.ts";
import { tensor } from "../../src/ir/tensor.ts";

const of = (...values: number[]) => tensor([values.length], Float32Array.from(values));

test("figures by hand", () => {
  const result = compareTensors(of(3, 4, 0), of(3, 4.5, -1));
  expect(result).toMatchObject({ count: 3, maxAbs: 1, meanAbs: 0.5, notFinite: 0 });
  expect(result.sqnr).toBeCloseTo(10 * Math.log10(25 / 1.25), 12);
  expect(result.cosine).toBeCloseTo((9 + 18) / (5 * Math.sqrt(9 + 20.25 + 1)), 12);
  expect(result.worst).toEqual({ index: 2, reference: 0, candidate: -1 });
});

test("equal, zero and empty tensors", () => {
  expect(compareTensors(of(1, 2), of(1, 2))).toMatchObject({
    maxAbs: 0,
    sqnr: Number.POSITIVE_INFINITY,
    cosine: 1,
  });
  expect(compareTensors(of(0, 0), of(0, 0))).toMatchObject({ sqnr: Number.POSITIVE_INFINITY, cosine: 1 });
  expect(compareTensors(of(0, 0), of(0, 1))).toMatchObject({ sqnr: Number.NEGATIVE_INFINITY, cosine: 0 });
  expect(compareTensors(of(), of())).toMatchObject({ count: 0, maxAbs: 0, meanAbs: 0 });
});

test("a NaN on one side shows in every figure and is the worst place", () => {
  const result = compareTensors(of(1, 2, 3), of(9, Number.NaN, 3));
  expect(result.notFinite).toBe(1);
  expect(result.worst).toEqual({ index: 1, reference: 2, candidate: Number.NaN });
  for (const figure of [result.maxAbs, result.meanAbs, result.sqnr, result.cosine]) expect(figure).toBeNaN();
  expect(compareTensors(of(Number.NaN, 1), of(Number.NaN, 1))).toMatchObject({ notFinite: 0, maxAbs: 0 });
});

test("different shapes are refused", () => {
  expect(() => compareTensors(tensor([2, 3]), tensor([3, 2]))).toThrow(UsageError);
  expect(() => compareTensors(tensor([2, 3]), tensor([6]))).toThrow("3x2 and 6");
});
