/** ConvolutionDepthWise: depthwise and general grouped convolution. */
import { GraphError } from "../base/errors.ts";
import { defineOp, int } from "../ir/op.ts";
import {
  convolutionMacs,
  convolutionParams,
  convolutionShape,
  convolutionWeights,
  convolve,
} from "./_convolve.ts";
import { windowAxes } from "./windows.ts";

export const convolutionDepthWise = defineOp({
  type: "ConvolutionDepthWise",
  typeIndex: 42,
  linear: true,
  window: windowAxes,
  int8Form: ({ group }) => ({
    ...{ groups: group, scaleCount: group, scaleTerm: 1 },
    ...{ requantizes: true, isWinograd: false },
  }),
  int8Inputs: true,
  params: { ...convolutionParams, group: int(7, 1) },
  // int8_scale_term 1 / 101: one weight scale per group; 2 / 102: a single one for all groups.
  weights: (p) => convolutionWeights(p, p.int8_scale_term % 100 === 2 ? 1 : p.group),
  shape: (inputs, p) => {
    if (p.group < 1) throw new GraphError(`group is ${p.group}, expected at least 1`);
    return convolutionShape(inputs, p, p.group);
  },
  reference: ([input], p, weights) => {
    const perGroup = p.num_output / p.group;
    const single = p.int8_scale_term % 100 === 2;
    const isDepthwise = perGroup === 1 && input.shape[0] === p.group;
    return [
      convolve(input, p, weights, p.group, (k) => (single ? 0 : Math.floor(k / perGroup)), isDepthwise),
    ];
  },
  macs: (_, [output], p) => convolutionMacs(output, p),
});
