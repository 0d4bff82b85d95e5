/** InstanceNorm: statistics over every channel. The default eps is 1e-3. */
import { defineOp, float, int } from "../ir/op.ts";
import { elementCount } from "../ir/tensor.ts";
import { weightToFloat32 } from "../ir/weight.ts";
import { normalizeRuns } from "./_norm.ts";
import { requireChannels, requireRank } from "./_shape.ts";

export const instanceNorm = defineOp({
  type: "InstanceNorm",
  typeIndex: 53,
  params: { channels: int(0), eps: float(1, 0.001), affine: int(2, 1) },
  weights: (p) =>
    p.affine
      ? [
          { name: "gamma", count: p.channels, kind: "raw" },
          { name: "beta", count: p.channels, kind: "raw" },
        ]
      : [],
  shape: ([input], { channels, affine }) => {
    requireRank(input, [3]);
    if (affine) requireChannels("channels", channels, input);
    return [input];
  },
  reference: ([input], { eps, affine }, weights) => {
    const size = elementCount(input.shape.slice(1));
    const gamma = affine ? weightToFloat32(weights.gamma) : undefined;
    const beta = affine ? weightToFloat32(weights.beta) : undefined;
    return [
      normalizeRuns(input, {
        size,
        eps,
        centred: true,
        gamma: (i) => gamma?.[Math.floor(i / size)] ?? 1,
        beta: (i) => beta?.[Math.floor(i / size)] ?? 0,
      }),
    ];
  },
});
