/** GroupNorm: statistics over groups of channels. The default eps is 1e-3. */
import { GraphError } from "../base/errors.ts";
import { defineOp, float, int } from "../ir/op.ts";
import { elementCount } from "../ir/tensor.ts";
import { weightToFloat32 } from "../ir/weight.ts";
import { normalizeRuns } from "./_norm.ts";
import { requireChannels } from "./_shape.ts";

export const groupNorm = defineOp({
  type: "GroupNorm",
  typeIndex: 75,
  params: { group: int(0, 1), channels: int(1), eps: float(2, 0.001), affine: int(3, 1) },
  weights: (p) =>
    p.affine
      ? [
          { name: "gamma", count: p.channels, kind: "raw" },
          { name: "beta", count: p.channels, kind: "raw" },
        ]
      : [],
  shape: ([input], { group, channels }) => {
    requireChannels("channels", channels, input);
    if (group < 1 || channels % group) {
      throw new GraphError(`${channels} channels cannot be split into ${group} groups`);
    }
    return [input];
  },
  reference: ([input], { group, eps, affine }, weights) => {
    const plane = elementCount(input.shape.slice(1));
    const gamma = affine ? weightToFloat32(weights.gamma) : undefined;
    const beta = affine ? weightToFloat32(weights.beta) : undefined;
    return [
      normalizeRuns(input, {
        size: input.data.length / group,
        eps,
        centred: true,
        gamma: (i) => gamma?.[Math.floor(i / plane)] ?? 1,
        beta: (i) => beta?.[Math.floor(i / plane)] ?? 0,
      }),
    ];
  },
});
