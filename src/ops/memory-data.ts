/** MemoryData: a constant blob. */
import { GraphError } from "../base/errors.ts";
import { defineOp, int, type ParamValues } from "../ir/op.ts";
import { elementCount } from "../ir/tensor.ts";
import { weightToFloat32 } from "../ir/weight.ts";

const memoryParams = { w: int(0), h: int(1), d: int(11), c: int(2), load_type: int(21, 1) };

const extents = (p: ParamValues<typeof memoryParams>): number[] =>
  [p.c, p.d, p.h, p.w].filter((n) => n !== 0);

export const memoryData = defineOp({
  type: "MemoryData",
  typeIndex: 19,
  source: "constant",
  params: memoryParams,
  inputs: [0, 0],
  weights: (p) => {
    const shape = extents(p);
    if (shape.length === 0) return [];
    return [{ name: "data", count: elementCount(shape), kind: p.load_type === 1 ? "raw" : "tagged" }];
  },
  shape: (_, p) => {
    const shape = extents(p);
    if (shape.length === 0) throw new GraphError("a constant without extents (0, 1, 11 and 2 are all 0)");
    return [shape];
  },
  reference: (_i, _p, weights, [shape]) => [{ shape, data: weightToFloat32(weights.data) }],
});
