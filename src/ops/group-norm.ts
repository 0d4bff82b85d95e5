/** GroupNorm: statistics over groups of channels. The default eps is 1e-3. */
import { GraphError } from "../base/errors.ts";
import { defineOp, float, int } from "../ir/op.ts";
import { elementCount } from "../ir/tensor.ts";
import { affineSpecs, normalizeAffine } from "./_norm.ts";
import { requireChannels } from "./shapes.ts";

export const groupNorm = defineOp({
  type: "GroupNorm",
  typeIndex: 75,
  params: { group: int(0, 1), channels: int(1), eps: float(2, 0.001), affine: int(3, 1) },
  weights: ({ affine, channels }) => affineSpecs(affine, channels),
  shape: ([input], { group, channels }) => {
    requireChannels("channels", channels, input);
    if (group < 1 || channels % group) {
      throw new GraphError(`${channels} channels cannot be split into ${group} groups`);
    }
    return [input];
  },
  reference: ([input], { group, eps }, weights) => {
    const plane = elementCount(input.shape.slice(1));
    const size = input.data.length / group;
    return [normalizeAffine(input, { size, eps }, weights, (i) => Math.floor(i / plane))];
  },
});
