/**
 * Cross-layer equalization: gives the channels of a blob similar ranges, so that one scale a blob serves them all. A
 * channel's values are multiplied by a factor where they are made (weights and bias of the producing convolution) and
 * divided by it where they are read; what lies between must commute with that: ReLU, pooling, resizing, concatenation,
 * slices, shuffles. Behind an activation that does not (SiLU, hard-swish), a Scale layer multiplies. The float function of the
 * graph does not change, up to rounding. What has bounds (clip, sigmoid) has ranges that are alike: it is left alone.
 * After Nagel et al., "Data-free quantization through weight equalization and bias correction" (2019), with the ranges
 * of real activations, and channels followed through data movement.
 */
import type { Activation } from "../base/activation.ts";
import { type Graph, inferShapes, type Node, opOf, paramsOf } from "../ir/graph.ts";
import { type Shape, sameShape } from "../ir/tensor.ts";
import { f32Weight, weightToFloat32 } from "../ir/weight.ts";
import { activationTypes, fusedActivation } from "../ops/activations.ts";
import { ops } from "../ops/index.ts";
import { scale } from "../ops/scale.ts";
import {
  ChannelClasses,
  insertBehind,
  isScalable,
  movedChannels,
  type Passage,
  traceChannels,
} from "./channels.ts";
import type { ChannelRanges, Ranges } from "./ranges.ts";

const homogeneous: readonly number[] = [
  activationTypes.none,
  activationTypes.relu,
  activationTypes.leakyRelu,
];
/** Activations whose values lie between two bounds. */
const bounded: ReadonlySet<Activation["kind"]> = new Set(["clip", "sigmoid", "hardSigmoid", "tanh"]);

/** Channel classes of the outputs, or undefined where factors cannot pass. Layers that must be followed by a Scale go to `bent`. */
function throughNode(passage: Passage, classes: ChannelClasses, bent: Set<Node>): number[][] | undefined {
  const { node, inputs, inputShapes, outputShapes } = passage;
  const op = opOf(node, ops);
  if (isScalable(node)) {
    const p = paramsOf(node, ops);
    if (p.pad_value !== 0) classes.pin(inputs[0]);
    const made = classes.fresh(outputShapes[0][0]);
    const activation = fusedActivation(p as Parameters<typeof fusedActivation>[0]);
    if (activation && bounded.has(activation.kind)) classes.pin(made);
    else if (!homogeneous.includes(p.activation_type as number)) bent.add(node);
    return [made];
  }
  if (op.homogeneous) return inputs.length === 1 ? [inputs[0]] : undefined;
  const activation = op.activation?.(paramsOf(node, ops));
  if (activation && !bounded.has(activation.kind) && inputs.length === 1) {
    classes.pin(inputs[0]);
    bent.add(node);
    return [classes.fresh(outputShapes[0][0])];
  }
  if (op.moves) return movedChannels(passage);
  const arithmetic = op.arithmetic?.(paramsOf(node, ops));
  const isSum = arithmetic?.operator === "add" && arithmetic.scalar === undefined && inputs.length === 2;
  if (isSum && sameShape(inputShapes[0], inputShapes[1])) {
    inputs[0].forEach((id, c) => classes.union(id, inputs[1][c]));
    return [inputs[0]];
  }
  return undefined;
}

export interface EqualizeOptions {
  /**
   * 0 leaves the channels of a blob as they are, 1 gives them all the same range; in between, weights keep part of the
   * difference. Default 0.65. Channels that only depthwise layers read get 1: their weights have a scale per channel.
   */
  strength?: number;
}

/**
 * An equalized copy of `graph` that computes the same. `seen` is of the inputs of its convolutions: the range of a channel is the
 * threshold that would suit it best, so that a rare outlier does not cost it its levels. `inputShapes` is any input size that
 * the graph runs at. Also gives what the ranges are then, and how many channels were changed.
 */
export function equalize(
  graph: Graph,
  seen: Ranges,
  inputShapes: Record<string, Shape>,
  { strength = 0.65 }: EqualizeOptions = {},
): { graph: Graph; ranges: Ranges; changed: number } {
  const out = graph.clone();
  const classes = new ChannelClasses();
  const bent = new Set<Node>();
  const shapes = inferShapes(out, ops, inputShapes);
  const channels = traceChannels(out, shapes, classes, (passage) => throughNode(passage, classes, bent));
  const convolutions = out.nodes.filter(isScalable);
  const widths = new Map<number, number>();
  const free = new Map<number, boolean>();
  const thresholds = new Map([...seen].map(([blob, of]) => [blob, channelThresholds(of)]));
  for (const node of convolutions) {
    const [blob] = node.inputs;
    const isDepthwise = paramsOf(node, ops).group === channels.get(blob)!.length;
    for (const [c, id] of channels.get(blob)!.entries()) {
      const root = classes.find(id);
      widths.set(root, Math.max(widths.get(root) ?? 0, thresholds.get(blob)?.[c] ?? 0));
      free.set(root, (free.get(root) ?? true) && isDepthwise);
    }
  }
  const factors = new Map<number, number>();
  for (const [root, width] of widths) {
    if (width > 0 && !classes.isPinned(root)) factors.set(root, width ** -(free.get(root) ? 1 : strength));
  }
  const factorsOf = (blob: string): number[] =>
    channels.get(blob)!.map((id) => factors.get(classes.find(id)) ?? 1);
  for (const node of convolutions) {
    const output = factorsOf(node.outputs[0]);
    scaleWeights(node, factorsOf(node.inputs[0]), bent.has(node) ? output.map(() => 1) : output);
  }
  for (const node of bent) scaleBehind(out, node, factorsOf(node.outputs[0]));
  const ranges = new Map([...seen].map(([blob, of]) => [blob, of.scaled(factorsOf(blob))]));
  return { graph: out, ranges, changed: factors.size };
}

/** Multiplies what a layer makes by a factor a channel. */
function scaleBehind(graph: Graph, node: Node, factors: readonly number[]): void {
  if (factors.every((factor) => factor === 1)) return;
  insertBehind(graph, node, "_unscaled", {
    type: scale.type,
    params: { scale_data_size: factors.length, bias_term: 1 },
    weights: { scale: f32Weight(factors), bias: f32Weight(factors.map(() => 0)) },
  });
}

const channelThresholds = (of: ChannelRanges): number[] =>
  Array.from({ length: of.count }, (_, c) => of.threshold([c]));

/** Divides the weights of each input channel and multiplies those of each output channel, and its bias, by its factor. */
function scaleWeights(node: Node, input: readonly number[], output: readonly number[]): void {
  if ([...input, ...output].every((factor) => factor === 1)) return;
  const { group = 1 } = paramsOf(node, ops) as { group?: number };
  const [groupIn, groupOut] = [input.length / group, output.length / group];
  const weights = weightToFloat32(node.weights.weight).slice();
  const kernel = weights.length / (output.length * groupIn);
  for (let k = 0, at = 0; k < output.length; k++) {
    const first = Math.floor(k / groupOut) * groupIn;
    for (let c = 0; c < groupIn; c++) {
      const ratio = output[k] / input[first + c];
      for (let i = 0; i < kernel; i++, at++) weights[at] *= ratio;
    }
  }
  node.weights.weight = f32Weight(weights);
  if (node.weights.bias) {
    node.weights.bias = f32Weight(weightToFloat32(node.weights.bias).map((b, k) => b * output[k]));
  }
}
