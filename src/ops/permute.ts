/** Permute: transposes. The order numbers list which input extents become the output's w, h, (d,) c. */
import { GraphError } from "../base/errors.ts";
import { defineOp, int } from "../ir/op.ts";
import type { Shape } from "../ir/tensor.ts";
import { axisOfName, gather, stridesOf } from "./shapes.ts";

/** Names of the orders by rank, in the order of their numbers. */
export const ordersByRank: Record<number, readonly string[]> = {
  1: ["w"],
  2: ["wh", "hw"],
  3: ["whc", "hwc", "wch", "cwh", "hcw", "chw"],
  4: (
    "whdc hwdc wdhc dwhc hdwc dhwc whcd hwcd wchd cwhd hcwd chwd " +
    "wdch dwch wcdh cwdh dcwh cdwh hdcw dhcw hcdw chdw dchw cdhw"
  ).split(" "),
};

/** Input axis of every output axis, outermost first. Throws GraphError. */
export function permutation(orderType: number, rank: number): number[] {
  const order = rank === 1 ? "w" : ordersByRank[rank]?.[orderType];
  if (!order) throw new GraphError(`order_type ${orderType} does not exist for rank ${rank}`);
  return [...order].reverse().map((name) => axisOfName(name, rank));
}

const permuted = (values: Shape, axes: readonly number[]): number[] => axes.map((axis) => values[axis]);

export const permute = defineOp({
  type: "Permute",
  typeIndex: 47,
  int8Inputs: true,
  moves: true,
  params: { order_type: int(0) },
  shape: ([input], { order_type }) => [permuted(input, permutation(order_type, input.length))],
  reference: ([{ shape, data }], { order_type }, _, [outShape]) => [
    gather(data, outShape, permuted(stridesOf(shape), permutation(order_type, shape.length))),
  ],
});
