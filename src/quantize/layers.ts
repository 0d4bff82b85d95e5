/** The layers that have an int8 form, and what quantization needs to know of each. */
import { expectKind } from "../base/arguments.ts";
import { GraphError } from "../base/errors.ts";
import { type Graph, type Node, opOf, paramsOf } from "../ir/graph.ts";
import type { Int8Form } from "../ir/op.ts";
import { weightToFloat32 } from "../ir/weight.ts";
import { ops } from "../ops/index.ts";

/** A layer that has an int8 form, with what quantization needs of it. */
export interface QuantizableLayer extends Int8Form {
  readonly node: Node;
  readonly name: string;
  /** The blob that it reads. */
  readonly input: string;
  readonly output: string;
  readonly outputChannels: number;
  /** `[scaleCount, weightsPerScale]`; each row shares a scale. */
  readonly weights: Float32Array;
  readonly weightsPerScale: number;
  /** One per output channel, or undefined. */
  readonly bias: Float32Array | undefined;
}

/**
 * All layers that could be int8, in graph order. Throws GraphError naming the layer that is int8 already or whose weights
 * are not finite.
 */
export function quantizableLayers(graph: Graph): QuantizableLayer[] {
  expectKind("quantizableLayers: graph", graph, "a graph");
  const quantized = graph.nodes.find(isInt8);
  if (quantized) {
    throw new GraphError(
      `layer "${quantized.name}" is int8 already: calibrate and quantize the float model that it was made from`,
    );
  }
  return graph.nodes.flatMap((node) => {
    const form = node.inputs.length === 1 ? int8FormOf(node) : undefined;
    return form ? [describe(node, form)] : [];
  });
}

/** How a layer with weights becomes int8; undefined for one that has no int8 form. */
export function int8FormOf(node: Node): Int8Form | undefined {
  return opOf(node, ops).int8Form?.(paramsOf(node, ops));
}

/** Whether a layer is int8: by its parameter, or by the storage of its weights. */
export function isInt8(node: Node): boolean {
  return !!node.params.int8_scale_term || Object.values(node.weights).some((w) => w.storage === "i8");
}

function describe(node: Node, form: Int8Form): QuantizableLayer {
  const weights = finite(node, "weight");
  return {
    ...form,
    node,
    name: node.name,
    input: node.inputs[0],
    output: node.outputs[0],
    outputChannels: paramsOf(node, ops).num_output as number,
    weights,
    weightsPerScale: weights.length / form.scaleCount,
    bias: node.weights.bias && finite(node, "bias"),
  };
}

function finite(node: Node, name: string): Float32Array {
  const values = weightToFloat32(node.weights[name]);
  const at = values.findIndex((value) => !Number.isFinite(value));
  if (at >= 0) {
    throw new GraphError(
      `layer "${node.name}": ${name}[${at}] is ${values[at]}; a model with weights that are not finite cannot be quantized`,
    );
  }
  return values;
}
