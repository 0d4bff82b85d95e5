/** InstanceNorm: statistics over every channel. The default eps is 1e-3. */
import { defineOp, float, int } from "../ir/op.ts";
import { elementCount } from "../ir/tensor.ts";
import { affineSpecs, normalizeAffine } from "./_norm.ts";
import { requireChannels, requireRank } from "./shapes.ts";

export const instanceNorm = defineOp({
  type: "InstanceNorm",
  typeIndex: 53,
  params: { channels: int(0), eps: float(1, 0.001), affine: int(2, 1) },
  weights: ({ affine, channels }) => affineSpecs(affine, channels),
  shape: ([input], { channels, affine }) => {
    requireRank(input, [3]);
    if (affine) requireChannels("channels", channels, input);
    return [input];
  },
  reference: ([input], { eps }, weights) => {
    const size = elementCount(input.shape.slice(1));
    return [normalizeAffine(input, { size, eps }, weights, (i) => Math.floor(i / size))];
  },
});
