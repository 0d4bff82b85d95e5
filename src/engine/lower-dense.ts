/**
 * Layers beyond those of plain convolutional networks: constants, joins and cuts of dense tensors, matrices of rank 2 (fully
 * connected layers on rows, LayerNorm, attention), LRN, padding, means.
 *
 * A matrix `[rows, columns]` lies in memory as a picture of height `rows`, width 1 and `columns` channels, so that the kernels of
 * pictures work on its rows, and threads share them.
 */
import { elementCount, tensor } from "../ir/tensor.ts";
import { weightToFloat32 } from "../ir/weight.ts";
import { largestLrnSize } from "../kernels/wasm/index.ts";
import { type Cut, type DeconvolutionParams, deconvolutionCuts } from "../ops/_deconvolve.ts";
import { aroundAxis, resolveAxis } from "../ops/_shape.ts";
import type { WindowAxis } from "../ops/_spatial.ts";
import { batchNormAffine } from "../ops/batch-norm.ts";
import { cropBox } from "../ops/crop.ts";
import { broadcastTypes } from "../ops/gemm.ts";
import { lrnRegions } from "../ops/lrn.ts";
import { paddingTypes } from "../ops/padding.ts";
import { reductionTypes } from "../ops/reduction.ts";
import { type DenseView, pictureOf, type Value } from "./layout.ts";
import type { LayerLowering } from "./lower.ts";
import type { FusedStep, JoinStep } from "./steps.ts";

/** Tries to lower a node; false: not done. */
type Lower = (layer: LayerLowering) => boolean;

/** In the order in which they are tried. */
export const moreLayers: readonly Lower[] = [
  constants,
  joins,
  cuts,
  linearRows,
  layerNorm,
  attention,
  rowSoftmax,
  normalizedChannels,
  lrn,
  framing,
  transposedConvolution,
  means,
];

/** MemoryData holds its values, PriorBox's depend on shapes only: both are worked out now. */
function constants({ lowering, node, op, p, inputShapes, outputShapes: [shape] }: LayerLowering): boolean {
  if (node.type !== "MemoryData" && node.type !== "PriorBox") return false;
  const inputs = inputShapes.map((input) => tensor(input));
  const [result] = op.reference(inputs, p, node.weights, [shape]);
  const [blob] = node.outputs;
  const isMatrix = shape.length === 2 && node.type === "MemoryData";
  const value = isMatrix ? lowering.matrixValue(blob, shape) : lowering.dense(blob, shape);
  value.constant = result.data as Float32Array;
  if (isMatrix) lowering.setPicture(blob, value);
  else lowering.setDense(blob, value);
  return true;
}

/** More copies than this are better done by one loop. */
const mostParts = 64;

/** Concat of dense tensors along any axis: each input is copied to its places. */
function joins({ lowering, node, p, outputShapes: [shape] }: LayerLowering): boolean {
  if (node.type !== "Concat" || node.inputs.some((blob) => lowering.isInteger(blob))) return false;
  const axis = resolveAxis(p.axis, shape.length);
  const { outer, extent, inner } = aroundAxis(shape, axis);
  if (outer * node.inputs.length > mostParts) return false;
  const parts: JoinStep["parts"][number][] = [];
  let start = 0;
  for (const blob of node.inputs) {
    const view = lowering.strided(blob);
    for (let o = 0; o < outer; o++) {
      parts.push({ view: fixLeading(view, axis, o), at: o * extent * inner + start });
    }
    start += view.shape[axis] * inner;
  }
  const output = lowering.dense(node.outputs[0], shape);
  lowering.add({ kind: "join", nodes: [node.name], parts, output });
  lowering.setDense(node.outputs[0], output);
  return true;
}

/** The part of a tensor at one place of its leading axes, those before `axis`. */
function fixLeading(view: DenseView, axis: number, place: number): DenseView {
  let { offset } = view;
  let rest = place;
  for (let a = axis - 1; a >= 0; a--) {
    offset += (rest % view.shape[a]) * view.strides[a];
    rest = Math.floor(rest / view.shape[a]);
  }
  return { ...view, offset, shape: view.shape.slice(axis), strides: view.strides.slice(axis) };
}

/** Slice and Crop: views into the same numbers. */
function cuts({ lowering, node, p, inputShapes, outputShapes }: LayerLowering): boolean {
  if (node.type !== "Slice" && node.type !== "Crop") return false;
  const [from] = node.inputs;
  if (lowering.isInteger(from)) return false;
  const view = lowering.strided(from);
  if (node.type === "Crop") {
    const { starts } = cropBox(inputShapes, p as never);
    const offset = starts.reduce((sum, start, i) => sum + start * view.strides[i], view.offset);
    lowering.setView(node.outputs[0], { ...view, shape: outputShapes[0], offset });
    return true;
  }
  const axis = resolveAxis(p.axis, view.shape.length);
  let { offset } = view;
  node.outputs.forEach((blob, i) => {
    lowering.setView(blob, { ...view, shape: outputShapes[i], offset });
    offset += outputShapes[i][axis] * view.strides[axis];
  });
  return true;
}

const single: Pick<WindowAxis, "kernel" | "stride" | "dilation" | "padBefore" | "padAfter"> = {
  kernel: 1,
  stride: 1,
  dilation: 1,
  padBefore: 0,
  padAfter: 0,
};

/** Rows times a constant matrix `[outputs, inputs]`: a 1×1 convolution over the picture of the matrix. */
function addLinear(
  { lowering, node }: LayerLowering,
  name: string,
  input: Value,
  weight: Float32Array,
  bias: Float32Array | undefined,
  fused: FusedStep[] = [],
): Value {
  const rows = input.height;
  const output = lowering.matrixValue(name, [rows, weight.length / input.channels]);
  lowering.add({
    kind: "convolution",
    nodes: [node.name],
    input: pictureOf(input),
    weight,
    bias,
    y: { ...single, input: rows, output: rows },
    x: { ...single, input: 1, output: 1 },
    int8: undefined,
    roundOnce: false,
    fused,
    output,
  });
  return output;
}

/** Gemm with a constant B, and InnerProduct on every row of a matrix. */
function linearRows(layer: LayerLowering): boolean {
  const { lowering, node, p, inputShapes } = layer;
  if (inputShapes.length !== 1 || inputShapes[0].length !== 2) return false;
  let weight: Float32Array;
  let bias: Float32Array | undefined;
  if (node.type === "InnerProduct") {
    const isByRow = p.weight_data_size === p.num_output * inputShapes[0][1];
    if (!isByRow || p.int8_scale_term) return false;
    weight = weightToFloat32(node.weights.weight);
    bias = p.bias_term ? weightToFloat32(node.weights.bias) : undefined;
  } else {
    if (node.type !== "Gemm" || !isPlainGemm(layer)) return false;
    weight = weightToFloat32(node.weights.B);
    if (!p.transB) weight = transposed(weight, p.constantK, p.constantN);
    bias = node.weights.C && weightToFloat32(node.weights.C);
  }
  const input = lowering.matrix(node.inputs[0]);
  const fused = node.type === "InnerProduct" ? lowering.fusedBy(p) : [];
  const output = addLinear(layer, node.outputs[0], input, weight, bias, fused);
  lowering.setPicture(node.outputs[0], output);
  return true;
}

/** input·B + C with B constant and C one value for each column or absent. */
function isPlainGemm({ node, p }: LayerLowering): boolean {
  if (!p.constantB || p.constantA || p.transA || p.alpha !== 1 || p.beta !== 1) return false;
  if (p.output_N1M || p.output_transpose || p.int8_scale_term) return false;
  return !node.weights.C || p.constant_broadcast_type_C === broadcastTypes.perColumn;
}

function transposed(data: Float32Array, rows: number, columns: number): Float32Array {
  return Float32Array.from(data, (_, i) => data[(i % rows) * columns + Math.floor(i / rows)]);
}

/** LayerNorm of the rows of a matrix. */
function layerNorm({ lowering, node, p, inputShapes: [shape] }: LayerLowering): boolean {
  if (node.type !== "LayerNorm" || shape.length !== 2 || shape[1] % 4) return false;
  const input = lowering.matrix(node.inputs[0]);
  const output = lowering.matrixValue(node.outputs[0], shape);
  const affine = (name: string, otherwise: number): Float32Array =>
    p.affine ? weightToFloat32(node.weights[name]) : new Float32Array(shape[1]).fill(otherwise);
  const [gamma, beta] = [affine("gamma", 1), affine("beta", 0)];
  const nodes = [node.name];
  lowering.add({ kind: "layerNorm", nodes, input, eps: p.eps, gamma, beta, fused: [], output });
  lowering.setPicture(node.outputs[0], output);
  return true;
}

/** Attention without a mask: linear layers around a kernel for the rest. */
function attention(layer: LayerLowering): boolean {
  const { lowering, node, p, inputShapes } = layer;
  if (node.type !== "MultiHeadAttention" || p.attn_mask || (p.embed_dim / p.num_heads) % 4) return false;
  const [q, k = q, v = k] = node.inputs;
  const scale = p.scale || 1 / Math.sqrt(p.embed_dim / p.num_heads);
  const weights = (name: string): Float32Array => weightToFloat32(node.weights[name]);
  const scaled = (name: string): Float32Array => weights(name).map((w) => w * scale);
  const [to] = node.outputs;
  const linear = (name: string, blob: string): Value =>
    addLinear(
      layer,
      `${to}.${name}`,
      lowering.matrix(blob),
      weights(`${name}_weight`),
      weights(`${name}_bias`),
    );
  const query = addLinear(layer, `${to}.q`, lowering.matrix(q), scaled("q_weight"), scaled("q_bias"));
  const key = linear("k", k);
  const value = linear("v", v);
  const joined = lowering.matrixValue(`${to}.joined`, [inputShapes[0][0], p.embed_dim]);
  const nodes = [node.name];
  lowering.add({ kind: "attention", nodes, heads: p.num_heads, query, key, value, output: joined });
  lowering.setPicture(to, addLinear(layer, to, joined, weights("out_weight"), weights("out_bias")));
  return true;
}

/** Softmax along the axis whose elements are the channels of a picture (or the columns of a matrix). */
function rowSoftmax({ lowering, node, p, inputShapes: [shape] }: LayerLowering): boolean {
  if (node.type !== "Softmax" || lowering.isInteger(node.inputs[0])) return false;
  const axis = resolveAxis(p.axis, shape.length);
  const [to] = node.outputs;
  const view = lowering.strided(node.inputs[0]);
  const { value } = view;
  const isWhole =
    value.height * value.width > 1 && elementCount(shape) === value.channels * value.height * value.width;
  if (isWhole && view.strides[axis] === 1 && shape[axis] === value.channels) {
    const output = lowering.value(to, value.channels, value.height, value.width);
    output.order.fix();
    output.pinned = true;
    lowering.add({ kind: "softmax", nodes: [node.name], input: value, output });
    lowering.setView(to, { ...view, value: output });
    return true;
  }
  if (shape.length !== 2 || axis !== 1) return false;
  const output = lowering.matrixValue(to, shape);
  lowering.add({ kind: "softmax", nodes: [node.name], input: lowering.matrix(node.inputs[0]), output });
  lowering.setPicture(to, output);
  return true;
}

/** BatchNorm of a picture: a depthwise convolution with one weight a channel. */
function normalizedChannels({ lowering, node, p, inputShapes: [shape] }: LayerLowering): boolean {
  if (node.type !== "BatchNorm" || shape.length !== 3 || lowering.isInteger(node.inputs[0])) return false;
  const { scale, bias } = batchNormAffine(node.weights, p.eps);
  const input = lowering.whole(node.inputs[0]);
  const output = lowering.value(node.outputs[0], input.channels, input.height, input.width);
  output.order.tie(input.order);
  lowering.add({
    kind: "depthwise",
    nodes: [node.name],
    input,
    weight: Float32Array.from(scale),
    bias: Float32Array.from(bias),
    y: { ...single, input: input.height, output: input.height },
    x: { ...single, input: input.width, output: input.width },
    int8: undefined,
    fused: [],
    output,
  });
  lowering.setPicture(node.outputs[0], output);
  return true;
}

/** LRN across channels with the usual exponent of 3/4. */
function lrn({ lowering, node, p, inputShapes: [shape] }: LayerLowering): boolean {
  if (node.type !== "LRN" || p.region_type !== lrnRegions.acrossChannels || p.beta !== 0.75) return false;
  if (shape[0] % 4 || p.local_size > largestLrnSize || lowering.isInteger(node.inputs[0])) return false;
  const input = lowering.whole(node.inputs[0]);
  input.order.fix();
  const output = lowering.value(node.outputs[0], input.channels, input.height, input.width);
  output.order.fix();
  const { local_size: size, alpha, bias } = p;
  const nodes = [node.name];
  lowering.add({ kind: "lrn", nodes, input, size, factor: alpha / size, bias, fused: [], output });
  lowering.setPicture(node.outputs[0], output);
  return true;
}

/** Padding with zeros, around the picture or behind its channels. */
function framing({ lowering, node, p, inputShapes: [shape], outputShapes: [to] }: LayerLowering): boolean {
  if (node.type !== "Padding" || shape.length !== 3 || p.type !== paddingTypes.constant) return false;
  if (p.value !== 0 || p.per_channel_pad_data_size || p.front) return false;
  const input = lowering.picture(node.inputs[0]);
  const output = lowering.value(node.outputs[0], to[0], to[1], to[2]);
  const frame = { top: p.top, left: p.left, stepY: 1, stepX: 1 };
  lowering.add({ kind: "gather", nodes: [node.name], input, scaleY: 1, scaleX: 1, frame, output });
  lowering.setPicture(node.outputs[0], output, input.int8Scale);
  return true;
}

/** Groups of inputs that are summed one by one; more are left to JavaScript. */
const mostInputsInGroup = 4;

/**
 * Transposed convolution: the input's pixels spread out between zeros, then a convolution with the kernel turned around.
 * Dense, or with one output a group, which is a sum of depthwise convolutions over every n-th channel.
 */
function transposedConvolution(layer: LayerLowering): boolean {
  const { lowering, node, p, inputShapes, outputShapes } = layer;
  const isDense = node.type === "Deconvolution";
  if ((!isDense && node.type !== "DeconvolutionDepthWise") || lowering.isInteger(node.inputs[0]))
    return false;
  const [channels, height, width] = inputShapes[0];
  const perGroup = isDense ? 1 : channels / p.num_output;
  if (!isDense && (p.group !== p.num_output || perGroup > mostInputsInGroup)) return false;
  const cut = deconvolutionCuts(inputShapes[0], p as unknown as DeconvolutionParams);
  const y = spreadAxis(height, p.stride_h, p.kernel_h, p.dilation_h, cut.y);
  const x = spreadAxis(width, p.stride_w, p.kernel_w, p.dilation_w, cut.x);
  if (y.padBefore < 0 || x.padBefore < 0) return false;
  const [blob] = node.outputs;
  const input = lowering.picture(node.inputs[0]);
  const weight = turned(weightToFloat32(node.weights.weight), p.kernel_h * p.kernel_w);
  const bias = p.bias_term ? weightToFloat32(node.weights.bias) : undefined;
  const frame = { top: 0, left: 0, stepY: p.stride_h, stepX: p.stride_w };
  const nodes = [node.name];
  let output: Value | undefined;
  for (let part = 0; part < perGroup; part++) {
    const isLast = part === perGroup - 1;
    const refs = input.channels.filter((_, c) => c % perGroup === part);
    const spread = lowering.value(`${blob}.spread${part}`, refs.length, y.input, x.input);
    lowering.add({
      kind: "gather",
      nodes,
      input: { ...input, channels: refs },
      scaleY: 1,
      scaleX: 1,
      frame,
      output: spread,
    });
    const sum: FusedStep[] = output ? [{ kind: "residual", value: output }] : [];
    const next = lowering.value(
      isLast ? blob : `${blob}.part${part}`,
      ...(outputShapes[0] as [number, number, number]),
    );
    const taps = p.kernel_h * p.kernel_w;
    const common = { nodes, bias: part === 0 ? bias : undefined, y, x, int8: undefined, output: next };
    const fused = isLast ? [...sum, ...lowering.fusedBy(p)] : sum;
    if (isDense) {
      const from = pictureOf(spread);
      lowering.add({ kind: "convolution", ...common, input: from, weight, roundOnce: false, fused });
    } else {
      next.order.tie(spread.order);
      if (output) next.order.tie(output.order);
      const own = weight.filter((_, i) => Math.floor(i / taps) % perGroup === part);
      lowering.add({ kind: "depthwise", ...common, input: spread, weight: own, fused });
    }
    output = next;
  }
  lowering.setPicture(blob, output!);
  return true;
}

/** The window over an axis of pixels spread out by the stride. */
function spreadAxis(extent: number, stride: number, kernel: number, dilation: number, cut: Cut): WindowAxis {
  const input = (extent - 1) * stride + 1;
  const reach = dilation * (kernel - 1);
  const padBefore = reach - cut.before;
  const padAfter = Math.max(0, cut.output + reach - padBefore - input);
  return { kernel, stride: 1, dilation, padBefore, padAfter, input, output: cut.output };
}

/** Kernels of `taps` weights in reverse. */
function turned(weight: Float32Array, taps: number): Float32Array {
  return weight.map((_, i) => weight[i - (i % taps) + (taps - 1 - (i % taps))]);
}

/** The mean of each channel, by the kernel of pooling. */
function means({ lowering, node, p, inputShapes: [shape], outputShapes: [to] }: LayerLowering): boolean {
  if (node.type !== "Reduction" || reductionTypes[p.operation] !== "mean" || p.coeff !== 1) return false;
  if (shape.length !== 3 || p.reduce_all || lowering.isInteger(node.inputs[0])) return false;
  const axes = p.axes.map((axis) => resolveAxis(axis, 3)).sort();
  if (axes.join() !== "1,2" || elementCount(to) !== to[0]) return false;
  lowering.addMean(node, to);
  return true;
}
