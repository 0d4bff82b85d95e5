/** Softmax along an axis. */
import { defineOp, int } from "../ir/op.ts";
import { aroundAxis, resolveAxis } from "./shapes.ts";

export const softmax = defineOp({
  type: "Softmax",
  typeIndex: 32,
  // `fixbug0` must be 1 in files with an axis other than 0: a marker against very old converters.
  params: { axis: int(0), fixbug0: int(1) },
  shape: ([input], { axis }) => {
    if (input.length > 1) resolveAxis(axis, input.length);
    return [input];
  },
  reference: ([{ shape, data }], { axis: given }) => {
    const axis = shape.length === 1 ? 0 : resolveAxis(given, shape.length);
    const { outer, extent, inner } = aroundAxis(shape, axis);
    const out = new Float32Array(data.length);
    for (let o = 0; o < outer; o++) {
      for (let i = 0; i < inner; i++) {
        const first = o * extent * inner + i;
        const end = first + extent * inner;
        let max = Number.NEGATIVE_INFINITY;
        for (let at = first; at < end; at += inner) max = Math.max(max, data[at]);
        let sum = 0;
        for (let at = first; at < end; at += inner) {
          const e = Math.exp(data[at] - max);
          out[at] = e;
          sum += e;
        }
        for (let at = first; at < end; at += inner) out[at] /= sum;
      }
    }
    return [{ shape, data: out }];
  },
});
