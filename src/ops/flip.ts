/** Flip: reverses axes. */
import { defineOp, ints } from "../ir/op.ts";
import { gather, resolveAxis, stridesOf } from "./shapes.ts";

export const flip = defineOp({
  type: "Flip",
  typeIndex: 107,
  int8Inputs: true,
  moves: true,
  params: { axes: ints(0) },
  shape: ([input], { axes }) => {
    for (const axis of axes) resolveAxis(axis, input.length);
    return [input];
  },
  reference: ([{ shape, data }], { axes }) => {
    const strides = stridesOf(shape);
    let offset = 0;
    for (const axis of new Set(axes.map((given) => resolveAxis(given, shape.length)))) {
      offset += (shape[axis] - 1) * strides[axis];
      strides[axis] *= -1;
    }
    return [gather(data, shape, strides, offset)];
  },
});
