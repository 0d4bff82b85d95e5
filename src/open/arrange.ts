/** Brings a graph to the blobs that heads read: what stands behind them goes, and the layout that they want is made. */
import { freeName, type Graph, match, type Node, paramsOf } from "../ir/graph.ts";
import type { Shape } from "../ir/tensor.ts";
import { activationTypes } from "../ops/activations.ts";
import { ops } from "../ops/index.ts";
import { permute } from "../ops/permute.ts";
import { reshape } from "../ops/reshape.ts";

/**
 * The blob `[groups, cells, channels / groups]` of a convolution's `[channels, rows, columns]`: the one that the graph has, or a new one.
 */
export function groupedBlob(
  graph: Graph,
  shapes: ReadonlyMap<string, Shape>,
  blob: string,
  groups: number,
): string {
  const [channels, rows, columns] = shapes.get(blob)!;
  const apart = [groups, channels / groups, rows * columns];
  const readers = (of: string): Node[] => graph.nodes.filter(({ inputs }) => inputs[0] === of);
  const views = readers(blob).filter(
    (node) => match(node, reshape) && shapes.get(node.outputs[0])?.join() === apart.join(),
  );
  const turned = views.flatMap((view) => readers(view.outputs[0]));
  const known = turned.find((node) => match(node, permute)?.order_type === swapped);
  if (known) return known.outputs[0];
  const taken = new Set(graph.nodes.flatMap(({ name, outputs }) => [name, ...outputs]));
  const [grid, head] = [freeName(`${blob}_grid`, taken), freeName(`${blob}_head`, taken)];
  const params = { w: -1, h: channels / groups, c: groups };
  graph.add({ type: reshape.type, name: grid, inputs: [blob], outputs: [grid], params });
  const order = { order_type: swapped };
  graph.add({ type: permute.type, name: head, inputs: [grid], outputs: [head], params: order });
  return head;
}

/** Of ncnn's Permute: the last two axes change places. */
const swapped = 1;

/** Makes `blobs` the outputs. */
export function cutTo(graph: Graph, blobs: readonly string[]): void {
  const producers = graph.producers();
  const needed = new Set<Node>();
  const wanted = new Set(blobs);
  for (const blob of wanted) {
    const node = producers.get(blob);
    if (!node) continue;
    needed.add(node);
    for (const input of node.inputs) wanted.add(input);
  }
  graph.remove(graph.nodes.filter((node) => !needed.has(node)));
}

/** Takes the sigmoid off convolutions that have one, since decoding applies it. */
export function withoutSigmoids(graph: Graph, blobs: readonly string[]): void {
  const producers = graph.producers();
  for (const blob of blobs) {
    const node = producers.get(blob)!;
    if (paramsOf(node, ops).activation_type !== activationTypes.sigmoid) continue;
    delete node.params.activation_type;
    delete node.params.activation_params;
  }
}
