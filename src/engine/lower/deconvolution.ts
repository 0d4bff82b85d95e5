import type { WindowAxis } from "../../ir/op.ts";
import { weightToFloat32 } from "../../ir/weight.ts";
import { type Cut, type DeconvolutionParams, deconvolutionCuts } from "../../ops/deconvolve.ts";
import type { FusedStep } from "../steps.ts";
import { type ChannelRef, pictureOf, type Value } from "../values.ts";
import type { WindowAxes } from "../windows.ts";
import { biasOf, fusedBy } from "./_convolve.ts";
import type { Layer } from "./layer.ts";

/** Groups of inputs that are summed one by one; more are left to JavaScript. */
const mostInputsInGroup = 4;

/**
 * Transposed convolution: the input's pixels spread out between zeros, then a convolution with the kernel turned around.
 * Dense, or with one output a group, which is a sum of depthwise convolutions over every n-th channel.
 */
export function deconvolution(layer: Layer): boolean {
  const { views, node, p, inputShapes } = layer;
  if (views.isInteger(node.inputs[0])) return false;
  const isDense = p.group === undefined;
  const perGroup = isDense ? 1 : inputShapes[0][0] / p.num_output;
  if (!isDense && (p.group !== p.num_output || perGroup > mostInputsInGroup)) return false;
  const axes = spreadAxes(layer);
  if (axes.y.padBefore < 0 || axes.x.padBefore < 0) return false;
  const { channels } = views.picture(node.inputs[0]);
  const parts = Array.from({ length: perGroup }, (_, part) =>
    channels.filter((_, c) => c % perGroup === part),
  );
  const output = isDense ? addDense(layer, axes, channels) : addDepthwise(layer, axes, parts);
  views.setPicture(node.outputs[0], output);
  return true;
}

function addDense(layer: Layer, axes: WindowAxes, channels: readonly ChannelRef[]): Value {
  const { views, node, p } = layer;
  const weight = turnedWeight(layer);
  const input = pictureOf(addSpread(layer, axes, channels, 0));
  const output = resultValue(layer, node.outputs[0]);
  const common = { nodes: [node.name], weight, bias: biasOf(layer), ...axes, int8: undefined, output };
  views.add({ kind: "convolution", ...common, input, roundOnce: false, fused: fusedBy(p) });
  return output;
}

/** Each part is added to the sum of those before. */
function addDepthwise(layer: Layer, axes: WindowAxes, parts: readonly ChannelRef[][]): Value {
  const { views, node, p } = layer;
  const taps = p.kernel_h * p.kernel_w;
  const all = turnedWeight(layer);
  const [to] = node.outputs;
  let sum: Value | undefined;
  for (const [part, channels] of parts.entries()) {
    const isLast = part === parts.length - 1;
    const input = addSpread(layer, axes, channels, part);
    const output = resultValue(layer, isLast ? to : `${to}.part${part}`);
    output.order.tie(input.order);
    if (sum) output.order.tie(sum.order);
    const weight = all.filter((_, i) => Math.floor(i / taps) % parts.length === part);
    const bias = part === 0 ? biasOf(layer) : undefined;
    const fused: FusedStep[] = sum ? [{ kind: "residual", value: sum }] : [];
    if (isLast) fused.push(...fusedBy(p));
    const nodes = [node.name];
    views.add({ kind: "depthwise", nodes, input, weight, bias, ...axes, int8: undefined, fused, output });
    sum = output;
  }
  return sum!;
}

/** The input's pixels between zeros. */
function addSpread(
  { views, node, p }: Layer,
  { y, x }: WindowAxes,
  channels: readonly ChannelRef[],
  part: number,
): Value {
  const input = { ...views.picture(node.inputs[0]), channels };
  const output = views.value(`${node.outputs[0]}.spread${part}`, channels.length, y.input, x.input);
  // A step behind the only pixel is never taken, and may be any number.
  const [stepY, stepX] = [y.input > 1 ? p.stride_h : 1, x.input > 1 ? p.stride_w : 1];
  const frame = { top: 0, left: 0, stepY, stepX };
  views.add({ kind: "gather", nodes: [node.name], input, scaleY: 1, scaleX: 1, frame, output });
  return output;
}

function resultValue({ views, outputShapes: [[channels, height, width]] }: Layer, name: string): Value {
  return views.value(name, channels, height, width);
}

/** The weights with every kernel in reverse. */
function turnedWeight({ node, p }: Layer): Float32Array {
  const taps = p.kernel_h * p.kernel_w;
  const weight = weightToFloat32(node.weights.weight);
  return weight.map((_, i) => weight[i - (i % taps) + (taps - 1 - (i % taps))]);
}

/** Windows over the pixels that the strides have spread out. */
function spreadAxes({ p, inputShapes }: Layer): WindowAxes {
  const [[, height, width]] = inputShapes;
  const cut = deconvolutionCuts(inputShapes[0], p as unknown as DeconvolutionParams);
  return {
    y: spreadAxis(height, p.stride_h, p.kernel_h, p.dilation_h, cut.y),
    x: spreadAxis(width, p.stride_w, p.kernel_w, p.dilation_w, cut.x),
  };
}

function spreadAxis(extent: number, stride: number, kernel: number, dilation: number, cut: Cut): WindowAxis {
  const input = (extent - 1) * stride + 1;
  const reach = dilation * (kernel - 1);
  const padBefore = reach - cut.before;
  const padAfter = Math.max(0, cut.output + reach - padBefore - input);
  return { kernel, stride: 1, dilation, padBefore, padAfter, input, output: cut.output };
}
