/**
 * Convolution: dense 2-D cross-correlation with optional bias, fused activation and int8. One of 1×1 on a vector is an
 * InnerProduct, whatever its stride; native ncnn has it as a way out for old files. Its other layers on blobs of rank 1 and 2
 * give what the layout in memory makes of them, so these are refused.
 */
import { UnsupportedError } from "../base/errors.ts";
import { defineOp, type ParamValues } from "../ir/op.ts";
import type { Shape } from "../ir/tensor.ts";
import {
  convolutionMacs,
  convolutionParams,
  convolutionShape,
  convolutionWeights,
  convolve,
  isPlain3x3,
} from "./_convolve.ts";
import { multiply, productShape } from "./inner-product.ts";
import { windowAxes } from "./windows.ts";

/** Whether it works on a vector, as InnerProduct does. */
function isProduct(
  input: Shape,
  p: Pick<ParamValues<typeof convolutionParams>, "kernel_w" | "kernel_h" | "pad_left" | "pad_top">,
): boolean {
  return input.length === 1 && p.kernel_w === 1 && p.kernel_h === 1 && p.pad_left <= 0 && p.pad_top <= 0;
}

export const convolution = defineOp({
  type: "Convolution",
  typeIndex: 6,
  linear: true,
  window: windowAxes,
  int8Form: (p) => ({
    ...{ groups: 1, scaleCount: p.num_output, scaleTerm: 2, requantizes: true },
    isWinograd: isPlain3x3(p),
  }),
  int8Inputs: true,
  params: convolutionParams,
  weights: (p) => convolutionWeights(p, p.num_output),
  shape: (inputs, p) => {
    if (p.dynamic_weight || !isProduct(inputs[0], p)) return convolutionShape(inputs, p, 1);
    if (p.int8_scale_term) {
      throw new UnsupportedError(
        "an int8 Convolution of a vector, which native ncnn misreads: quantize the float model again, or make it InnerProduct",
      );
    }
    return [productShape(inputs[0], p)];
  },
  reference: ([input], p, weights, [shape]) =>
    isProduct(input.shape, p)
      ? [{ shape, data: multiply(input, p, weights) }]
      : [convolve(input, p, weights, 1, (k) => k)],
  macs: (_, [output], p) => convolutionMacs(output, p),
});
