/** Convolution1D over [channels, w]. */
import { defineOp } from "../ir/op.ts";
import {
  convolution1DMacs,
  convolution1DParams,
  convolution1DShape,
  convolution1DWeights,
  convolve1D,
} from "./_one-dimensional.ts";

export const convolution1D = defineOp({
  type: "Convolution1D",
  typeIndex: 81,
  linear: true,
  params: convolution1DParams,
  weights: convolution1DWeights,
  shape: (inputs, p) => convolution1DShape(inputs, p, 1),
  reference: ([input], p, weights) => [convolve1D(input, p, weights, 1)],
  macs: (_, outputs, p) => convolution1DMacs(outputs, p),
});
