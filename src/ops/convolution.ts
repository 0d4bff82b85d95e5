/** Convolution: dense 2-D cross-correlation with optional bias, fused activation and int8. */
import { defineOp } from "../ir/op.ts";
import {
  convolutionMacs,
  convolutionParams,
  convolutionShape,
  convolutionWeights,
  convolve,
} from "./_convolve.ts";

export const convolution = defineOp({
  type: "Convolution",
  typeIndex: 6,
  int8Inputs: true,
  params: convolutionParams,
  weights: (p) => convolutionWeights(p, p.num_output),
  shape: (inputs, p) => convolutionShape(inputs, p, 1),
  reference: ([input], p, weights) => [convolve(input, p, weights, 1, (k) => k)],
  macs: (_, [output], p) => convolutionMacs(output, p),
});
