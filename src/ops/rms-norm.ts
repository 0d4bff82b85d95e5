/** RMSNorm: x/√(mean x² + eps)·gamma over the innermost axes. */
import { defineOp, float, int } from "../ir/op.ts";
import { affineSpecs, innerRunSize, normalizeAffine } from "./_norm.ts";

export const rmsNorm = defineOp({
  type: "RMSNorm",
  typeIndex: 104,
  params: { affine_size: int(0), eps: float(1, 0.001), affine: int(2, 1) },
  weights: ({ affine, affine_size }) => affineSpecs(affine, affine_size, ["gamma"]),
  shape: ([input], p) => {
    innerRunSize(input, p.affine_size, p.affine);
    return [input];
  },
  reference: ([input], { affine_size, eps, affine }, weights) => {
    const size = innerRunSize(input.shape, affine_size, affine);
    return [normalizeAffine(input, { size, eps, centred: false }, weights, (i) => i % size)];
  },
});
