import fc from "fast-check";
import { expect, test } from "vitest";
import { ExactSums } from "../../src/base/exact-sum.ts";

/** The sum by whole numbers of any length, in units of the least double. */
function exact(values: readonly number[]): number {
  const view = new DataView(new ArrayBuffer(8));
  let total = 0n;
  for (const value of values) {
    view.setFloat64(0, value);
    const bits = view.getBigUint64(0);
    const exponent = (bits >> 52n) & 0x7ffn;
    const fraction = bits & 0xfffffffffffffn;
    const magnitude = exponent ? (fraction | 0x10000000000000n) << (exponent - 1n) : fraction;
    total += value < 0 ? -magnitude : magnitude;
  }
  const sign = total < 0n ? -1 : 1;
  const magnitude = total < 0n ? -total : total;
  const excess = BigInt(Math.max(magnitude.toString(2).length - 53, 0));
  let [kept, rest] = [magnitude >> excess, magnitude & ((1n << excess) - 1n)];
  const half = excess ? 1n << (excess - 1n) : 0n;
  if (excess && (rest > half || (rest === half && kept & 1n))) kept++;
  rest = excess - 1074n;
  return sign * Number(kept) * 2 ** Math.max(Number(rest), -1000) * 2 ** Math.min(Number(rest) + 1000, 0);
}
const sumOf = (values: readonly number[]): ExactSums => {
  const sums = new ExactSums(1);
  for (const value of values) sums.add(0, value);
  return sums;
};
const numbers = fc.array(fc.double({ noNaN: true, min: -1e30, max: 1e30 }), { maxLength: 40 });

test("a sum is the nearest double, in any order and any parts", () => {
  fc.assert(
    fc.property(numbers, fc.nat(), (values, cut) => {
      const at = cut % (values.length + 1);
      const parts = sumOf(values.slice(at));
      parts.merge(sumOf(values.slice(0, at)));
      const expected = exact(values);
      expect(sumOf(values).value(0)).toBe(expected + 0);
      expect(sumOf(values.toReversed()).value(0)).toBe(expected + 0);
      expect(parts.value(0)).toBe(expected + 0);
      expect(parts.write()).toEqual(sumOf(values).write());
      expect(ExactSums.read(parts.write()).value(0)).toBe(expected + 0);
    }),
  );
});

test("ties are decided by what is far below, and what cancels leaves nothing", () => {
  expect(sumOf([2 ** 53, 1]).value(0)).toBe(2 ** 53);
  expect(sumOf([2 ** 53, 1, 2 ** -80]).value(0)).toBe(2 ** 53 + 2);
  expect(sumOf([2 ** 53, 1, -(2 ** -80)]).value(0)).toBe(2 ** 53);
  expect(sumOf([1e300, 1, -1e300]).value(0)).toBe(1);
  expect(sumOf([0.1, -0.1]).write()).toEqual({ counts: Uint8Array.of(0), parts: new Float64Array(0) });
});

test("what is not finite shows", () => {
  expect(sumOf([1, Number.NaN]).value(0)).toBeNaN();
  expect(sumOf([1, -1 / 0]).value(0)).toBe(-1 / 0);
  expect(ExactSums.read(sumOf([1, 1 / 0]).write()).value(0)).toBe(1 / 0);
});
