/** RMSNorm: x/√(mean x² + eps)·gamma over the innermost axes. */
import { defineOp, float, int } from "../ir/op.ts";
import { weightToFloat32 } from "../ir/weight.ts";
import { innerRunSize, normalizeRuns } from "./_norm.ts";

export const rmsNorm = defineOp({
  type: "RMSNorm",
  typeIndex: 104,
  params: { affine_size: int(0), eps: float(1, 0.001), affine: int(2, 1) },
  weights: (p) => (p.affine ? [{ name: "gamma", count: p.affine_size, kind: "raw" }] : []),
  shape: ([input], p) => {
    innerRunSize(input, p.affine_size, p.affine);
    return [input];
  },
  reference: ([input], { affine_size, eps, affine }, weights) => {
    const size = innerRunSize(input.shape, affine_size, affine);
    const gamma = affine ? weightToFloat32(weights.gamma) : undefined;
    const one = (i: number): number => gamma?.[i % size] ?? 1;
    return [normalizeRuns(input, { size, eps, centred: false, gamma: one, beta: () => 0 })];
  },
});
