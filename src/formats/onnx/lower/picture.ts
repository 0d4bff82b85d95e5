/** Layers that slide over pictures: convolutions, pooling, resizing, padding, and per-channel normalization. */

import type { Params } from "../../../ir/op.ts";
import { elementCount } from "../../../ir/tensor.ts";
import type { Weight, Weights } from "../../../ir/weight.ts";
import { padSameLower, padSameUpper } from "../../../ops/windows.ts";
import { epsilonOf } from "../arguments.ts";
import { type ElementType, toNumbers } from "../elements.ts";
import { type Window, windowOf } from "../infer.ts";
import {
  floatAttribute,
  intAttribute,
  intsAttribute,
  type OnnxNode,
  type OnnxTensor,
  stringAttribute,
} from "../model.ts";
import type { Lower, Lowering } from "./context.ts";
import { channelsFirst } from "./elementwise.ts";

import { resize } from "./resize.ts";

/** Weights in the precision of the file: half floats stay half floats. */
export function weightOf(tensor: OnnxTensor): Weight {
  return weightFrom(tensor.type, tensor.data);
}
function weightFrom(type: ElementType, data: OnnxTensor["data"]): Weight {
  if (type === "float16") return { storage: "f16", data: data as Uint16Array };
  if (type === "float32") return { storage: "f32", data: data as Float32Array };
  return { storage: "f32", data: Float32Array.from(toNumbers(type, data)) };
}
export function floatsOf(numbers: ArrayLike<number>): Weight {
  return { storage: "f32", data: Float32Array.from(numbers) };
}

/** Pads as ncnn writes them, only those that differ from the defaults. */
function padParams([top, left, bottom, right]: readonly number[]): Params {
  const params: Params = {};
  if (left) params.pad_left = left;
  if (top !== left) params.pad_top = top;
  if (right !== left) params.pad_right = right;
  if (bottom !== top) params.pad_bottom = bottom;
  return params;
}

function windowParams(window: Window): Params {
  const [kh, kw] = window.kernel;
  const [sh, sw] = window.strides;
  const [dh, dw] = window.dilations;
  const params: Params = { kernel_w: kw };
  if (kh !== kw) params.kernel_h = kh;
  if (dw !== 1) params.dilation_w = dw;
  if (dh !== dw) params.dilation_h = dh;
  if (sw !== 1) params.stride_w = sw;
  if (sh !== sw) params.stride_h = sh;
  if (window.autoPad === "SAME_UPPER") params.pad_left = padSameUpper;
  else if (window.autoPad === "SAME_LOWER") params.pad_left = padSameLower;
  else if (window.autoPad !== "VALID") Object.assign(params, padParams(window.pads));
  return params;
}

function convolutionWindow(l: Lowering, node: OnnxNode, weight: OnnxTensor): Window {
  if (weight.dims.length !== 4) {
    l.unsupported(`a convolution with weights [${weight.dims}]`, "2-D convolutions");
  }
  return windowOf(node, intsAttribute(node, "kernel_shape") ?? weight.dims.slice(2));
}

function constantWeight(l: Lowering, node: OnnxNode): OnnxTensor {
  return (
    l.constant(node.inputs[1]) ??
    l.unsupported("a convolution with weights computed at run time", "constant weights")
  );
}

function biasWeight(l: Lowering, name: string | undefined): Weights {
  const bias = l.optionalNumbers(name);
  return bias ? { bias: floatsOf(bias) } : {};
}

const conv: Lower = (l, node) => {
  const weight = constantWeight(l, node);
  if (weight.dims.length === 3) {
    conv1d(l, node, weight);
    return;
  }
  const window = convolutionWindow(l, node, weight);
  const group = intAttribute(node, "group", 1);
  const bias = biasWeight(l, node.inputs[2]);
  const weights: Weights = { weight: weightOf(weight), ...bias };
  const value = l.value(node.inputs[0]);
  const isPointwise = window.kernel.every((k) => k === 1) && window.pads.every((p) => p === 0);
  if (
    value.blobShape.length === 1 &&
    elementCount(value.shape) === value.shape[1] &&
    isPointwise &&
    group === 1
  ) {
    // One pixel, as after global pooling: a fully connected layer, without leaving rank 1.
    const params: Params = { num_output: weight.dims[0] };
    if (bias.bias) params.bias_term = 1;
    params.weight_data_size = weight.data.length;
    l.result("InnerProduct", [value.blob], params, weights);
    return;
  }
  const params: Params = { num_output: weight.dims[0], ...windowParams(window) };
  if (bias.bias) params.bias_term = 1;
  params.weight_data_size = weight.data.length;
  if (group > 1) params.group = group;
  const { blob } = l.picture(node.inputs[0]);
  l.result(group > 1 ? "ConvolutionDepthWise" : "Convolution", [blob], params, weights);
};

const conv1d = (l: Lowering, node: OnnxNode, weight: OnnxTensor): void => {
  const { kernel, strides, dilations, pads, autoPad } = windowOf(
    node,
    intsAttribute(node, "kernel_shape") ?? weight.dims.slice(2),
  );
  if (autoPad !== "NOTSET" && autoPad !== "VALID")
    l.unsupported(`auto_pad=${autoPad} in one dimension`, "explicit pads");
  const group = intAttribute(node, "group", 1);
  const value = l.value(node.inputs[0]);
  l.checkBatch(value.shape);
  const bias = biasWeight(l, node.inputs[2]);
  const params: Params = { num_output: weight.dims[0], kernel_w: kernel[0] };
  if (dilations[0] !== 1) params.dilation_w = dilations[0];
  if (strides[0] !== 1) params.stride_w = strides[0];
  if (pads[0]) params.pad_left = pads[0];
  if (pads[1] !== pads[0]) params.pad_right = pads[1];
  if (bias.bias) params.bias_term = 1;
  params.weight_data_size = weight.data.length;
  if (group > 1) params.group = group;
  const type = group > 1 ? "ConvolutionDepthWise1D" : "Convolution1D";
  l.result(type, [l.as(value, value.shape.slice(1))], params, { weight: weightOf(weight), ...bias });
};

const convTranspose: Lower = (l, node) => {
  const weight = constantWeight(l, node);
  const window = convolutionWindow(l, node, weight);
  const group = intAttribute(node, "group", 1);
  const outputs = weight.dims[1] * group;
  const outputPadding = intsAttribute(node, "output_padding") ?? [0, 0];
  const outputShape = intsAttribute(node, "output_shape");
  const isSame = window.autoPad.startsWith("SAME");
  const params: Params = { num_output: outputs, ...windowParams(window) };
  const bias = biasWeight(l, node.inputs[2]);
  if (bias.bias) params.bias_term = 1;
  params.weight_data_size = weight.data.length;
  if (outputPadding[1]) params.output_pad_right = outputPadding[1];
  if (outputPadding[0] !== outputPadding[1]) params.output_pad_bottom = outputPadding[0];
  if (outputShape || isSame) {
    const [h, w] = l.shapeOf(node.outputs[0]).slice(2);
    if (!isSame) params.pad_left = padSameUpper;
    params.output_w = w;
    if (h !== w) params.output_h = h;
  }
  if (group > 1) params.group = group;
  const type = group > 1 ? "DeconvolutionDepthWise" : "Deconvolution";
  const { blob } = l.picture(node.inputs[0]);
  l.result(type, [blob], params, { weight: swapInOut(weight, group), ...bias });
};

/** ONNX keeps transposed weights as [in, out/group, kh, kw], ncnn as [group, out/group, in/group, kh, kw]. */
function swapInOut(weight: OnnxTensor, group: number): Weight {
  const [inputs, groupOut, ...kernel] = weight.dims;
  const area = elementCount(kernel);
  const groupIn = inputs / group;
  const data = weight.data.slice();
  for (let g = 0; g < group; g++) {
    for (let i = 0; i < groupIn; i++) {
      for (let o = 0; o < groupOut; o++) {
        const from = ((g * groupIn + i) * groupOut + o) * area;
        data.set(weight.data.subarray(from, from + area), ((g * groupOut + o) * groupIn + i) * area);
      }
    }
  }
  return weightFrom(weight.type, data);
}

const pool =
  (type: "max" | "avg"): Lower =>
  (l, node) => {
    if (node.outputs[1]) l.unsupported("MaxPool with indices", "MaxPool with one output");
    const window = windowOf(node, intsAttribute(node, "kernel_shape") ?? []);
    if (window.kernel.length !== 2) l.unsupported(`a ${window.kernel.length}-D pooling`, "2-D pooling");
    if (window.dilations.some((d) => d !== 1)) l.unsupported("pooling with dilation", "dilation 1");
    const { blob, shape } = l.picture(node.inputs[0]);
    const output = l.shapeOf(node.outputs[0]).slice(2);
    const params: Params = { ...(type === "avg" ? { pooling_type: 1 } : {}), kernel_w: window.kernel[1] };
    if (window.kernel[0] !== window.kernel[1]) params.kernel_h = window.kernel[0];
    if (window.strides[1] !== 1) params.stride_w = window.strides[1];
    if (window.strides[0] !== window.strides[1]) params.stride_h = window.strides[0];
    const pads = explicitPads(window, shape.slice(1), output);
    if (pads.left) params.pad_left = pads.left;
    if (pads.top !== pads.left) params.pad_top = pads.top;
    if (pads.right !== pads.left) params.pad_right = pads.right;
    if (pads.bottom !== pads.top) params.pad_bottom = pads.bottom;
    // "valid": windows are counted with floor; what ceil_mode adds is part of the pads above, unless "full" gives it.
    if (pads.overhang && !pads.isFull) Object.assign(params, pads.extended);
    if (!pads.isFull) params.pad_mode = 1;
    if (type === "avg" && intAttribute(node, "count_include_pad", 0) === 1) {
      if (pads.overhang) l.unsupported("ceil_mode together with count_include_pad", "one of the two");
      params.avgpool_count_include_pad = 1;
    }
    l.result("Pooling", [blob], params);
  };

interface PoolPads {
  top: number;
  left: number;
  bottom: number;
  right: number;
  /** Some window reaches beyond the pads (ceil_mode). */
  overhang: boolean;
  /** ncnn's "full" mode gives the wanted extents by itself, at any size. */
  isFull: boolean;
  /** Pads that make floor counting reach the wanted extents. */
  extended: Params;
}

function explicitPads(window: Window, input: readonly number[], output: readonly number[]): PoolPads {
  const axis = (i: number) => {
    const [k, s] = [window.kernel[i], window.strides[i]];
    let [before, after] = window.autoPad === "NOTSET" ? [window.pads[i], window.pads[i + 2]] : [0, 0];
    const reach = (output[i] - 1) * s + k;
    if (window.autoPad.startsWith("SAME")) {
      const total = Math.max(reach - input[i], 0);
      before = window.autoPad === "SAME_UPPER" ? Math.floor(total / 2) : Math.ceil(total / 2);
      after = total - before;
    }
    const full = Math.ceil((input[i] + before + after - k) / s) + 1;
    return { before, after, needed: Math.max(reach - before - input[i], 0), isFull: full === output[i] };
  };
  const [y, x] = [axis(0), axis(1)];
  const overhang = y.needed > y.after || x.needed > x.after;
  return {
    top: y.before,
    left: x.before,
    bottom: y.after,
    right: x.after,
    overhang,
    isFull: overhang && y.isFull && x.isFull,
    extended: { pad_right: Math.max(x.needed, x.after), pad_bottom: Math.max(y.needed, y.after) },
  };
}

const globalPool =
  (type: "max" | "avg"): Lower =>
  (l, node) => {
    const { blob } = l.picture(node.inputs[0]);
    l.result("Pooling", [blob], { ...(type === "avg" ? { pooling_type: 1 } : {}), global_pooling: 1 });
  };

const padTypes: Record<string, number> = { constant: 0, edge: 1, reflect: 2 };

const pad: Lower = (l, node) => {
  const mode = stringAttribute(node, "mode", "constant");
  const type = padTypes[mode] ?? l.unsupported(`padding by ${mode}`, "constant, edge or reflect");
  const shape = l.shapeOf(node.inputs[0]);
  const rank = shape.length;
  const given = l.optionalNumbers(node.inputs[1]) ?? [...(intsAttribute(node, "pads") ?? [])];
  const axes =
    l.optionalNumbers(node.inputs[3])?.map((a) => (a < 0 ? a + rank : a)) ?? shape.map((_, i) => i);
  const pads = shape.map(() => ({ before: 0, after: 0 }));
  axes.forEach((axis, i) => {
    pads[axis] = { before: given[i], after: given[i + axes.length] };
  });
  const value = l.optionalNumbers(node.inputs[2])?.[0] ?? floatAttribute(node, "value", 0);
  const isZero = (p: { before: number; after: number }): boolean => p.before === 0 && p.after === 0;
  if (pads.some((p) => p.before < 0 || p.after < 0)) {
    l.unsupported("negative padding", "padding by zero or more; use Slice to cut");
  }
  if (rank < 2 || rank > 4 || !isZero(pads[0]))
    l.unsupported("padding of the batch", "padding of c, h and w");
  const blobShape = rank === 4 ? shape.slice(1) : shape.slice(rank - 2);
  const [y, x] = pads.slice(-2);
  const channel = rank === 4 ? pads[1] : { before: 0, after: 0 };
  if (!isZero(channel) && type !== 0)
    l.unsupported(`padding of channels by ${mode}`, "constant padding of channels");
  const params: Params = { top: y.before, bottom: y.after, left: x.before, right: x.after };
  if (type) params.type = type;
  if (value && !type) params.value = value;
  if (!isZero(channel)) Object.assign(params, { front: channel.before, behind: channel.after });
  const blob = l.as(l.value(node.inputs[0]), blobShape);
  l.result("Padding", [blob], params);
};

const batchNorm: Lower = (l, node) => {
  const [slope, bias, mean, variance] = node.inputs.slice(1, 5).map((name) => l.numbers(name, "statistics"));
  const value = l.value(node.inputs[0]);
  l.checkBatch(value.shape);
  const weights: Weights = {
    slope: floatsOf(slope),
    mean: floatsOf(mean),
    variance: floatsOf(variance),
    bias: floatsOf(bias),
  };
  const blob = channelsFirst(l, value, 1);
  l.result("BatchNorm", [blob], { channels: slope.length, eps: Math.fround(epsilonOf(node)) }, weights);
};

const instanceNorm: Lower = (l, node) => {
  const [gamma, beta] = [1, 2].map((i) => l.numbers(node.inputs[i], "scale and bias"));
  const value = l.value(node.inputs[0]);
  l.checkBatch(value.shape);
  const [, c, ...inner] = value.shape;
  const blob = l.as(value, inner.length === 2 ? [c, ...inner] : [c, 1, elementCount(inner)]);
  const isAffine = gamma.some((g) => g !== 1) || beta.some((b) => b !== 0);
  const params: Params = { channels: c, eps: Math.fround(epsilonOf(node)), affine: isAffine ? 1 : 0 };
  l.result("InstanceNorm", [blob], params, isAffine ? { gamma: floatsOf(gamma), beta: floatsOf(beta) } : {});
};

const groupNorm: Lower = (l, node) => {
  const groups = intAttribute(node, "groups", intAttribute(node, "num_groups", 1));
  const value = l.value(node.inputs[0]);
  l.checkBatch(value.shape);
  const channels = value.shape[1];
  // Opset 18 has one scale for each group, 21 and the pattern one for each channel.
  const perChannel = (name: string): number[] => {
    const list = l.numbers(name, "scale and bias");
    const repeat = channels / list.length;
    return Array.from({ length: channels }, (_, c) => list[Math.floor(c / repeat)]);
  };
  const [gamma, beta] = [perChannel(node.inputs[1]), perChannel(node.inputs[2])];
  const params: Params = { group: groups, channels, eps: Math.fround(floatAttribute(node, "epsilon", 1e-5)) };
  l.result("GroupNorm", [channelsFirst(l, value, 1)], params, {
    gamma: floatsOf(gamma),
    beta: floatsOf(beta),
  });
};

const lrn: Lower = (l, node) => {
  const { blob } = l.picture(node.inputs[0]);
  l.result("LRN", [blob], {
    local_size: intAttribute(node, "size", 1),
    alpha: floatAttribute(node, "alpha", 1e-4),
    beta: floatAttribute(node, "beta", 0.75),
    bias: floatAttribute(node, "bias", 1),
  });
};

const depthToSpace: Lower = (l, node) => {
  const { blob } = l.picture(node.inputs[0]);
  const isDcr = stringAttribute(node, "mode", "DCR") === "DCR";
  l.result("PixelShuffle", [blob], {
    upscale_factor: intAttribute(node, "blocksize", 1),
    ...(isDcr ? { mode: 1 } : {}),
  });
};

const reorg: Lower = (l, node) => {
  const { blob } = l.picture(node.inputs[0]);
  l.result("Reorg", [blob], {
    stride: intAttribute(node, "stride", intAttribute(node, "blocksize", 1)),
    mode: 1,
  });
};

export const picture: Record<string, Lower> = {
  AveragePool: pool("avg"),
  BatchNormalization: batchNorm,
  Conv: conv,
  ConvTranspose: convTranspose,
  DepthToSpace: depthToSpace,
  GlobalAveragePool: globalPool("avg"),
  GlobalMaxPool: globalPool("max"),
  GroupNorm: groupNorm,
  GroupNormalization: groupNorm,
  InstanceNormalization: instanceNorm,
  LRN: lrn,
  MaxPool: pool("max"),
  Pad: pad,
  Reorg: reorg,
  Resize: resize,
  SpaceToDepth: reorg,
  Upsample: resize,
};
