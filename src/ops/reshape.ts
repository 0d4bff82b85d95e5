/** Reshape: the same values with other extents. 0 copies the input's extent of that name, -1 is inferred. */
import { GraphError, UnsupportedError } from "../base/errors.ts";
import { defineOp, int, string } from "../ir/op.ts";
import { elementCount, formatShape, type Shape } from "../ir/tensor.ts";
import { evaluateSizes } from "./_expression.ts";
import { axisNames, namedExtents } from "./shapes.ts";

/** An extent of this value is not there; which ones are there decides the rank. */
export const absent = -233;
const noBatch = 233;

type Extent = "w" | "h" | "d" | "c";

/** The extents that are asked for, outermost first; those of an expression in the order w, h, d, c like the parameters. */
function askedExtents(
  inputs: readonly Shape[],
  p: Readonly<Record<Extent, number>> & { shape_expr: string },
): readonly number[] {
  if (!p.shape_expr) {
    if (inputs.length > 1) {
      throw new GraphError(`${inputs.length} inputs, but no size expression (6) that makes use of them`);
    }
    const rank = p.c === absent ? (p.h === absent ? 1 : 2) : p.d === absent ? 3 : 4;
    return [...axisNames(rank)].map((name) => p[name as Extent]);
  }
  const sizes = evaluateSizes(p.shape_expr, inputs);
  if (sizes.length <= 4) return sizes.reverse();
  throw new GraphError(`size expression "${p.shape_expr}" has ${sizes.length} extents, expected 1 to 4`);
}

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
    batch_axis_in: int(12, noBatch),
    batch_axis_out: int(13, noBatch),
  },
  inputs: [1, 10],
  shape: (inputs, p) => {
    if (p.batch_axis_in !== noBatch || p.batch_axis_out !== noBatch) {
      throw new UnsupportedError("Reshape with batch axes (12, 13) is not supported");
    }
    const [input] = inputs;
    const asked = askedExtents(inputs, p);
    const from = namedExtents(input);
    const names = [...axisNames(asked.length)] as Extent[];
    const shape = asked.map((extent, i) => (extent === 0 ? from[names[i]] : extent));
    const total = elementCount(input);
    const hole = shape.indexOf(-1);
    if (hole >= 0) shape[hole] = total / elementCount(shape.with(hole, 1));
    if (shape.some((extent) => !(Number.isInteger(extent) && extent > 0)) || elementCount(shape) !== total) {
      throw new GraphError(
        `${formatShape(input)} has ${total} elements, which cannot take the shape ${formatShape(asked)}`,
      );
    }
    return [shape];
  },
  reference: ([input], _p, _w, [shape]) => [{ shape, data: input.data }],
});
