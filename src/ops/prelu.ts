/** PReLU: max(x, 0), or x·slope below zero, with one slope or one for every channel. */
import { defineOp, int } from "../ir/op.ts";
import { weightToFloat32 } from "../ir/weight.ts";
import { mapChannels, requireChannels } from "./shapes.ts";

export const prelu = defineOp({
  type: "PReLU",
  typeIndex: 23,
  params: { num_slope: int(0) },
  weights: ({ num_slope }) => [{ name: "slope", count: num_slope, kind: "raw" }],
  shape: ([input], { num_slope }) => {
    if (num_slope !== 1) requireChannels("num_slope", num_slope, input);
    return [input];
  },
  reference: ([input], { num_slope }, weights) => {
    const slope = weightToFloat32(weights.slope);
    return [mapChannels(input, (x, c) => (x < 0 ? x * slope[num_slope > 1 ? c : 0] : x))];
  },
});
