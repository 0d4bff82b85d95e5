/** The official ncnnoptimize: its rewrites, its storage flag, its way of cutting, and a line for every rewrite as it prints them. */
import { expectKind } from "../base/arguments.ts";
import { UsageError } from "../base/errors.ts";
import { type Graph, match, type Node, opOf, paramsOf } from "../ir/graph.ts";
import { inputType } from "../ir/op.ts";
import { activationParamsOf } from "../ops/activations.ts";
import { binaryOp } from "../ops/binary-op.ts";
import { ops } from "../ops/index.ts";
import { ncnnoptimizePasses, runPasses } from "../passes/index.ts";

/** Options of `ncnnoptimize`. */
export interface NcnnoptimizeOptions {
  /** Store weights as float16 (flags 1 and 65536); default false, float32. */
  fp16?: boolean;
  /** Names of the first and the last layer that are kept. */
  cutStart?: string;
  cutEnd?: string;
  /** Takes a line for every rewrite (`fuse_convolution_batchnorm Conv_0 BatchNormalization_1`) and near miss. */
  log?: (message: string) => void;
}

/**
 * Rewrites a copy as ncnnoptimize does. What is read across the cut becomes an Input layer named like the blob, so that the
 * result loads. Throws UsageError for an unknown layer to cut at, GraphError for a graph without its weights.
 */
export function ncnnoptimize(original: Graph, options: NcnnoptimizeOptions = {}): Graph {
  expectKind("ncnnoptimize: original", original, "a graph");
  expectKind("ncnnoptimize: options", options, "an object of options");
  const graph = original.clone();
  const kept = keptByCut(graph, options);
  for (const pass of ncnnoptimizePasses({ fp16: options.fp16 ?? false })) {
    const before = graph.nodes.map((node) => ({ ...node }));
    // Storing has no line in the tool's output.
    const isStorage = pass.name.startsWith("store-");
    runPasses(graph, [pass], options.log, 1);
    if (!isStorage) for (const line of changes(before, graph, pass.name)) options.log?.(line);
  }
  if (kept) cut(graph, kept);
  return graph;
}

/** Names of the layers from the first to the last one in file order; nothing without a cut. */
function keptByCut(graph: Graph, { cutStart, cutEnd, log }: NcnnoptimizeOptions): Set<string> | undefined {
  if (cutStart === undefined && cutEnd === undefined) return undefined;
  const indexOf = (name: string | undefined, what: string, fallback: number): number => {
    if (name === undefined) return fallback;
    const index = graph.nodes.findIndex((node) => node.name === name);
    if (index < 0) {
      throw new UsageError(
        `not find target ${what} layer ${name}: give a name of the .param's second column`,
      );
    }
    log?.(`${what} layer ${index}:${name}`);
    return index;
  };
  const start = indexOf(cutStart, "cutstart", 0);
  const end = indexOf(cutEnd, "cutend", graph.nodes.length - 1);
  if (start > end) throw new UsageError(`cutstart layer ${cutStart} comes after cutend layer ${cutEnd}`);
  return new Set(graph.nodes.slice(start, end + 1).map((node) => node.name));
}

function cut(graph: Graph, kept: ReadonlySet<string>): void {
  const outside = graph.nodes.filter((node) => !kept.has(node.name));
  graph.remove(outside);
  const read = new Set(graph.nodes.flatMap((node) => node.inputs));
  const names = new Set(graph.nodes.map((node) => node.name));
  const constants = outside.filter(
    (node) => opOf(node, ops).source === "constant" && read.has(node.outputs[0]),
  );
  const isConstant = new Set(constants.flatMap((node) => node.outputs));
  const inputs = outside
    .flatMap((node) => node.outputs)
    .filter((blob) => read.has(blob) && !isConstant.has(blob))
    .map((blob): Node => {
      let name = blob;
      while (names.has(name)) name += "_input";
      names.add(name);
      return { type: inputType, name, inputs: [], outputs: [blob], params: {}, weights: {} };
    });
  graph.nodes = [...inputs, ...constants, ...graph.nodes];
}

/** What a pass did between two states of a graph, in the words of the official tool. */
function changes(before: readonly Node[], graph: Graph, pass: string): string[] {
  const now = new Map(graph.nodes.map((node) => [node.name, node]));
  const producers = graph.producers();
  return before.flatMap((node) => {
    const left = now.get(node.name);
    const type = node.type.toLowerCase();
    if (left)
      return left.type === node.type ? [] : [`replace_${type}_${left.type.toLowerCase()} ${node.name}`];
    // A layer that was fused leaves its blob to the one that took it in.
    const taker = pass.startsWith("drop-") ? undefined : producers.get(node.outputs[0]);
    return taker
      ? [`fuse_${taker.type.toLowerCase()}_${kind(node)} ${taker.name} ${node.name}`]
      : [`eliminate_${type} ${node.name}`];
  });
}

function kind(node: Node): string {
  const activation = opOf(node, ops).activation?.(paramsOf(node, ops));
  if (activation && activationParamsOf(activation)) return "activation";
  const binary = match(node, binaryOp);
  if (binary) return ["add", "sub", "mul"][binary.op_type] ?? "binaryop";
  return node.type.toLowerCase();
}
