/**
 * Channels followed through a graph: which of them must be changed alike, if what a convolution makes of a channel is changed
 * and those who read it make up for it. Equalization scales channels, centring shifts them.
 */
import { GraphError } from "../base/errors.ts";
import { freeName, type Graph, type Node, opOf, paramsOf } from "../ir/graph.ts";
import { elementCount, type Shape } from "../ir/tensor.ts";
import { ops } from "../ops/index.ts";

/** Sets of channels that must be changed alike. */
export class ChannelClasses {
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
  /** These channels stay as they are. */
  pin(ids: readonly number[]): void {
    for (const id of ids) this.pinned.add(this.find(id));
  }
  /** All of these in one set. */
  join(ids: readonly number[]): void {
    for (const id of ids) this.union(id, ids[0]);
  }
  isPinned(id: number): boolean {
    return this.pinned.has(this.find(id));
  }
}

/** What lies on both sides of a layer whose blobs are all pictures: the classes of its inputs, and shapes. */
export interface Passage {
  readonly node: Node;
  readonly inputs: readonly number[][];
  readonly inputShapes: readonly Shape[];
  readonly outputShapes: readonly Shape[];
}

/**
 * The class of every channel of every blob. `through` gives the classes of a layer's outputs, or undefined where no change can
 * pass; vectors, matrices and outputs of the graph stay as they are.
 */
export function traceChannels(
  graph: Graph,
  shapes: Map<string, Shape>,
  classes: ChannelClasses,
  through: (passage: Passage) => number[][] | undefined,
): Map<string, number[]> {
  const channels = new Map<string, number[]>();
  for (const node of graph.nodes) {
    const inputs = node.inputs.map((blob) => channels.get(blob) ?? []);
    const inputShapes = node.inputs.map((blob) => shapes.get(blob)!);
    const outputShapes = node.outputs.map((blob) => shapes.get(blob)!);
    const isSpatial = [...inputShapes, ...outputShapes].every((shape) => shape.length === 3);
    const canPass = isSpatial && inputs.length > 0;
    const result = canPass ? through({ node, inputs, inputShapes, outputShapes }) : undefined;
    if (!result) for (const ids of inputs) classes.pin(ids);
    node.outputs.forEach((blob, i) => {
      const ids = result?.[i] ?? classes.fresh(outputShapes[i][0]);
      if (!result) classes.pin(ids);
      channels.set(blob, ids);
    });
  }
  for (const blob of graph.outputs) classes.pin(channels.get(blob) ?? []);
  return channels;
}

/** Puts a layer of one input behind `node`, whose readers read what it makes of it; what `node` makes is called `suffix` more. */
export function insertBehind(
  graph: Graph,
  node: Node,
  suffix: string,
  layer: Pick<Node, "type" | "params" | "weights">,
): void {
  const [blob] = node.outputs;
  const taken = new Set(graph.nodes.flatMap(({ name, outputs }) => [name, ...outputs]));
  const name = freeName(blob + suffix, taken);
  node.outputs[0] = name;
  graph.nodes.splice(graph.nodes.indexOf(node) + 1, 0, { ...layer, name, inputs: [name], outputs: [blob] });
}

/** Convolutions, whose weights and biases take up changes on both sides. */
export function isScalable(node: Node): boolean {
  const { window, int8Form } = opOf(node, ops);
  const isConvolution = window !== undefined && int8Form !== undefined;
  return isConvolution && node.inputs.length === 1 && node.weights.weight !== undefined;
}

/**
 * Runs a data mover on channel numbers, one pixel a channel, which tells where each goes; undefined when it moves more than
 * whole channels.
 */
export function movedChannels({ node, inputs, outputShapes }: Passage): number[][] | undefined {
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
