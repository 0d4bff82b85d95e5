/**
 * Grouped 2-D cross-correlation, float and int8: the reference kernel of Convolution (one group) and
 * ConvolutionDepthWise. Source: ncnn src/layer/convolution.cpp, convolutiondepthwise.cpp.
 */
import { GraphError } from "../base/errors.ts";
import { int, type ParamValues, type WeightSpec } from "../ir/op.ts";
import type { Shape, Tensor } from "../ir/tensor.ts";
import { type Weights, weightToFloat32 } from "../ir/weight.ts";
import { activationFunction, activationParams } from "./_activation.ts";
import { dequantize, dequantizeScale, quantize, quantizeArray } from "./_int8.ts";
import { padPlanes, windowAxes, windowParams } from "./_spatial.ts";

export const convolutionParams = {
  ...windowParams,
  ...activationParams,
  /** 0 float; 1 or 2 int8 with float result; 101 or 102 int8 with requantized int8 result. */
  int8_scale_term: int(8),
  dynamic_weight: int(19),
};
type P = ParamValues<typeof convolutionParams>;

/** Weight layout: `[num_output, channels/group, kernel_h, kernel_w]`. */
export function convolutionWeights(p: P, scaleCount: number): WeightSpec[] {
  if (p.dynamic_weight) return [];
  const specs: WeightSpec[] = [{ name: "weight", count: p.weight_data_size, kind: "tagged" }];
  if (p.bias_term) specs.push({ name: "bias", count: p.num_output, kind: "raw" });
  if (p.int8_scale_term) {
    specs.push({ name: "weight_scales", count: scaleCount, kind: "raw" });
    specs.push({ name: "bottom_scale", count: 1, kind: "raw" });
  }
  if (p.int8_scale_term > 100) specs.push({ name: "top_scale", count: 1, kind: "raw" });
  return specs;
}

export function convolutionShape([input]: readonly Shape[], p: P, group: number): Shape[] {
  if (p.dynamic_weight)
    throw new GraphError("dynamic_weight (19=1) is not supported: weights must be constant");
  const { y, x } = windowAxes(input, p);
  if (input[0] % group || p.num_output % group) {
    throw new GraphError(`${input[0]} channels to ${p.num_output} cannot be split into ${group} groups`);
  }
  const expected = (p.num_output * input[0] * p.kernel_h * p.kernel_w) / group;
  if (p.weight_data_size !== expected) {
    throw new GraphError(
      `weight_data_size is ${p.weight_data_size}, but ${input[0]} input channels call for ${expected}`,
    );
  }
  return [[p.num_output, y.output, x.output]];
}

export function convolutionMacs(output: Shape, p: P): number {
  return p.weight_data_size * output[1] * output[2];
}

/** `expandScale(k)` gives the weight scale index of output channel k. */
export function convolve(
  input: Tensor,
  p: P,
  weights: Weights,
  group: number,
  scaleIndex: (outputChannel: number) => number,
): Tensor {
  const isInt8 = p.int8_scale_term !== 0;
  const { y, x } = windowAxes(input.shape, p);
  const channels = input.shape[0];
  const bottomScale = isInt8 ? weightToFloat32(weights.bottom_scale)[0] : 1;
  const source = isInt8
    ? input.data instanceof Int8Array
      ? input.data
      : quantizeArray(input.data as Float32Array, bottomScale)
    : (input.data as Float32Array);
  const padded = padPlanes(source, channels, y, x, isInt8 ? Math.trunc(p.pad_value) : p.pad_value);
  const width = x.input + x.padBefore + x.padAfter;
  const plane = width * (y.input + y.padBefore + y.padAfter);
  const groupIn = channels / group;
  const groupOut = p.num_output / group;

  const bias = p.bias_term ? weightToFloat32(weights.bias) : new Float32Array(p.num_output);
  const scales = isInt8 ? weightToFloat32(weights.weight_scales) : undefined;
  let weight = weights.weight.storage === "i8" ? weights.weight.data : weightToFloat32(weights.weight);
  if (scales && weights.weight.storage !== "i8") {
    // Legal in files: float weights that are quantized at load with the stored scales.
    const perOutput = weight.length / p.num_output;
    weight = Int8Array.from(weight, (v, i) => quantize(v, scales[scaleIndex(Math.floor(i / perOutput))]));
  }
  const activation = activationFunction(p.activation_type, p.activation_params);
  const topScale = p.int8_scale_term > 100 ? weightToFloat32(weights.top_scale)[0] : undefined;

  const pixels = y.output * x.output;
  const out =
    topScale === undefined ? new Float32Array(p.num_output * pixels) : new Int8Array(p.num_output * pixels);
  const acc = new Float64Array(pixels);
  for (let k = 0; k < p.num_output; k++) {
    acc.fill(isInt8 ? 0 : bias[k]);
    const firstChannel = Math.floor(k / groupOut) * groupIn;
    let w = k * groupIn * p.kernel_h * p.kernel_w;
    for (let c = 0; c < groupIn; c++) {
      for (let ky = 0; ky < p.kernel_h; ky++) {
        for (let kx = 0; kx < p.kernel_w; kx++) {
          const value = weight[w++];
          if (value === 0) continue;
          const base = (firstChannel + c) * plane + ky * y.dilation * width + kx * x.dilation;
          for (let oy = 0, o = 0; oy < y.output; oy++) {
            let at = base + oy * y.stride * width;
            for (let ox = 0; ox < x.output; ox++, at += x.stride) acc[o++] += value * padded[at];
          }
        }
      }
    }
    const scale = scales ? dequantizeScale(bottomScale, scales[scaleIndex(k)]) : 0;
    for (let o = 0; o < pixels; o++) {
      let v = scales ? dequantize(acc[o], scale, bias[k]) : Math.fround(acc[o]);
      if (activation) v = Math.fround(activation(v));
      out[k * pixels + o] = topScale === undefined ? v : quantize(v, topScale);
    }
  }
  return { shape: [p.num_output, y.output, x.output], data: out };
}
