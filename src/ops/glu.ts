/** GLU: first half · sigmoid(second half) along an axis. */
import { GraphError } from "../base/errors.ts";
import { defineOp, int } from "../ir/op.ts";
import { elementCount } from "../ir/tensor.ts";
import { sigmoid } from "./activations.ts";
import { aroundAxis, resolveAxis } from "./shapes.ts";

export const glu = defineOp({
  type: "GLU",
  typeIndex: 94,
  params: { axis: int(0) },
  shape: ([input], { axis: given }) => {
    const axis = resolveAxis(given, input.length);
    if (input[axis] % 2) throw new GraphError(`an extent of ${input[axis]} cannot be halved`);
    return [input.with(axis, input[axis] / 2)];
  },
  reference: ([input], { axis }, _, [shape]) => {
    const { extent, inner } = aroundAxis(input.shape, resolveAxis(axis, input.shape.length));
    const half = (extent / 2) * inner;
    const data = new Float32Array(elementCount(shape));
    for (let o = 0; o < data.length; o++) {
      const at = Math.floor(o / half) * 2 * half + (o % half);
      data[o] = input.data[at] * sigmoid(input.data[at + half]);
    }
    return [{ shape, data }];
  },
});
