/** What convolutions and fully connected layers have in common: their numbers, and the steps of dense ones. */
import type { Node } from "../../ir/graph.ts";
import { weightToFloat32 } from "../../ir/weight.ts";
import { fusedActivation } from "../../ops/activations.ts";
import { quantize } from "../../ops/int8.ts";
import type { FusedStep, Int8Scales } from "../steps.ts";
import { type PictureView, pictureOf } from "../values.ts";
import { hasPadding, type WindowAxes } from "../windows.ts";
import type { Layer, P } from "./layer.ts";

/** The activation among a layer's own parameters. */
export function fusedBy(p: P): FusedStep[] {
  const activation = fusedActivation(p as unknown as Parameters<typeof fusedActivation>[0]);
  return activation ? [{ kind: "activation", activation }] : [];
}

/** A layer's weights, as the step reads them. */
export interface LayerWeights {
  readonly weight: Float32Array | Int8Array;
  readonly bias: Float32Array | undefined;
  readonly int8: Int8Scales | undefined;
}

export function biasOf({ node, p }: Layer): Float32Array | undefined {
  return p.bias_term ? weightToFloat32(node.weights.bias) : undefined;
}

export function weightsOf(layer: Layer, input: PictureView, group: number): LayerWeights {
  const { node, p } = layer;
  const int8 = int8Scales(node, p, input, group);
  return {
    int8,
    weight: convolutionWeight(node, p.num_output, int8),
    bias: biasOf(layer),
  };
}

/** The scale of a result that is requantized to int8. */
export function topScale({ node, p }: Layer): number | undefined {
  return p.int8_scale_term > 100 ? weightToFloat32(node.weights.top_scale)[0] : undefined;
}

function int8Scales(node: Node, p: P, input: PictureView, group: number): Int8Scales | undefined {
  if (!p.int8_scale_term) return undefined;
  const stored = weightToFloat32(node.weights.weight_scales);
  const perScale = p.num_output / stored.length;
  const bottom = weightToFloat32(node.weights.bottom_scale)[0];
  const weight = Float32Array.from(
    { length: p.num_output },
    (_, k) => stored[stored.length === group || group === 1 ? Math.floor(k / perScale) : 0],
  );
  return { bottom, weight, inputScale: input.int8Scale ?? bottom };
}

function convolutionWeight(
  node: Node,
  outputs: number,
  scales: Int8Scales | undefined,
): Float32Array | Int8Array {
  const { weight } = node.weights;
  if (!scales) return weightToFloat32(weight);
  if (weight.storage === "i8") return weight.data;
  const values = weightToFloat32(weight);
  const perOutput = values.length / outputs;
  return Int8Array.from(values, (v, i) => quantize(v, scales.weight[Math.floor(i / perOutput)]));
}

/**
 * What a layer reads, with the border that its padding needs. That can only be had around values that nobody reads with plain
 * strides, and by readers who pad with the same number; else it is around a copy. Int8 layers pad quantized values, with the
 * number as it stands.
 */
export function padded({ views, node, p }: Layer, input: PictureView, axes: WindowAxes): PictureView {
  if (!hasPadding(axes)) return input;
  const [dtype, fill] = p.int8_scale_term
    ? (["i8", Math.trunc(p.pad_value)] as const)
    : (["f32", p.pad_value] as const);
  const sources = new Set(input.channels.map((ref) => ref.value));
  if ([...sources].every((value) => !value.pinned && value.wantFill(dtype, fill))) return input;
  const copy = views.gather(input, `${node.inputs[0]}.gathered`);
  copy.wantFill(dtype, fill);
  return pictureOf(copy, input.int8Scale);
}

const slice = <T extends { subarray(a: number, b: number): T }>(all: T, size: number, at: number): T =>
  all.subarray(at * size, (at + 1) * size);

/**
 * A dense convolution of each group of channels; their results one after the other are the layer's. `requantized`: the scale of
 * an int8 result.
 */
export function addConvolutions(
  layer: Layer,
  from: PictureView,
  axes: WindowAxes,
  { weight, bias, int8 }: LayerWeights,
  { group, roundOnce, requantized }: { group: number; roundOnce: boolean; requantized?: number },
): void {
  const { views, node, p } = layer;
  const input = padded(layer, from, axes);
  const [to] = node.outputs;
  const groupInputs = input.channels.length / group;
  const groupOutputs = p.num_output / group;
  const groupWeights = weight.length / group;
  const parts = Array.from({ length: group }, (_, g) => {
    const output = views.value(
      group > 1 ? `${to}.group${g}` : to,
      groupOutputs,
      axes.y.output,
      axes.x.output,
    );
    views.add({
      kind: "convolution",
      nodes: [node.name],
      input: { ...input, channels: input.channels.slice(g * groupInputs, (g + 1) * groupInputs) },
      weight: weight instanceof Int8Array ? slice(weight, groupWeights, g) : slice(weight, groupWeights, g),
      bias: bias && slice(bias, groupOutputs, g),
      ...axes,
      int8: int8 && { ...int8, weight: slice(int8.weight, groupOutputs, g) },
      roundOnce,
      fused: fusedBy(p),
      output,
    });
    return output;
  });
  if (group === 1) {
    views.setPicture(to, parts[0], requantized);
    return;
  }
  const [{ height, width }] = parts;
  const channels = parts.flatMap((value) => pictureOf(value).channels);
  views.setView(to, { kind: "picture", rank: 3, height, width, channels, int8Scale: requantized });
}
