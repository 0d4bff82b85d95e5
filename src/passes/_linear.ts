/**
 * Layers whose result is a weighted sum plus a bias for every output channel. Their weights begin with the output
 * channel, so a factor and an offset per channel behind them can move into the weights.
 */
import type { Node } from "../ir/graph.ts";
import type { Op } from "../ir/op.ts";
import { f32Weight, weightToFloat32 } from "../ir/weight.ts";
import { allOps } from "../ops/index.ts";
import { num, setParams } from "./_params.ts";

export const linearOps: readonly Op[] = allOps.filter(({ linear }) => linear);

/** What a layer does to channel c of its input: `x·scale(c) + shift(c)`. */
export interface Affine {
  /** Number of channels, or undefined where every channel gets the same. */
  readonly channels: number | undefined;
  scale(channel: number): number;
  shift(channel: number): number;
}

export const isInt8 = (node: Node): boolean => num(node, "int8_scale_term") !== 0;

/** Why nothing may be folded into this layer, or undefined. */
export function foldObstacle(node: Node): string | undefined {
  if (isInt8(node)) return "is an int8 layer";
  if (num(node, "dynamic_weight")) return "takes its weights from other layers";
  if (num(node, "activation_type")) return "has an activation, which comes first";
  if (node.weights.weight?.storage === "i8") return "has int8 weights";
  return undefined;
}

/** The bias of a linear layer, zeros where it has none. */
export function biasOf(node: Node): Float32Array {
  return node.weights.bias ? weightToFloat32(node.weights.bias) : new Float32Array(num(node, "num_output"));
}

export function setBias(node: Node, bias: Float32Array): void {
  node.weights = { ...node.weights, bias: f32Weight(bias) };
  setParams(node, { bias_term: 1 });
}

/** Moves what comes behind a linear layer into its weights; computed in double precision, rounded once. */
export function foldAffine(node: Node, { scale, shift }: Affine): void {
  const weight = weightToFloat32(node.weights.weight);
  const outputs = num(node, "num_output");
  const perOutput = weight.length / outputs;
  const isScaled = Array.from({ length: outputs }, (_, c) => scale(c)).some((factor) => factor !== 1);
  if (isScaled) {
    const scaled = weight.map((value, i) => value * scale(Math.floor(i / perOutput)));
    node.weights = { ...node.weights, weight: f32Weight(scaled) };
  }
  const bias = biasOf(node).map((value, c) => value * scale(c) + shift(c));
  if (node.weights.bias || bias.some((value) => value !== 0)) setBias(node, bias);
}
