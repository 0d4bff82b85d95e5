/**
 * Float graph + calibration table -> int8 graph, as ncnn2int8 does it: int8 weights with the table's scales, int8 blobs
 * between convolutions that follow each other directly, float16 for all other weights.
 * Source: ncnn tools/quantize/ncnn2int8.cpp. Differences: Gemm and attention layers, which ncnn2int8 always quantizes,
 * stay float; what a layer pads with is quantized too, and one that pads with less than 0 stays float; a blob whose readers
 * disagree about its scale stays float, where ncnn2int8 would let the other readers misread it.
 */

import { expectKind } from "../base/arguments.ts";
import { GraphError, inContext, UsageError } from "../base/errors.ts";
import { float32ToFp16Array } from "../base/fp16.ts";
import { brief } from "../base/text.ts";
import type { CalibrationTable } from "../formats/table.ts";
import { type Graph, type Node, paramsOf } from "../ir/graph.ts";
import { type Op, type Params, resolveParams } from "../ir/op.ts";
import { f32Weight, type Weight } from "../ir/weight.ts";
import { ops } from "../ops/index.ts";
import { quantize } from "../ops/int8.ts";
import { int8FormOf, type QuantizableLayer, quantizableLayers } from "./layers.ts";
import type { RoundedLayer } from "./round.ts";

/** Options of the int8 rewrite. */
export interface RewriteOptions {
  /** Names of layers that stay float though the table has them. */
  keepFloat?: readonly string[];
  /** Better integer weights and biases than rounding gives, by layer name (`corrections.ts`). */
  corrections?: ReadonlyMap<string, RoundedLayer>;
  /** What the table is called in errors: the name of its file. */
  tableName?: string;
  /** Storage of weights that stay float: `f16` as ncnn2int8 does it (default), or as they are. */
  floatStorage?: "f16" | "keep";
}

/** Added to `int8_scale_term` when the layer's output is int8 too. */
const requantized = 100;

/**
 * A quantized copy of `graph`. Layers without an activation scale in the table stay float.
 * Throws GraphError for a graph that is quantized already or has weights that are not finite and for a table that does
 * not belong to it; UsageError for an unknown name in `keepFloat`.
 */
export function quantizeGraph(graph: Graph, table: CalibrationTable, options: RewriteOptions = {}): Graph {
  expectKind("quantizeGraph: graph", graph, "a graph");
  expectKind("quantizeGraph: table", table, "a calibration table");
  expectKind("quantizeGraph: options", options, "an object of options");
  const out = graph.clone();
  const layers = quantizableLayers(out);
  if (options.tableName === undefined) checkTable(table, layers);
  else inContext(options.tableName, () => checkTable(table, layers));
  const keep = new Set(options.keepFloat);
  for (const name of keep) {
    if (layers.some((layer) => layer.name === name)) continue;
    throw new UsageError(`keep-float: no layer "${name}" that could be int8; ${someNames(layers)}`);
  }
  for (const layer of layers) {
    const scale = table.activations.get(layer.name);
    if (scale === undefined || keep.has(layer.name) || padsBelowZero(layer.node)) continue;
    quantizeLayer(layer, table, scale, options);
  }
  fuseRequantize(out);
  if (options.floatStorage !== "keep") for (const node of out.nodes) storeFloat16(node);
  return out;
}

/** Whether int8 cannot do what a layer pads with: native ncnn fills vectors of eight channels wrongly. */
export const padsBelowZero = (node: Node): boolean => (paramsOf(node, ops).pad_value as number) < 0;

function someNames(layers: readonly QuantizableLayer[]): string {
  const names = layers.map((layer) => layer.name);
  return `the layers are ${brief(names.slice(0, 8).join(", "))}${names.length > 8 ? `, … (${names.length})` : ""}`;
}

/** A table must name only layers of this graph, with the right number of scales. */
export function checkTable(table: CalibrationTable, layers: readonly QuantizableLayer[]): void {
  const byName = new Map(layers.map((layer) => [layer.name, layer]));
  const names = [...new Set([...table.weights.keys(), ...table.activations.keys()])];
  const unknown = names.filter((name) => !byName.has(name));
  if (unknown.length > 0) {
    throw new GraphError(
      `the table belongs to another model: ${unknown.length} of its ${names.length} layers are not in the graph (${brief(unknown.slice(0, 8).join(", "))}${unknown.length > 8 ? ", …" : ""}); ${someNames(layers)}`,
    );
  }
  const wrong = [...table.weights].filter(([name, { length }]) => byName.get(name)?.scaleCount !== length);
  if (wrong.length > 0) {
    const isOld = [...table.weights.values()].every(({ length }) => length === 1);
    const [name, { length }] = wrong[0];
    throw new GraphError(
      `${isOld ? "the table is of an old ncnn, which had one weight scale a layer; make it anew" : "the table belongs to another model or is cut off"}: layer "${name}" has ${byName.get(name)?.scaleCount} weight scales, the table gives ${length}`,
    );
  }
  for (const name of table.activations.keys()) {
    if (!table.weights.has(name)) {
      throw new GraphError(`the table has no weight scales (${name}_param_0) for layer "${name}"`);
    }
  }
}

function quantizeLayer(
  { node, name, weights, weightsPerScale, bias, scaleTerm }: QuantizableLayer,
  table: CalibrationTable,
  inputScale: number,
  { corrections }: RewriteOptions,
): void {
  const scales = table.weights.get(name)!;
  const corrected = corrections?.get(name);
  const data =
    corrected?.weights ??
    Int8Array.from(weights, (w, i) => quantize(w, scales[Math.floor(i / weightsPerScale)]));
  // Padding comes behind the rounding of the input.
  const pad = paramsOf(node, ops).pad_value as number | undefined;
  setParams(node, { int8_scale_term: scaleTerm, ...(pad && { pad_value: quantize(pad, inputScale) }) });
  node.weights.weight = { storage: "i8", data };
  if (corrected) setBias(node, corrected.bias);
  else if (bias) node.weights.bias = f32Weight(bias.map(withoutTiny));
  node.weights.weight_scales = f32Weight(scales.map(withoutTiny));
  node.weights.bottom_scale = f32Weight([withoutTiny(inputScale)]);
}

/** ncnn's model writer stores floats below 1e-30 as 0. */
function withoutTiny(value: number): number {
  return Math.abs(value) < 1e-30 ? 0 : value;
}

/** Gives a layer a bias, whether it had one or not. */
export function setBias(node: Node, bias: Float32Array): void {
  setParams(node, { bias_term: 1 });
  node.weights.bias = f32Weight(bias);
}

/** Sets parameters so that all stay in the order of their numbers, as ncnn writes them. */
export function setParams(node: Node, values: Params): void {
  const specs: Op["params"] = ops.get(node.type)!.params;
  const params: Params = { ...node.params, ...values };
  const sorted = Object.entries(params).sort(([a], [b]) => (specs[a]?.id ?? 99) - (specs[b]?.id ?? 99));
  node.params = Object.fromEntries(sorted);
}

/**
 * Where every reader of a convolution's output is an int8 convolution, the blob becomes int8: the producer rounds to the
 * readers' scale, and they take the integers as they are.
 */
function fuseRequantize(graph: Graph): void {
  const readers = graph.consumers();
  for (const node of requantizable(graph)) {
    const scales = readers
      .get(node.outputs[0])!
      .map((consumer) => (consumer.weights.bottom_scale.data as Float32Array)[0]);
    if (scales.some((scale) => scale !== scales[0])) continue;
    setParams(node, { int8_scale_term: (node.params.int8_scale_term as number) + requantized });
    node.weights.top_scale = f32Weight([scales[0]]);
  }
}

/** The int8 convolutions all of whose readers are int8 convolutions: they may hand over integers. Needs no weights. */
export function requantizable(graph: Graph): Node[] {
  const readers = graph.consumers();
  return graph.nodes.filter((node) => {
    const consumers = isInt8Convolution(node) ? readers.get(node.outputs[0])! : [];
    return consumers.length > 0 && consumers.every(isInt8Convolution);
  });
}

/** An int8 layer that reads and, where all its readers do, makes integers. */
function isInt8Convolution(node: Node): boolean {
  return (
    node.inputs.length === 1 &&
    int8FormOf(node)?.requantizes === true &&
    !!paramsOf(node, ops).int8_scale_term
  );
}

function storeFloat16(node: Node): void {
  const op = ops.get(node.type)!;
  for (const { name, kind } of op.weights?.(resolveParams(op, node.params)) ?? []) {
    const weight = node.weights[name];
    if (kind === "tagged" && weight.storage === "f32") node.weights[name] = toFloat16(weight.data);
  }
}

function toFloat16(data: Float32Array): Weight {
  return { storage: "f16", data: float32ToFp16Array(data) };
}
