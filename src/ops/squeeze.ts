/** Squeeze: drops axes of extent 1. */
import { defineOp, int, ints } from "../ir/op.ts";
import { axisNames, resolveAxis } from "./shapes.ts";

export const squeeze = defineOp({
  type: "Squeeze",
  typeIndex: 44,
  int8Inputs: true,
  moves: true,
  params: { squeeze_w: int(0), squeeze_h: int(1), squeeze_d: int(11), squeeze_c: int(2), axes: ints(3) },
  shape: ([input], p) => {
    const rank = input.length;
    const asked = p.axes.length
      ? new Set(p.axes.map((axis) => resolveAxis(axis, rank)))
      : new Set([...axisNames(rank)].flatMap((name, i) => (p[`squeeze_${name}` as "squeeze_w"] ? [i] : [])));
    const shape = input.filter((extent, i) => extent !== 1 || !asked.has(i));
    return [shape.length ? shape : [1]];
  },
  reference: ([input], _p, _w, [shape]) => [{ shape, data: input.data }],
});
