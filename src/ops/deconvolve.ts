/**
 * Grouped 2-D transposed convolution: the reference kernel of Deconvolution and DeconvolutionDepthWise.
 * Source: ncnn src/layer/deconvolution.cpp, deconvolutiondepthwise.cpp.
 */
import { GraphError } from "../base/errors.ts";
import { int, type ParamValues, type WeightSpec } from "../ir/op.ts";
import type { Shape, Tensor } from "../ir/tensor.ts";
import { type Weights, weightToFloat32 } from "../ir/weight.ts";
import { activationFunction, activationParams } from "./activations.ts";
import { requireRank } from "./shapes.ts";
import { padSameLower, padSameUpper, requireOneKindOfPads, windowParams } from "./windows.ts";

const { pad_value: _, ...window } = windowParams;
export const deconvolutionParams = {
  ...window,
  ...activationParams,
  output_pad_right: int(18),
  output_pad_bottom: int(19, "output_pad_right"),
  output_w: int(20),
  output_h: int(21, "output_w"),
  dynamic_weight: int(28),
};
export type DeconvolutionParams = ParamValues<typeof deconvolutionParams>;
type P = DeconvolutionParams;

/** Weight layout: `[num_output, channels/group, kernel_h, kernel_w]`, as for convolution. */
export function deconvolutionWeights(p: P): WeightSpec[] {
  if (p.dynamic_weight) return [];
  const specs: WeightSpec[] = [{ name: "weight", count: p.weight_data_size, kind: "tagged" }];
  if (p.bias_term) specs.push({ name: "bias", count: p.num_output, kind: "raw" });
  return specs;
}

/** One axis: where the uncut result is cut, and what is left. */
export interface Cut {
  readonly full: number;
  readonly before: number;
  readonly output: number;
}

/** Of the height and the width. Throws GraphError. */
export function deconvolutionCuts([, h, w]: Shape, p: P): { y: Cut; x: Cut } {
  const pads = [p.pad_left, p.pad_right, p.pad_top, p.pad_bottom];
  const isExplicit = pads.some((pad) => pad > 0);
  const isSized = p.output_w > 0 && p.output_h > 0;
  requireOneKindOfPads(p);
  const same = [padSameUpper, padSameLower].find((special) => pads.includes(special));
  if (isSized && !isExplicit && same === undefined) {
    throw new GraphError(
      `an output of ${p.output_w}x${p.output_h} (20, 21) needs to know where to cut: pads of ${padSameUpper} or ${padSameLower}`,
    );
  }
  const axis = (full: number, before: number, after: number, asked: number): Cut => {
    if (isExplicit)
      return { full, before: Math.max(before, 0), output: full - Math.max(before, 0) - Math.max(after, 0) };
    if (!isSized || same === undefined) return { full, before: 0, output: full };
    if (asked > full)
      throw new GraphError(`an output extent of ${asked} is asked for, but there are only ${full}`);
    const half = (full - asked) / 2;
    return { full, before: same === padSameUpper ? Math.floor(half) : Math.ceil(half), output: asked };
  };
  const fullH = (h - 1) * p.stride_h + p.dilation_h * (p.kernel_h - 1) + 1 + p.output_pad_bottom;
  const fullW = (w - 1) * p.stride_w + p.dilation_w * (p.kernel_w - 1) + 1 + p.output_pad_right;
  return {
    y: axis(fullH, p.pad_top, p.pad_bottom, p.output_h),
    x: axis(fullW, p.pad_left, p.pad_right, p.output_w),
  };
}

export function deconvolutionShape([input]: readonly Shape[], p: P, group: number): Shape[] {
  requireRank(input, [3]);
  activationFunction(p.activation_type, p.activation_params);
  if (p.dynamic_weight) {
    throw new GraphError("dynamic_weight (28=1) is not supported: weights must be constant");
  }
  for (const name of ["kernel_w", "kernel_h", "stride_w", "stride_h", "dilation_w", "dilation_h"] as const) {
    if (p[name] < 1) throw new GraphError(`${name} is ${p[name]}, expected at least 1`);
  }
  for (const name of ["output_pad_right", "output_pad_bottom"] as const) {
    if (p[name] < 0) throw new GraphError(`${name} is ${p[name]}, expected at least 0`);
  }
  if (group < 1 || input[0] % group || p.num_output % group) {
    throw new GraphError(`${input[0]} channels to ${p.num_output} cannot be split into ${group} groups`);
  }
  const expected = (p.num_output * input[0] * p.kernel_h * p.kernel_w) / group;
  if (p.weight_data_size !== expected) {
    throw new GraphError(
      `weight_data_size is ${p.weight_data_size}, but ${input[0]} input channels call for ${expected}`,
    );
  }
  const { y, x } = deconvolutionCuts(input, p);
  return [[p.num_output, y.output, x.output]];
}

export function deconvolutionMacs([input]: readonly Shape[], p: P): number {
  return p.weight_data_size * input[1] * input[2];
}

/** Every input value adds its multiple of the kernel to the result. */
export function deconvolve(input: Tensor, p: P, weights: Weights, group: number): Tensor {
  const [channels, h, w] = input.shape;
  const { y, x } = deconvolutionCuts(input.shape, p);
  const weight = weightToFloat32(weights.weight);
  const bias = p.bias_term ? weightToFloat32(weights.bias) : undefined;
  const activation = activationFunction(p.activation_type, p.activation_params);
  const groupIn = channels / group;
  const groupOut = p.num_output / group;
  const out = new Float32Array(p.num_output * y.output * x.output);
  const full = new Float64Array(y.full * x.full);
  let at = 0;
  let o = 0;
  for (let k = 0; k < p.num_output; k++) {
    full.fill(bias ? bias[k] : 0);
    const firstChannel = Math.floor(k / groupOut) * groupIn;
    for (let c = firstChannel; c < firstChannel + groupIn; c++) {
      for (let ky = 0; ky < p.kernel_h; ky++) {
        for (let kx = 0; kx < p.kernel_w; kx++) {
          const value = weight[at++];
          for (let iy = 0; iy < h; iy++) {
            let to = (iy * p.stride_h + ky * p.dilation_h) * x.full + kx * p.dilation_w;
            const from = (c * h + iy) * w;
            for (let ix = 0; ix < w; ix++, to += p.stride_w) full[to] += value * input.data[from + ix];
          }
        }
      }
    }
    for (let oy = 0; oy < y.output; oy++) {
      for (let ox = 0; ox < x.output; ox++) {
        const v = full[(oy + y.before) * x.full + ox + x.before];
        out[o++] = activation ? activation(Math.fround(v)) : v;
      }
    }
  }
  return { shape: [p.num_output, y.output, x.output], data: out };
}
