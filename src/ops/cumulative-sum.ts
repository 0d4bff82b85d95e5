/** CumulativeSum along an axis. */
import { defineOp, int } from "../ir/op.ts";
import { aroundAxis, resolveAxis } from "./shapes.ts";

export const cumulativeSum = defineOp({
  type: "CumulativeSum",
  typeIndex: 98,
  params: { axis: int(0) },
  shape: ([input], { axis }) => {
    resolveAxis(axis, input.length);
    return [input];
  },
  reference: ([{ shape, data }], { axis }) => {
    const { extent, inner } = aroundAxis(shape, resolveAxis(axis, shape.length));
    const out = Float32Array.from(data);
    for (let i = 0; i < out.length; i++) {
      if (Math.floor(i / inner) % extent > 0) out[i] += out[i - inner];
    }
    return [{ shape, data: out }];
  },
});
