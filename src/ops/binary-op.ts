/**
 * BinaryOp: arithmetic of two blobs with broadcasting, or of a blob and a constant. Broadcasting is channel-first, the
 * opposite of numpy: a lower rank is filled up with inner axes. Source: ncnn src/layer/binaryop.cpp.
 */
import { GraphError } from "../base/errors.ts";
import { defineOp, float, int } from "../ir/op.ts";
import { elementCount, formatShape, type Shape } from "../ir/tensor.ts";
import { leftPadded, stridesOf } from "./shapes.ts";

type Binary = (a: number, b: number) => number;

export const binaryOpTypes = [
  "add",
  "sub",
  "mul",
  "div",
  "max",
  "min",
  "pow",
  "rsub",
  "rdiv",
  "rpow",
  "atan2",
  "ratan2",
  "fmod",
  "rfmod",
  "logaddexp",
  "floor_divide",
  "rfloor_divide",
  "remainder",
  "rremainder",
] as const;

const swapped =
  (f: Binary): Binary =>
  (a, b) =>
    f(b, a);

/** IEEE remainder: a - b·n where n is a/b rounded half to even. */
const remainder: Binary = (a, b) => {
  const size = Math.abs(b);
  const rest = a % size;
  const twice = Math.abs(rest) * 2;
  const isOdd = Math.abs(a % (2 * size)) >= size;
  return twice > size || (twice === size && isOdd) ? rest - Math.sign(a) * size : rest;
};
const sub: Binary = (a, b) => a - b;
const div: Binary = (a, b) => a / b;
const fmod: Binary = (a, b) => a % b;
const floorDivide: Binary = (a, b) => Math.floor(a / b);

const functions: Record<(typeof binaryOpTypes)[number], Binary> = {
  add: (a, b) => a + b,
  sub,
  mul: (a, b) => a * b,
  div,
  max: Math.max,
  min: Math.min,
  pow: Math.pow,
  rsub: swapped(sub),
  rdiv: swapped(div),
  rpow: swapped(Math.pow),
  atan2: Math.atan2,
  ratan2: swapped(Math.atan2),
  fmod,
  rfmod: swapped(fmod),
  logaddexp: (a, b) => Math.max(a, b) + Math.log1p(Math.exp(-Math.abs(a - b))),
  floor_divide: floorDivide,
  rfloor_divide: swapped(floorDivide),
  remainder,
  rremainder: swapped(remainder),
};

/** The function of an `op_type`. Throws GraphError. */
function binaryFunction(opType: number): Binary {
  const name = binaryOpTypes[opType];
  if (!name) throw new GraphError(`op_type is ${opType}, expected 0 to ${binaryOpTypes.length - 1}`);
  return functions[name];
}

/** `low` with axes of extent 1 put in, so that it has the rank of `high` and lies where ncnn broadcasts it. */
function raise(low: Shape, high: Shape): Shape {
  const missing = high.length - low.length;
  if (missing === 0) return low;
  const ones = new Array<number>(missing).fill(1);
  // Rank 1 counts per outermost axis if its size fits there, else along w.
  if (low.length === 1 && low[0] !== high[0]) return [...ones, ...low];
  return [...low, ...ones];
}

/** Both shapes raised to one rank, and the result's. Throws GraphError. */
export function broadcast(a: Shape, b: Shape): { a: Shape; b: Shape; out: Shape } {
  const raised = a.length < b.length ? { a: raise(a, b), b } : { a, b: raise(b, a) };
  const out = raised.a.map((extent, i) => {
    const other = raised.b[i];
    if (extent !== other && extent !== 1 && other !== 1) {
      throw new GraphError(
        `cannot broadcast ${formatShape(a)} with ${formatShape(b)}: extents ${extent} and ${other} differ`,
      );
    }
    return Math.max(extent, other);
  });
  return { ...raised, out };
}

/** Strides that stand still on axes of extent 1, as four values. */
const broadcastStrides = (shape: Shape): number[] =>
  leftPadded(
    stridesOf(shape).map((stride, i) => (shape[i] === 1 ? 0 : stride)),
    0,
  );

export const binaryOp = defineOp({
  type: "BinaryOp",
  typeIndex: 40,
  params: { op_type: int(0), with_scalar: int(1), b: float(2) },
  inputs: [1, 2],
  arithmetic: ({ op_type, with_scalar, b }) => ({
    operator: binaryOpTypes[op_type],
    ...(with_scalar && { scalar: b }),
  }),
  shape: (inputs, p) => {
    binaryFunction(p.op_type);
    if (p.with_scalar) return [inputs[0]];
    if (inputs.length !== 2)
      throw new GraphError(`${inputs.length} input without with_scalar (1=1), expected 2`);
    return [broadcast(inputs[0], inputs[1]).out];
  },
  reference: ([a, b], p) => {
    const f = binaryFunction(p.op_type);
    if (p.with_scalar) return [{ shape: a.shape, data: Float32Array.from(a.data, (x) => f(x, p.b)) }];
    const shapes = broadcast(a.shape, b.shape);
    const data = new Float32Array(elementCount(shapes.out));
    const [n0, n1, n2, n3] = leftPadded(shapes.out, 1);
    const sa = broadcastStrides(shapes.a);
    const sb = broadcastStrides(shapes.b);
    let o = 0;
    for (let i0 = 0; i0 < n0; i0++) {
      for (let i1 = 0; i1 < n1; i1++) {
        for (let i2 = 0; i2 < n2; i2++) {
          let ia = i0 * sa[0] + i1 * sa[1] + i2 * sa[2];
          let ib = i0 * sb[0] + i1 * sb[1] + i2 * sb[2];
          for (let i3 = 0; i3 < n3; i3++, ia += sa[3], ib += sb[3]) data[o++] = f(a.data[ia], b.data[ib]);
        }
      }
    }
    return [{ shape: shapes.out, data }];
  },
});
