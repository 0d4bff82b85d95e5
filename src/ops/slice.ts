/** Slice: cuts a blob into consecutive parts along an axis. */
import { GraphError } from "../base/errors.ts";
import { defineOp, int, ints } from "../ir/op.ts";
import type { Shape } from "../ir/tensor.ts";
import { gather, resolveAxis, stridesOf } from "./shapes.ts";

/** A part of this size takes an equal share of what is left. */
export const share = -233;

interface SliceParams {
  readonly slices: readonly number[];
  readonly indices: readonly number[];
}

export const slice = defineOp({
  type: "Slice",
  typeIndex: 31,
  int8Inputs: true,
  moves: true,
  params: { slices: ints(0), axis: int(1), indices: ints(2) },
  outputs: [1, Number.POSITIVE_INFINITY],
  shape: ([input], p, outputs) => {
    const axis = resolveAxis(p.axis, input.length);
    return partSizes(input[axis], p, outputs).map((size) => input.with(axis, size));
  },
  reference: ([input], p, _, outputShapes: readonly Shape[]) => {
    const axis = resolveAxis(p.axis, input.shape.length);
    const strides = stridesOf(input.shape);
    let start = 0;
    return outputShapes.map((shape) => {
      const part = gather(input.data, shape, strides, start * strides[axis]);
      start += shape[axis];
      return part;
    });
  },
});

/** Extents of the parts, from split points (`indices`) or else from sizes (`slices`). */
function partSizes(extent: number, { slices, indices }: SliceParams, outputs: number): number[] {
  const [given, expected, what] = indices.length
    ? [indices.length, outputs - 1, "indices"]
    : [slices.length, outputs, "slices"];
  if (given < expected) throw new GraphError(`${given} ${what} for ${outputs} outputs, expected ${expected}`);
  const sizes: number[] = [];
  let start = 0;
  for (let i = 0; i < outputs; i++) {
    let size: number;
    if (indices.length) {
      const end = i === outputs - 1 ? extent : indices[i] < 0 ? indices[i] + extent : indices[i];
      size = end - start;
    } else {
      size = slices[i] === share ? Math.trunc((extent - start) / (outputs - i)) : slices[i];
    }
    if (size < 1 || start + size > extent) {
      throw new GraphError(`part ${i} would be [${start}, ${start + size}) of an extent of ${extent}`);
    }
    sizes.push(size);
    start += size;
  }
  return sizes;
}
