/**
 * Cross-layer equalization: gives the channels of a blob similar ranges, so that one scale a blob serves them all. A
 * channel's values are multiplied by a factor where they are made (weights and bias of the producing convolution) and
 * divided by it where they are read; what lies between must commute with that: ReLU, pooling, resizing, concatenation,
 * slices, shuffles. The float function of the graph does not change, up to rounding.
 * After Nagel et al., "Data-free quantization through weight equalization and bias correction" (2019), with the ranges
 * of real activations, and channels followed through data movement.
 */
import { GraphError } from "../base/errors.ts";
import { type Graph, inferShapes, type Node, opOf, paramsOf } from "../ir/graph.ts";
import { elementCount, type Shape, sameShape } from "../ir/tensor.ts";
import { f32Weight, weightToFloat32 } from "../ir/weight.ts";
import { activationTypes } from "../ops/activations.ts";
import { ops } from "../ops/index.ts";
import type { Observations } from "./observe.ts";

/** Sets of channels that must share a factor. */
class ChannelClasses {
  private readonly parent: number[] = [];
  private readonly pinned = new Set<number>();

  fresh(count: number): number[] {
    return Array.from({ length: count }, () => this.parent.push(this.parent.length) - 1);
  }
  find(id: number): number {
    let root = id;
    while (this.parent[root] !== root) root = this.parent[root];
    this.parent[id] = root;
    return root;
  }
  union(a: number, b: number): void {
    const [rootA, rootB] = [this.find(a), this.find(b)];
    this.parent[rootA] = rootB;
    if (this.pinned.has(rootA)) this.pinned.add(rootB);
  }
  /** These channels keep factor 1. */
  pin(ids: readonly number[]): void {
    for (const id of ids) this.pinned.add(this.find(id));
  }
  isPinned(id: number): boolean {
    return this.pinned.has(this.find(id));
  }
}

const homogeneous: readonly number[] = [
  activationTypes.none,
  activationTypes.relu,
  activationTypes.leakyRelu,
];
/** The channel class of every channel of every blob of rank 3. */
function trace(graph: Graph, shapes: Map<string, Shape>, classes: ChannelClasses): Map<string, number[]> {
  const channels = new Map<string, number[]>();
  for (const node of graph.nodes) {
    const inputs = node.inputs.map((blob) => channels.get(blob) ?? []);
    const outputs = node.outputs.map((blob) => shapes.get(blob)!);
    const result = throughNode(
      node,
      inputs,
      node.inputs.map((blob) => shapes.get(blob)!),
      outputs,
      classes,
    );
    if (!result) for (const ids of inputs) classes.pin(ids);
    node.outputs.forEach((blob, i) => {
      const ids = result?.[i] ?? classes.fresh(outputs[i][0]);
      if (!result) classes.pin(ids);
      channels.set(blob, ids);
    });
  }
  for (const blob of graph.outputs) classes.pin(channels.get(blob) ?? []);
  return channels;
}

/** Channel classes of the outputs, or undefined where factors cannot pass. */
function throughNode(
  node: Node,
  inputs: readonly number[][],
  inputShapes: readonly Shape[],
  outputShapes: readonly Shape[],
  classes: ChannelClasses,
): number[][] | undefined {
  const op = opOf(node, ops);
  const isSpatial = [...inputShapes, ...outputShapes].every((shape) => shape.length === 3);
  if (!isSpatial || inputs.length === 0) return undefined;
  if (isScalable(node)) {
    const p = paramsOf(node, ops);
    if (p.pad_value !== 0) classes.pin(inputs[0]);
    const made = classes.fresh(outputShapes[0][0]);
    if (!homogeneous.includes(p.activation_type as number)) classes.pin(made);
    return [made];
  }
  if (op.homogeneous) return inputs.length === 1 ? [inputs[0]] : undefined;
  if (op.moves) return moved(node, inputs, outputShapes);
  const arithmetic = op.arithmetic?.(paramsOf(node, ops));
  const isSum = arithmetic?.operator === "add" && arithmetic.scalar === undefined && inputs.length === 2;
  if (isSum && sameShape(inputShapes[0], inputShapes[1])) {
    inputs[0].forEach((id, c) => classes.union(id, inputs[1][c]));
    return [inputs[0]];
  }
  return undefined;
}

/** Convolutions, whose weights take factors of both sides. */
function isScalable(node: Node): boolean {
  const { window, int8Form } = opOf(node, ops);
  const isConvolution = window !== undefined && int8Form !== undefined;
  return isConvolution && node.inputs.length === 1 && node.weights.weight !== undefined;
}

/**
 * Runs a data mover on channel numbers, one pixel a channel, which tells where each goes; undefined when it moves more than
 * whole channels.
 */
function moved(
  node: Node,
  inputs: readonly number[][],
  outputShapes: readonly Shape[],
): number[][] | undefined {
  const op = opOf(node, ops);
  const tensors = inputs.map((ids) => ({ shape: [ids.length, 1, 1], data: Float32Array.from(ids) }));
  try {
    const p = paramsOf(node, ops);
    const shapes = op.shape(
      tensors.map((tensor) => tensor.shape),
      p,
      outputShapes.length,
    );
    if (shapes.some((shape, i) => shape[0] !== outputShapes[i][0] || elementCount(shape) !== shape[0])) {
      return undefined;
    }
    return op.reference(tensors, p, {}, shapes).map((tensor) => [...tensor.data]);
  } catch (error) {
    if (error instanceof GraphError) return undefined;
    throw error;
  }
}

export interface EqualizeOptions {
  /**
   * 0 leaves the channels of a blob as they are, 1 gives them all the same range; in between, weights keep part of the
   * difference. Default 0.5. Channels that only depthwise layers read get 1: their weights have a scale per channel.
   */
  strength?: number;
}

/**
 * An equalized copy of `graph` that computes the same. `observations` are of the inputs of its convolutions;
 * `inputShapes` is any input size that the graph runs at. Also tells how many channels were changed.
 */
export function equalize(
  graph: Graph,
  observations: Observations,
  inputShapes: Record<string, Shape>,
  { strength = 0.5 }: EqualizeOptions = {},
): { graph: Graph; changed: number } {
  const out = graph.clone();
  const classes = new ChannelClasses();
  const channels = trace(out, inferShapes(out, ops, inputShapes), classes);
  const ranges = new Map<number, number>();
  const free = new Map<number, boolean>();
  for (const node of out.nodes.filter(isScalable)) {
    const maxima = observations.get(node.inputs[0])?.channelMax;
    const isDepthwise = paramsOf(node, ops).group === channels.get(node.inputs[0])!.length;
    for (const [c, id] of channels.get(node.inputs[0])!.entries()) {
      const root = classes.find(id);
      ranges.set(root, Math.max(ranges.get(root) ?? 0, maxima?.[c] ?? 0));
      free.set(root, (free.get(root) ?? true) && isDepthwise);
    }
  }
  const factors = new Map<number, number>();
  for (const [root, range] of ranges) {
    if (range > 0 && !classes.isPinned(root)) factors.set(root, range ** -(free.get(root) ? 1 : strength));
  }
  const factor = (id: number): number => factors.get(classes.find(id)) ?? 1;
  for (const node of out.nodes.filter(isScalable)) {
    scaleWeights(node, channels.get(node.inputs[0])!.map(factor), channels.get(node.outputs[0])!.map(factor));
  }
  return { graph: out, changed: factors.size };
}

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
