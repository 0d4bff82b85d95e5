/** Whether a network built here has the structure of a `.param` file: names, order of lines and spelling aside. */
import { type Graph, inferShapes, paramsOf } from "../../src/ir/graph.ts";
import type { Shape } from "../../src/ir/tensor.ts";
import { ops } from "../../src/ops/index.ts";

/** Each node with everything that it computes, as a number that stands for its type, parameters, inputs and shapes. */
function numbered(
  graph: Graph,
  size: number,
  numbers: Map<string, number>,
): { number: number; text: string }[] {
  const shapes = inferShapes(graph, ops, { [graph.inputs[0]]: [3, size, size] });
  const blobs = new Map<string, string>();
  return graph.nodes.map((node) => {
    const params = paramsOf(node, ops) as Record<string, unknown>;
    const inputs = node.inputs.map((blob) => blobs.get(blob)!);
    if (isSum(node.type, params)) inputs.sort();
    const outputs: Shape[] = node.outputs.map((blob) => shapes.get(blob)!);
    const key = JSON.stringify([node.type, node.type === "Input" ? [] : meaning(params), inputs, outputs]);
    const number = numbers.get(key) ?? numbers.size;
    numbers.set(key, number);
    node.outputs.forEach((blob, i) => {
      blobs.set(blob, `${number}.${i}`);
    });
    return {
      number,
      text: `${node.type} ${node.name} ${JSON.stringify(node.params)} -> ${outputs.join(" ")}`,
    };
  });
}

const isSum = (type: string, p: Record<string, unknown>): boolean =>
  (type === "BinaryOp" && p.op_type === 0) || (type === "Eltwise" && p.op_type === 1);

/** Parameters to 6 digits, as files print them, and without those that a global pooling does not look at. */
function meaning(params: Record<string, unknown>): unknown {
  if (!params.global_pooling) {
    const rounded = (_: string, value: unknown): unknown =>
      typeof value === "number" ? Number(value.toPrecision(6)) : value;
    return JSON.stringify(params, rounded);
  }
  return { pooling_type: params.pooling_type, global_pooling: 1 };
}

/** Nodes of each graph without a counterpart in the other; both lists are empty for equal structures. */
export function structuralDifferences(
  a: Graph,
  b: Graph,
  size: number,
): { first: string[]; second: string[] } {
  const numbers = new Map<string, number>();
  const [first, second] = [numbered(a, size, numbers), numbered(b, size, numbers)];
  const missing = (from: typeof first, other: typeof first): string[] => {
    const left = new Map<number, number>();
    for (const { number } of other) left.set(number, (left.get(number) ?? 0) + 1);
    return from.flatMap(({ number, text }) => {
      const count = left.get(number) ?? 0;
      left.set(number, count - 1);
      return count > 0 ? [] : [text];
    });
  };
  return { first: missing(first, second), second: missing(second, first) };
}
