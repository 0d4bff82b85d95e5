/** The layers that have an int8 form, and what quantization needs to know of each. */
import { GraphError } from "../base/errors.ts";
import { type Graph, type Node, paramsOf } from "../ir/graph.ts";
import { weightToFloat32 } from "../ir/weight.ts";
import { ops } from "../ops/index.ts";

const types = new Set(["Convolution", "ConvolutionDepthWise", "InnerProduct"]);

export interface QuantizableLayer {
  readonly node: Node;
  readonly name: string;
  /** The blob that it reads. */
  readonly input: string;
  readonly output: string;
  readonly outputChannels: number;
  /** Weight scales that it has: one per output channel, for ConvolutionDepthWise one per group. */
  readonly scaleCount: number;
  /** `[scaleCount, weightsPerScale]`; each row shares a scale. */
  readonly weights: Float32Array;
  readonly weightsPerScale: number;
  /** One per output channel, or undefined. */
  readonly bias: Float32Array | undefined;
  /**
   * 3×3, stride 1, dilation 1, one group: native ncnn runs it by int8 Winograd, which is exact only while accumulators
   * stay small, so that ncnn2table gives its weights 6 bits (±31).
   */
  readonly isWinograd: boolean;
}

/**
 * All layers that could be int8, in graph order. Throws GraphError naming the layer that is int8 already or whose weights
 * are not finite.
 */
export function quantizableLayers(graph: Graph): QuantizableLayer[] {
  const quantized = graph.nodes.find(isInt8);
  if (quantized) {
    throw new GraphError(
      `layer "${quantized.name}" is int8 already: calibrate and quantize the float model that it was made from`,
    );
  }
  return graph.nodes.filter((node) => types.has(node.type) && node.inputs.length === 1).map(describe);
}

/** Whether a layer is int8: by its parameter, or by the storage of its weights. */
export function isInt8(node: Node): boolean {
  return !!node.params.int8_scale_term || Object.values(node.weights).some((w) => w.storage === "i8");
}

function describe(node: Node): QuantizableLayer {
  const p = paramsOf(node, ops) as Record<string, number>;
  const weights = finite(node, "weight");
  const scaleCount = node.type === "ConvolutionDepthWise" ? p.group : p.num_output;
  return {
    node,
    name: node.name,
    input: node.inputs[0],
    output: node.outputs[0],
    outputChannels: p.num_output,
    scaleCount,
    weights,
    weightsPerScale: weights.length / scaleCount,
    bias: node.weights.bias && finite(node, "bias"),
    isWinograd: node.type === "Convolution" && isPlain3x3(p),
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

/** A 3×3 window moved by one pixel, without gaps; `p`: all parameters of a Convolution. */
export function isPlain3x3(p: Record<string, number>): boolean {
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
