/** Whether two graphs are the same up to the names of nodes and blobs. */
import { type Graph, inferShapes, type Node, paramsOf } from "../../src/ir/graph.ts";
import type { Shape } from "../../src/ir/tensor.ts";
import { ops } from "../../src/ops/index.ts";
import { num } from "../../src/passes/_params.ts";

export interface Comparison {
  /** Descriptions of nodes that the other graph has no counterpart for, in node order. */
  readonly onlyInFirst: string[];
  readonly onlyInSecond: string[];
  /** Counterparts, in the order of the first graph. */
  readonly pairs: [Node, Node][];
}

/**
 * Gives every node a number that stands for its type, parameters (defaults filled in) and the numbers of its inputs, and pairs
 * nodes of one number. Inputs are numbered by their order. `ignore` names parameters to leave out.
 */
export function compareGraphs(first: Graph, second: Graph, ignore: readonly string[] = []): Comparison {
  const numbers = new Map<string, number>();
  const a = numbered(first, numbers, ignore);
  const b = numbered(second, numbers, ignore);
  const waiting = new Map<number, Node[]>();
  for (const [node, number] of b) waiting.set(number, [...(waiting.get(number) ?? []), node]);
  const pairs: [Node, Node][] = [];
  const onlyInFirst: string[] = [];
  for (const [node, number] of a) {
    const partner = waiting.get(number)?.shift();
    if (partner) pairs.push([node, partner]);
    else onlyInFirst.push(describe(node));
  }
  const left = new Set([...waiting.values()].flat());
  return { pairs, onlyInFirst, onlyInSecond: second.nodes.filter((node) => left.has(node)).map(describe) };
}

const describe = (node: Node): string => `${node.type} ${node.name} ${JSON.stringify(node.params)}`;

function numbered(graph: Graph, numbers: Map<string, number>, ignore: readonly string[]): Map<Node, number> {
  const blobs = new Map<string, string>();
  const result = new Map<Node, number>();
  let inputs = 0;
  for (const node of graph.nodes) {
    const params = Object.entries(paramsOf(node, ops)).filter(([name]) => !ignore.includes(name));
    const key = JSON.stringify([
      node.type,
      node.type === "Input" ? inputs++ : params,
      node.inputs.map((blob) => blobs.get(blob)),
      node.outputs.length,
    ]);
    const number = numbers.get(key) ?? numbers.size;
    numbers.set(key, number);
    result.set(node, number);
    node.outputs.forEach((blob, i) => blobs.set(blob, `${number}.${i}`));
  }
  return result;
}

/** A copy in which every Slice is a Crop for each of its parts, the older spelling of the same cut. */
export function slicesAsCrops(graph: Graph, inputShapes: Record<string, Shape>): Graph {
  const shapes = inferShapes(graph, ops, inputShapes);
  const copy = graph.clone();
  copy.nodes = copy.nodes.flatMap((node) => {
    if (node.type !== "Slice") return [node];
    const [input] = node.inputs.map((blob) => shapes.get(blob)!);
    const axis = num(node, "axis") < 0 ? num(node, "axis") + input.length : num(node, "axis");
    let start = 0;
    return node.outputs.map((blob, i) => {
      const end = start + shapes.get(blob)![axis];
      const params = { starts: [start], ends: [end], axes: [axis] };
      start = end;
      return { ...node, type: "Crop", name: `${node.name}_${i}`, outputs: [blob], params };
    });
  });
  return copy;
}
