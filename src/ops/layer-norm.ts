/** LayerNorm over the innermost axes. The default eps is 1e-3. */
import { defineOp, float, int } from "../ir/op.ts";
import { weightToFloat32 } from "../ir/weight.ts";
import { innerRunSize, normalizeRuns } from "./_norm.ts";

export const layerNorm = defineOp({
  type: "LayerNorm",
  typeIndex: 76,
  params: { affine_size: int(0), eps: float(1, 0.001), affine: int(2, 1) },
  weights: (p) =>
    p.affine
      ? [
          { name: "gamma", count: p.affine_size, kind: "raw" },
          { name: "beta", count: p.affine_size, kind: "raw" },
        ]
      : [],
  shape: ([input], p) => {
    innerRunSize(input, p.affine_size, p.affine);
    return [input];
  },
  reference: ([input], { affine_size, eps, affine }, weights) => {
    const size = innerRunSize(input.shape, affine_size, affine);
    const gamma = affine ? weightToFloat32(weights.gamma) : undefined;
    const beta = affine ? weightToFloat32(weights.beta) : undefined;
    return [
      normalizeRuns(input, {
        size,
        eps,
        centred: true,
        gamma: (i) => gamma?.[i % size] ?? 1,
        beta: (i) => beta?.[i % size] ?? 0,
      }),
    ];
  },
});
