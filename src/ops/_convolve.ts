/**
 * Grouped 2-D cross-correlation, float and int8: the reference kernel of Convolution (one group) and
 * ConvolutionDepthWise. Source: ncnn src/layer/convolution.cpp, convolutiondepthwise.cpp.
 */
import { GraphError } from "../base/errors.ts";
import { int, type ParamValues, type WeightSpec } from "../ir/op.ts";
import { elementCount, type Shape, type Tensor } from "../ir/tensor.ts";
import { type Weight, type Weights, weightToFloat32 } from "../ir/weight.ts";
import { activationFunction, activationParams } from "./activations.ts";
import { dequantize, dequantizeInSteps, dequantizeScale, quantize, quantizeArray } from "./int8.ts";
import { padPlanes, type WindowAxis, windowAxes, windowParams } from "./windows.ts";

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
  activationFunction(p.activation_type, p.activation_params);
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

/** A 3×3 window moved by one pixel, without gaps. */
export function isPlain3x3(p: P): boolean {
  const { kernel_w, kernel_h, stride_w, stride_h, dilation_w, dilation_h } = p;
  return (
    kernel_w === 3 &&
    kernel_h === 3 &&
    stride_w === 1 &&
    stride_h === 1 &&
    dilation_w === 1 &&
    dilation_h === 1
  );
}

export function convolutionMacs(output: Shape, p: P): number {
  return p.weight_data_size * elementCount(output.slice(1));
}

/**
 * `scaleIndex(k)` gives the weight scale of output channel k. Sums are of double precision, so integers are exact.
 * Floats and integers take one path: int8 values are widened first. `isDepthwise`: natively a true depthwise layer rounds
 * acc·scale before it adds the bias. `reciprocal` is that of dequantizeScale.
 */
export function convolve(
  input: Tensor,
  p: P,
  weights: Weights,
  group: number,
  scaleIndex: (outputChannel: number) => number,
  isDepthwise = false,
  reciprocal?: (x: number) => number,
): Tensor {
  const isInt8 = p.int8_scale_term !== 0;
  const { y, x } = windowAxes(input.shape, p);
  const channels = input.shape[0];
  const bottomScale = isInt8 ? weightToFloat32(weights.bottom_scale)[0] : 1;
  const scales = isInt8 ? weightToFloat32(weights.weight_scales) : undefined;
  const source = isInt8 ? quantizedSource(input, bottomScale) : (input.data as Float32Array);
  const padded = padPlanes(source, channels, y, x, isInt8 ? Math.trunc(p.pad_value) : p.pad_value);
  const weight = scales
    ? quantizedWeight(
        weights.weight,
        (i) => scales[scaleIndex(Math.floor((i * p.num_output) / p.weight_data_size))],
      )
    : weightToFloat32(weights.weight);
  const bias = p.bias_term ? weightToFloat32(weights.bias) : new Float32Array(p.num_output);
  const activation = activationFunction(p.activation_type, p.activation_params);
  const topScale = p.int8_scale_term > 100 ? weightToFloat32(weights.top_scale)[0] : undefined;
  const groupIn = channels / group;
  const groupOut = p.num_output / group;
  const dequantizeSum = isDepthwise ? dequantizeInSteps : dequantize;

  const pixels = y.output * x.output;
  const length = p.num_output * pixels;
  const data = topScale === undefined ? new Float32Array(length) : new Int8Array(length);
  const sums = new Float64Array(pixels);
  const taps = tapOffsets(groupIn, y, x);
  const tapCount = groupIn * p.kernel_h * p.kernel_w;
  const kernel = new Float64Array(taps.length);
  const plane = paddedWidth(y) * paddedWidth(x);
  for (let k = 0; k < p.num_output; k++) {
    sums.fill(isInt8 ? 0 : bias[k]);
    const firstChannel = Math.floor(k / groupOut) * groupIn;
    kernel.set(weight.subarray(k * tapCount, (k + 1) * tapCount));
    addTaps(sums, padded.subarray(firstChannel * plane), kernel, taps, y, x);
    const scale = scales ? dequantizeScale(bottomScale, scales[scaleIndex(k)], reciprocal) : 0;
    for (let o = 0; o < pixels; o++) {
      let v = scales ? dequantizeSum(sums[o], scale, bias[k]) : Math.fround(sums[o]);
      if (activation) v = Math.fround(activation(v));
      data[k * pixels + o] = topScale === undefined ? v : quantize(v, topScale);
    }
  }
  return { shape: [p.num_output, y.output, x.output], data };
}

/** Integers as float32. A blob that is int8 already is used as it is. */
function quantizedSource({ data }: Tensor, scale: number): Float32Array {
  return new Float32Array(data instanceof Int8Array ? data : quantizeArray(data, scale));
}

/** Legal in files: float weights that are quantized at load with the stored scales. */
function quantizedWeight(weight: Weight, scaleOf: (index: number) => number): Float32Array {
  const values = weightToFloat32(weight);
  return weight.storage === "i8" ? values : values.map((v, i) => quantize(v, scaleOf(i)));
}

const paddedWidth = (axis: WindowAxis): number => axis.input + axis.padBefore + axis.padAfter;

/**
 * Where each weight of a kernel finds its input for output (0, 0), in the order of the weights; filled up to a multiple
 * of four for addTaps.
 */
function tapOffsets(channels: number, y: WindowAxis, x: WindowAxis): Int32Array {
  const width = paddedWidth(x);
  const offsets = new Int32Array(Math.ceil((channels * y.kernel * x.kernel) / 4) * 4);
  let tap = 0;
  for (let c = 0; c < channels; c++) {
    for (let ky = 0; ky < y.kernel; ky++) {
      for (let kx = 0; kx < x.kernel; kx++) {
        offsets[tap++] = (c * paddedWidth(y) + ky * y.dilation) * width + kx * x.dilation;
      }
    }
  }
  return offsets;
}

/** Adds weight times input to the sums of one output channel, four weights at a time. */
function addTaps(
  sums: Float64Array,
  source: Float32Array,
  kernel: Float64Array,
  taps: Int32Array,
  y: WindowAxis,
  x: WindowAxis,
): void {
  const rowStep = y.stride * paddedWidth(x);
  const step = x.stride;
  for (let t = 0; t < taps.length; t += 4) {
    const w0 = kernel[t];
    const w1 = kernel[t + 1];
    const w2 = kernel[t + 2];
    const w3 = kernel[t + 3];
    const a0 = taps[t];
    const a1 = taps[t + 1];
    const a2 = taps[t + 2];
    const a3 = taps[t + 3];
    for (let oy = 0, o = 0; oy < y.output; oy++) {
      const end = o + x.output;
      for (let at = oy * rowStep; o < end; o++, at += step) {
        sums[o] += w0 * source[at + a0] + w1 * source[at + a1] + w2 * source[at + a2] + w3 * source[at + a3];
      }
    }
  }
}
