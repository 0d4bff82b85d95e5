/** Concat: joins blobs along an axis. */
import { GraphError } from "../base/errors.ts";
import { defineOp, int } from "../ir/op.ts";
import { elementCount, formatShape, type Shape } from "../ir/tensor.ts";
import { aroundAxis, emptyLike, requireOneType, resolveAxis } from "./shapes.ts";

export const concat = defineOp({
  type: "Concat",
  typeIndex: 5,
  int8Inputs: true,
  moves: true,
  params: { axis: int(0) },
  inputs: [1, Number.POSITIVE_INFINITY],
  shape: (inputs, { axis: given }) => {
    const [first] = inputs;
    const axis = resolveAxis(given, first.length);
    const out = [...first];
    for (const other of inputs.slice(1)) {
      requireEqualBut(axis, first, other);
      out[axis] += other[axis];
    }
    return [out];
  },
  reference: (inputs, { axis: given }, _, [shape]) => {
    requireOneType(inputs);
    const axis = resolveAxis(given, shape.length);
    const data = emptyLike(inputs[0].data, elementCount(shape));
    const { outer, extent, inner } = aroundAxis(shape, axis);
    let start = 0;
    for (const input of inputs) {
      const run = input.shape[axis] * inner;
      for (let o = 0; o < outer; o++) {
        data.set(input.data.subarray(o * run, (o + 1) * run), o * extent * inner + start);
      }
      start += run;
    }
    return [{ shape, data }];
  },
});

function requireEqualBut(axis: number, first: Shape, other: Shape): void {
  if (other.length !== first.length || other.some((extent, i) => i !== axis && extent !== first[i])) {
    throw new GraphError(
      `cannot join ${formatShape(first)} and ${formatShape(other)}: ranks and all extents but that of axis ${axis} must agree`,
    );
  }
}
