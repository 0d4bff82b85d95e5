/** What is in a model, counted: layers, parameters, work, storage. For `inspect` and for pages that show a model. */
import { expectKind } from "../base/arguments.ts";
import { GraphError } from "../base/errors.ts";
import { type Graph, inferShapes, opOf, paramsOf } from "../ir/graph.ts";
import type { Params } from "../ir/op.ts";
import { elementCount, type Shape } from "../ir/tensor.ts";
import { type Weight, weightBytes } from "../ir/weight.ts";
import { ops } from "../ops/index.ts";

/** One layer of a summary. */
export interface LayerSummary {
  type: string;
  name: string;
  inputs: string[];
  /** Output blobs with their shapes `[c, h, w]`; the shape is missing where the graph does not run at the size. */
  outputs: { blob: string; shape?: Shape }[];
  params: Params;
  /** Number of weight values. */
  parameters: number;
  /** Multiply-accumulates of one run; missing where the shapes are. */
  macs?: number;
}

/** What `summarize` tells of a graph. */
export interface GraphSummary {
  /** Layer counts by type, most frequent first. `Split` layers of the file are not counted. */
  layersByType: Record<string, number>;
  parameters: number;
  weightBytes: number;
  /** Number of weight values by storage: `f32`, `f16`, `i8`, `codebook`. */
  storage: Partial<Record<Weight["storage"], number>>;
  /** Multiply-accumulates of one run at the input shapes; missing if the graph does not run at them. */
  macs?: number;
  /** Bytes of all blobs together, as float32. */
  blobBytes?: number;
  inputs: { blob: string; shape?: Shape }[];
  outputs: { blob: string; shape?: Shape }[];
  /** Why there are no shapes. */
  problem?: string;
  layers: LayerSummary[];
}

/** Counts of a graph, with shapes for the given input shapes. Never throws for a graph that does not run at them. */
export function summarize(graph: Graph, inputShapes: Record<string, Shape>): GraphSummary {
  expectKind("summarize: graph", graph, "a graph");
  expectKind("summarize: inputShapes", inputShapes, "an object");
  const { shapes, problem } = shapesOrProblem(graph, inputShapes);
  const layers = graph.nodes.map((node) => layerSummary(node, shapes));
  const storage: GraphSummary["storage"] = {};
  let bytes = 0;
  for (const node of graph.nodes) {
    for (const weight of Object.values(node.weights)) {
      storage[weight.storage] = (storage[weight.storage] ?? 0) + weight.data.length;
      bytes += weightBytes(weight);
    }
  }
  const counts = new Map<string, number>();
  for (const { type } of graph.nodes) counts.set(type, (counts.get(type) ?? 0) + 1);
  const withShape = (blob: string): { blob: string; shape?: Shape } => ({ blob, shape: shapes?.get(blob) });
  return {
    layersByType: Object.fromEntries([...counts].sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0]))),
    parameters: layers.reduce((sum, layer) => sum + layer.parameters, 0),
    weightBytes: bytes,
    storage,
    macs: shapes && layers.reduce((sum, layer) => sum + (layer.macs ?? 0), 0),
    blobBytes: shapes && [...shapes.values()].reduce((sum, shape) => sum + elementCount(shape) * 4, 0),
    inputs: graph.inputs.map(withShape),
    outputs: graph.outputs.map(withShape),
    problem,
    layers,
  };
}

function shapesOrProblem(
  graph: Graph,
  inputShapes: Record<string, Shape>,
): { shapes?: Map<string, Shape>; problem?: string } {
  try {
    return { shapes: inferShapes(graph, ops, inputShapes) };
  } catch (error) {
    if (error instanceof GraphError) return { problem: error.message };
    throw error;
  }
}

function layerSummary(node: Graph["nodes"][number], shapes?: Map<string, Shape>): LayerSummary {
  const op = opOf(node, ops);
  const p = paramsOf(node, ops);
  const shapesOf = (blobs: readonly string[]): Shape[] => blobs.map((blob) => shapes!.get(blob)!);
  return {
    type: node.type,
    name: node.name,
    inputs: node.inputs,
    outputs: node.outputs.map((blob) => ({ blob, shape: shapes?.get(blob) })),
    params: node.params,
    parameters: (op.weights?.(p) ?? []).reduce((sum, spec) => sum + spec.count, 0),
    macs: shapes && (op.macs?.(shapesOf(node.inputs), shapesOf(node.outputs), p) ?? 0),
  };
}
