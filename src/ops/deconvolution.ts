/** Deconvolution: dense 2-D transposed convolution. */
import { defineOp } from "../ir/op.ts";
import {
  deconvolutionMacs,
  deconvolutionParams,
  deconvolutionShape,
  deconvolutionWeights,
  deconvolve,
} from "./deconvolve.ts";

export const deconvolution = defineOp({
  type: "Deconvolution",
  typeIndex: 8,
  linear: true,
  params: deconvolutionParams,
  weights: deconvolutionWeights,
  shape: (inputs, p) => deconvolutionShape(inputs, p, 1),
  reference: ([input], p, weights) => [deconvolve(input, p, weights, 1)],
  macs: (inputs, _, p) => deconvolutionMacs(inputs, p),
});
