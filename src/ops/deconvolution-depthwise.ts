/** DeconvolutionDepthWise: depthwise and general grouped transposed convolution. */
import { defineOp, int } from "../ir/op.ts";
import {
  deconvolutionMacs,
  deconvolutionParams,
  deconvolutionShape,
  deconvolutionWeights,
  deconvolve,
} from "./deconvolve.ts";

export const deconvolutionDepthWise = defineOp({
  type: "DeconvolutionDepthWise",
  typeIndex: 51,
  linear: true,
  params: { ...deconvolutionParams, group: int(7, 1) },
  weights: (p) => deconvolutionWeights(p),
  shape: (inputs, p) => deconvolutionShape(inputs, p, p.group),
  reference: ([input], p, weights) => [deconvolve(input, p, weights, p.group)],
  macs: (inputs, _, p) => deconvolutionMacs(inputs, p),
});
