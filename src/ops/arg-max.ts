/** ArgMax: positions of the largest values of the whole blob, [1, topk]; with `out_max_val` the values too, [2, topk]. */
import { GraphError } from "../base/errors.ts";
import { defineOp, int } from "../ir/op.ts";
import { elementCount } from "../ir/tensor.ts";

export const argMax = defineOp({
  type: "ArgMax",
  typeIndex: 1,
  params: { out_max_val: int(0), topk: int(1, 1) },
  shape: ([input], { out_max_val, topk }) => {
    const size = elementCount(input);
    if (topk < 1 || topk > size) throw new GraphError(`topk is ${topk} for ${size} values`);
    return [[out_max_val ? 2 : 1, topk]];
  },
  reference: ([{ data }], { out_max_val, topk }, _, [shape]) => {
    const best = Array.from(data, (_, i) => i)
      .sort((a, b) => data[b] - data[a])
      .slice(0, topk);
    const rows = out_max_val ? [...best.map((i) => data[i]), ...best] : best;
    return [{ shape, data: Float32Array.from(rows) }];
  },
});
