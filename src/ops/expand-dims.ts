/** ExpandDims: puts in axes of extent 1, numbered as in the result. */
import { GraphError } from "../base/errors.ts";
import { defineOp, ints } from "../ir/op.ts";
import { resolveAxis } from "./shapes.ts";

export const expandDims = defineOp({
  type: "ExpandDims",
  typeIndex: 45,
  int8Inputs: true,
  moves: true,
  params: { axes: ints(3) },
  shape: ([input], { axes }) => {
    const rank = input.length + axes.length;
    if (rank > 4)
      throw new GraphError(`a blob of rank ${input.length} with ${axes.length} more axes; the most is 4`);
    const added = new Set(axes.map((axis) => resolveAxis(axis, rank)));
    if (added.size < axes.length) throw new GraphError(`axes ${axes.join(", ")} name an axis twice`);
    const rest = [...input];
    return [Array.from({ length: rank }, (_, i) => (added.has(i) ? 1 : (rest.shift() ?? 1)))];
  },
  reference: ([input], _p, _w, [shape]) => [{ shape, data: input.data }],
});
