/** Reshape: the same values with other extents. 0 copies the input's extent of that name, -1 is inferred. */
import { GraphError, UnsupportedError } from "../base/errors.ts";
import { defineOp, int, string } from "../ir/op.ts";
import { elementCount, formatShape } from "../ir/tensor.ts";
import { axisNames, namedExtents } from "./_shape.ts";

/** An extent of this value is not there; which ones are there decides the rank. */
const absent = -233;

export const reshape = defineOp({
  type: "Reshape",
  typeIndex: 27,
  int8Inputs: true,
  moves: true,
  params: {
    w: int(0, absent),
    h: int(1, absent),
    d: int(11, absent),
    c: int(2, absent),
    shape_expr: string(6),
    batch_axis_in: int(12, absent),
    batch_axis_out: int(13, absent),
  },
  shape: ([input], p) => {
    if (p.shape_expr) throw new UnsupportedError("Reshape with a shape expression (6) is not supported");
    if (p.batch_axis_in !== absent || p.batch_axis_out !== absent) {
      throw new UnsupportedError("Reshape with batch axes (12, 13) is not supported");
    }
    const rank = p.c === absent ? (p.h === absent ? 1 : 2) : p.d === absent ? 3 : 4;
    const from = namedExtents(input);
    const shape = [...axisNames(rank)].map((name) => {
      const extent = p[name as keyof typeof from];
      return extent === 0 ? from[name as keyof typeof from] : extent;
    });
    const total = elementCount(input);
    const hole = shape.indexOf(-1);
    if (hole >= 0) shape[hole] = total / elementCount(shape.with(hole, 1));
    if (shape.some((extent) => !(Number.isInteger(extent) && extent > 0)) || elementCount(shape) !== total) {
      const asked = [p.w, p.h, p.d, p.c].filter((extent) => extent !== absent).join("x");
      throw new GraphError(
        `${formatShape(input)} has ${total} elements, which cannot take the shape ${asked}`,
      );
    }
    return [shape];
  },
  reference: ([input], _p, _w, [shape]) => [{ shape, data: input.data }],
});
