/**
 * Graph to steps: chooses a kind of step for every layer, turns data movement into views, and fuses activations and residual
 * additions into the steps that make their inputs. Nothing here knows an address, an order of channels or who runs the steps.
 */
import { type Graph, inferShapes, type Node, opOf } from "../../ir/graph.ts";
import { inputType, resolveParams } from "../../ir/op.ts";
import type { Shape } from "../../ir/tensor.ts";
import { ops } from "../../ops/index.ts";
import { checkOutputs } from "../inputs.ts";
import type { Step } from "../steps.ts";
import type { Value } from "../values.ts";
import { activation } from "./activation.ts";
import { alias } from "./alias.ts";
import { batchNorm } from "./batch-norm.ts";
import { binaryOp } from "./binary-op.ts";
import { concatChannels, concatDense } from "./concat.ts";
import { constant } from "./constant.ts";
import { convolution } from "./convolution.ts";
import { convolutionDepthWise } from "./convolution-depthwise.ts";
import { cropChannels, cropDense } from "./crop.ts";
import { deconvolution } from "./deconvolution.ts";
import { eltwise } from "./eltwise.ts";
import { gemm } from "./gemm.ts";
import { innerProduct, innerProductRows } from "./inner-product.ts";
import { input } from "./input.ts";
import { interp } from "./interp.ts";
import type { P, Rule } from "./layer.ts";
import { layerNorm } from "./layer-norm.ts";
import { lrn } from "./lrn.ts";
import { multiHeadAttention } from "./multi-head-attention.ts";
import { padding } from "./padding.ts";
import { permute } from "./permute.ts";
import { pooling } from "./pooling.ts";
import { quantize, requantize } from "./quantize.ts";
import { reduction } from "./reduction.ts";
import { reference } from "./reference.ts";
import { reshape } from "./reshape.ts";
import { scale } from "./scale.ts";
import { shuffleChannel } from "./shuffle-channel.ts";
import { sliceChannels, sliceDense } from "./slice.ts";
import { softmaxChannels, softmaxRows } from "./softmax.ts";
import { type LowerOptions, type OutputView, Views } from "./views.ts";

/** What must be handed to and fetched from the network, by blob. */
export interface Lowered {
  readonly steps: readonly Step[];
  readonly values: readonly Value[];
  readonly inputs: ReadonlyMap<string, { value: Value; shape: Shape }>;
  readonly outputs: ReadonlyMap<string, OutputView>;
  /** The picture that is made of pixels. */
  readonly placed: Value | undefined;
}

/**
 * The rules of every layer type, in the order in which they are tried. Types that are not here, and layers that no rule takes,
 * are activations, or else run on their reference kernel.
 */
const rules: Readonly<Record<string, readonly Rule[]>> = {
  [inputType]: [input],
  Noop: [alias],
  Split: [alias],
  Dropout: [alias],
  Quantize: [quantize],
  Requantize: [requantize],
  Concat: [concatChannels, concatDense],
  Slice: [sliceChannels, sliceDense],
  Crop: [cropChannels, cropDense],
  ShuffleChannel: [shuffleChannel],
  Permute: [permute],
  Reshape: [reshape],
  Flatten: [reshape],
  Squeeze: [reshape],
  ExpandDims: [reshape],
  Convolution: [convolution],
  ConvolutionDepthWise: [convolutionDepthWise],
  InnerProduct: [innerProduct, innerProductRows],
  Pooling: [pooling],
  BinaryOp: [binaryOp],
  Eltwise: [eltwise],
  Interp: [interp],
  Softmax: [softmaxChannels, softmaxRows],
  MemoryData: [constant],
  PriorBox: [constant],
  Gemm: [gemm],
  LayerNorm: [layerNorm],
  MultiHeadAttention: [multiHeadAttention],
  BatchNorm: [batchNorm],
  Scale: [scale],
  LRN: [lrn],
  Padding: [padding],
  Deconvolution: [deconvolution],
  DeconvolutionDepthWise: [deconvolution],
  Reduction: [reduction],
};
const rest: readonly Rule[] = [activation, reference];

/** Rules that read their input as a strided tensor: it must have no border then. */
const stridedRules: ReadonlySet<Rule> = new Set([permute, reshape]);

const rulesOf = ({ type }: Node): readonly Rule[] => rules[type] ?? [];

/**
 * Throws GraphError when the shapes do not fit. `outputs` are blobs to be kept; others may disappear by fusion.
 */
export function lower(
  graph: Graph,
  inputShapes: Record<string, Shape>,
  outputs: readonly string[],
  options?: LowerOptions,
): Lowered {
  const shapes = inferShapes(graph, ops, inputShapes);
  checkOutputs(graph, shapes, outputs);
  const wanted = new Set(outputs);
  const strided = graph.nodes.filter((node) => rulesOf(node).some((rule) => stridedRules.has(rule)));
  const views = new Views(graph, shapes, wanted, new Set(strided.map((node) => node.inputs[0])), options);
  const needed = neededNodes(graph, wanted);
  for (const node of graph.nodes) if (needed.has(node)) lowerNode(views, node);
  return {
    outputs: new Map([...wanted].map((blob) => [blob, views.output(blob)])),
    steps: views.steps,
    values: views.values,
    inputs: views.inputs,
    placed: views.placed,
  };
}

function lowerNode(views: Views, node: Node): void {
  const op = opOf(node, ops);
  const layer = {
    views,
    node,
    op,
    p: resolveParams(op, node.params) as unknown as P,
    inputShapes: node.inputs.map((blob) => views.shapeOf(blob)),
    outputShapes: node.outputs.map((blob) => views.shapeOf(blob)),
  };
  if (![...rulesOf(node), ...rest].some((rule) => rule(layer))) {
    throw new Error(`no rule for ${node.type} "${node.name}"`);
  }
}

/** Nodes that the wanted blobs depend on. */
function neededNodes(graph: Graph, wanted: ReadonlySet<string>): Set<Node> {
  const blobs = new Set(wanted);
  const needed = new Set<Node>();
  for (const node of [...graph.nodes].reverse()) {
    if (node.type !== inputType && !node.outputs.some((blob) => blobs.has(blob))) continue;
    needed.add(node);
    for (const blob of node.inputs) blobs.add(blob);
  }
  return needed;
}
