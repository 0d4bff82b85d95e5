/** Reduction: sums, means, norms, extremes over axes. Source: ncnn src/layer/reduction.cpp. */
import { GraphError } from "../base/errors.ts";
import { defineOp, float, int, ints, type ParamValues } from "../ir/op.ts";
import { elementCount, type Shape } from "../ir/tensor.ts";
import { leftPadded, resolveAxis, stridesOf } from "./shapes.ts";

interface Reducer {
  readonly start: number;
  step(acc: number, x: number): number;
  finish(acc: number, count: number): number;
}
const same = (acc: number): number => acc;
const add = (acc: number, x: number): number => acc + x;
const addAbs = (acc: number, x: number): number => acc + Math.abs(x);
const addSquare = (acc: number, x: number): number => acc + x * x;

/** Name and computation by `operation`. */
const reducers: readonly (readonly [name: string, reducer: Reducer])[] = [
  ["sum", { start: 0, step: add, finish: same }],
  ["asum", { start: 0, step: addAbs, finish: same }],
  ["sumsq", { start: 0, step: addSquare, finish: same }],
  ["mean", { start: 0, step: add, finish: (acc, count) => acc / count }],
  ["max", { start: Number.NEGATIVE_INFINITY, step: Math.max, finish: same }],
  ["min", { start: Number.POSITIVE_INFINITY, step: Math.min, finish: same }],
  ["prod", { start: 1, step: (acc, x) => acc * x, finish: same }],
  ["l1", { start: 0, step: addAbs, finish: same }],
  ["l2", { start: 0, step: addSquare, finish: Math.sqrt }],
  ["logsum", { start: 0, step: add, finish: Math.log }],
  ["logsumexp", { start: 0, step: (acc, x) => acc + Math.exp(x), finish: Math.log }],
];
export const reductionTypes: readonly string[] = reducers.map(([name]) => name);

const reductionParams = {
  operation: int(0),
  reduce_all: int(1, 1),
  coeff: float(2, 1),
  axes: ints(3),
  keepdims: int(4),
  // Must be 1 in files with axes: a marker against old converters that counted axes from the batch.
  fixbug0: int(5),
};
type P = ParamValues<typeof reductionParams>;

/** For every axis whether it is reduced. */
function reducedAxes(rank: number, p: P): boolean[] {
  const axes = new Set(p.axes.map((axis) => resolveAxis(axis, rank)));
  return Array.from({ length: rank }, (_, i) => p.reduce_all !== 0 || axes.has(i));
}

export const reduction = defineOp({
  type: "Reduction",
  typeIndex: 25,
  params: reductionParams,
  shape: ([input], p) => {
    if (!reducers[p.operation]) {
      throw new GraphError(`operation is ${p.operation}, expected 0 to ${reducers.length - 1}`);
    }
    const reduced = reducedAxes(input.length, p);
    const kept = input.map((extent, i) => (reduced[i] ? 1 : extent));
    if (p.keepdims) return [kept];
    const shape = kept.filter((_, i) => !reduced[i]);
    return [shape.length ? shape : [1]];
  },
  reference: ([{ shape: from, data }], p, _, [shape]) => {
    const [, { start, step, finish }] = reducers[p.operation];
    const acc = new Float64Array(elementCount(shape)).fill(start);
    const reduced = reducedAxes(from.length, p);
    const strides = outputStrides(from, reduced);
    const [n0, n1, n2, n3] = leftPadded(from, 1);
    const [s0, s1, s2, s3] = leftPadded(strides, 0);
    let i = 0;
    for (let i0 = 0; i0 < n0; i0++) {
      for (let i1 = 0; i1 < n1; i1++) {
        for (let i2 = 0; i2 < n2; i2++) {
          for (let i3 = 0; i3 < n3; i3++) {
            const o = i0 * s0 + i1 * s1 + i2 * s2 + i3 * s3;
            acc[o] = step(acc[o], data[i++]);
          }
        }
      }
    }
    const count = data.length / acc.length;
    return [{ shape, data: Float32Array.from(acc, (a) => finish(a, count) * p.coeff) }];
  },
});

/** Strides of the output seen from the input's axes: reduced axes stand still. */
function outputStrides(from: Shape, reduced: readonly boolean[]): number[] {
  const strides = stridesOf(from.map((extent, i) => (reduced[i] ? 1 : extent)));
  return strides.map((stride, i) => (reduced[i] ? 0 : stride));
}
