/** ConvolutionDepthWise1D: depthwise and grouped convolution over [channels, w]. */
import { GraphError } from "../base/errors.ts";
import { defineOp, int } from "../ir/op.ts";
import {
  convolution1DMacs,
  convolution1DParams,
  convolution1DShape,
  convolution1DWeights,
  convolve1D,
} from "./_one-dimensional.ts";

export const convolutionDepthWise1D = defineOp({
  type: "ConvolutionDepthWise1D",
  typeIndex: 83,
  linear: true,
  params: { ...convolution1DParams, group: int(7, 1) },
  weights: (p) => convolution1DWeights(p),
  shape: (inputs, p) => {
    if (p.group < 1) throw new GraphError(`group is ${p.group}, expected at least 1`);
    return convolution1DShape(inputs, p, p.group);
  },
  reference: ([input], p, weights) => [convolve1D(input, p, weights, p.group)],
  macs: (_, outputs, p) => convolution1DMacs(outputs, p),
});
