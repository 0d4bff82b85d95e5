/** LayerNorm over the innermost axes. The default eps is 1e-3. */
import { defineOp, float, int } from "../ir/op.ts";
import { affineSpecs, innerRunSize, normalizeAffine } from "./_norm.ts";

export const layerNorm = defineOp({
  type: "LayerNorm",
  typeIndex: 76,
  params: { affine_size: int(0), eps: float(1, 0.001), affine: int(2, 1) },
  weights: ({ affine, affine_size }) => affineSpecs(affine, affine_size),
  shape: ([input], p) => {
    innerRunSize(input, p.affine_size, p.affine);
    return [input];
  },
  reference: ([input], { affine_size, eps, affine }, weights) => {
    const size = innerRunSize(input.shape, affine_size, affine);
    return [normalizeAffine(input, { size, eps }, weights, (i) => i % size)];
  },
});
