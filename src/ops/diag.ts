/** Diag: a square matrix with the input on a diagonal (rank 1), or the diagonal of a matrix (rank 2). */
import { GraphError } from "../base/errors.ts";
import { defineOp, int } from "../ir/op.ts";
import { elementCount, formatShape } from "../ir/tensor.ts";
import { emptyLike, requireRank } from "./shapes.ts";

export const diag = defineOp({
  type: "Diag",
  typeIndex: 101,
  int8Inputs: true,
  params: { diagonal: int(0) },
  shape: ([input], { diagonal: k }) => {
    requireRank(input, [1, 2]);
    const size = input[0] + Math.abs(k);
    if (input.length === 1) return [[size, size]];
    const length = Math.min(input[0] + Math.min(k, 0), input[1] - Math.max(k, 0));
    if (length < 1) throw new GraphError(`${formatShape(input)} has no diagonal ${k}`);
    return [[length]];
  },
  reference: ([{ shape: from, data: source }], { diagonal: k }, _, [shape]) => {
    const data = emptyLike(source, elementCount(shape));
    const [, width] = from.length === 1 ? shape : from;
    const first = Math.max(-k, 0) * width + Math.max(k, 0);
    for (let i = 0; i < (from.length === 1 ? from[0] : shape[0]); i++) {
      const at = first + i * (width + 1);
      if (from.length === 1) data[at] = source[i];
      else data[i] = source[at];
    }
    return [{ shape, data }];
  },
});
