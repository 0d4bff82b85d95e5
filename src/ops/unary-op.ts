/** UnaryOp: one function of every value. Source: ncnn src/layer/unaryop.h. */

import { GraphError } from "../base/errors.ts";
import { roundHalfEven } from "../base/maths.ts";
import { defineOp, int } from "../ir/op.ts";

/** Name and function by `op_type`. */
export const unaryOpTypes: readonly (readonly [name: string, f: (x: number) => number])[] = [
  ["abs", Math.abs],
  ["neg", (x) => -x],
  ["floor", Math.floor],
  ["ceil", Math.ceil],
  ["square", (x) => x * x],
  ["sqrt", Math.sqrt],
  ["rsqrt", (x) => 1 / Math.sqrt(x)],
  ["exp", Math.exp],
  ["log", Math.log],
  ["sin", Math.sin],
  ["cos", Math.cos],
  ["tan", Math.tan],
  ["asin", Math.asin],
  ["acos", Math.acos],
  ["atan", Math.atan],
  ["reciprocal", (x) => 1 / x],
  ["tanh", Math.tanh],
  ["log10", Math.log10],
  ["round", roundHalfEven],
  ["trunc", Math.trunc],
  ["sign", Math.sign],
  ["expm1", Math.expm1],
  ["sinh", Math.sinh],
  ["asinh", Math.asinh],
  ["cosh", Math.cosh],
  ["acosh", Math.acosh],
  ["atanh", Math.atanh],
  ["log1p", Math.log1p],
];

function unaryFunction(opType: number): (x: number) => number {
  const entry = unaryOpTypes[opType];
  if (!entry) throw new GraphError(`op_type is ${opType}, expected 0 to ${unaryOpTypes.length - 1}`);
  return entry[1];
}

export const unaryOp = defineOp({
  type: "UnaryOp",
  typeIndex: 41,
  pointwise: true,
  params: { op_type: int(0) },
  shape: ([input], { op_type }) => {
    unaryFunction(op_type);
    return [input];
  },
  reference: ([{ shape, data }], { op_type }) => {
    const f = unaryFunction(op_type);
    return [{ shape, data: Float32Array.from(data, (x) => f(x)) }];
  },
});
