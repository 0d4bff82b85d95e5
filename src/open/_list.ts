/** Finds the last layer of a network that sorts whole pictures: one number for every class. */
import type { ClassList } from "../heads/view.ts";
import { type Graph, match, type Node, opOf } from "../ir/graph.ts";
import { elementCount, type Shape } from "../ir/tensor.ts";
import { ops } from "../ops/index.ts";
import { softmax } from "../ops/softmax.ts";

/** Layers behind it that only move its numbers. */
const mostLayers = 8;

/** The list that the only output is, from a layer with weights, perhaps with a softmax over it; else nothing. */
export function classList(
  graph: Graph,
  shapes: ReadonlyMap<string, Shape>,
  outputs: readonly string[],
): ClassList | undefined {
  const producers = graph.producers();
  const [output, ...more] = outputs;
  const shape = output === undefined ? undefined : shapes.get(output);
  if (!shape || more.length) return undefined;
  const count = elementCount(shape);
  if (count < 2 || !shape.includes(count)) return undefined;
  let blob = output;
  for (let i = 0; i < mostLayers; i++) {
    const node = producers.get(blob);
    const found = shapes.get(blob);
    if (!node || !found || elementCount(found) !== count) return undefined;
    const op = opOf(node, ops);
    // What a softmax is of are logits, wherever they come from.
    if (isSoftmaxOver(node, found, count)) return { blob: node.inputs[0], count, isSoftmax: true };
    if (op.linear) return { blob, count, isSoftmax: false };
    if (!op.moves || node.inputs.length > 1) return undefined;
    [blob] = node.inputs;
  }
  return undefined;
}

function isSoftmaxOver(node: Node, shape: Shape, count: number): boolean {
  const params = match(node, softmax);
  if (!params) return false;
  const axis = shape.length === 1 ? 0 : (params.axis + shape.length) % shape.length;
  return shape[axis] === count;
}
