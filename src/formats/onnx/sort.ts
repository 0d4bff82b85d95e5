/** Topological order of an ONNX graph, with the rules that make one exist. */
import { GraphError } from "../../base/errors.ts";
import { describeNode, type OnnxGraph, type OnnxNode } from "./model.ts";

/**
 * Nodes so that every value is produced before it is read; the order of the file is kept where it can be.
 * Throws GraphError for values with two producers, values that nothing produces (`closed` graphs) and cycles.
 */
export function sortNodes(graph: OnnxGraph, closed = true): OnnxNode[] {
  const producer = new Map<string, OnnxNode>();
  const given = new Set([...graph.initializers.keys(), ...graph.inputs.map((input) => input.name)]);
  for (const node of graph.nodes) {
    checkArity(node);
    for (const name of node.outputs) {
      if (!name) continue;
      if (producer.has(name) || given.has(name)) {
        throw new GraphError(`${describeNode(node)}: value "${name}" has two producers`);
      }
      producer.set(name, node);
    }
  }
  for (const node of graph.nodes) {
    const missing = node.inputs.find((name) => name && !producer.has(name) && !given.has(name));
    if (closed && missing !== undefined) {
      throw new GraphError(
        `${describeNode(node)}: input "${missing}" is neither an input, an initializer nor the result of a node`,
      );
    }
  }
  if (closed) {
    const lost = graph.outputs.find(({ name }) => !producer.has(name) && !given.has(name));
    if (lost) throw new GraphError(`output "${lost.name}" is produced by no node`);
  }
  return visitAll(graph.nodes, producer);
}

/** Inputs that an operator cannot do without; one where nothing is listed. */
const requiredInputs: Record<string, number> = {
  ...Object.fromEntries(
    "Add And Div Equal Greater GreaterOrEqual Less LessOrEqual MatMul Mod Mul Or Pow Sub Xor Conv ConvTranspose Gemm PRelu Gather GatherElements Expand Reshape Tile CastLike LayerNormalization"
      .split(" ")
      .map((name) => [name, 2]),
  ),
  ...Object.fromEntries(
    "Where Range ScatterND InstanceNormalization GroupNormalization".split(" ").map((n) => [n, 3]),
  ),
  BatchNormalization: 5,
  Constant: 0,
};

function checkArity(node: OnnxNode): void {
  const needed = Object.hasOwn(requiredInputs, node.opType) ? requiredInputs[node.opType] : 1;
  const isGiven = node.domain !== "" || node.inputs.slice(0, needed).filter((name) => name).length === needed;
  if (!isGiven)
    throw new GraphError(`${describeNode(node)}: ${needed} inputs are needed, found [${node.inputs}]`);
  if (!node.outputs[0]) throw new GraphError(`${describeNode(node)}: it has no output`);
}

/** Depth-first with an explicit stack: a chain of a million nodes must not overflow the call stack. */
function visitAll(nodes: readonly OnnxNode[], producer: ReadonlyMap<string, OnnxNode>): OnnxNode[] {
  const sorted: OnnxNode[] = [];
  const state = new Map<OnnxNode, "open" | "done">();
  for (const root of nodes) {
    const stack = [{ node: root, next: 0 }];
    while (stack.length > 0) {
      const top = stack[stack.length - 1];
      const { node } = top;
      if (top.next === 0) {
        if (state.get(node) === "done") {
          stack.pop();
          continue;
        }
        state.set(node, "open");
      }
      let pushed = false;
      while (top.next < node.inputs.length && !pushed) {
        const source = producer.get(node.inputs[top.next++]);
        if (!source || state.get(source) === "done") continue;
        if (state.get(source) === "open") {
          throw new GraphError(`${describeNode(node)} is part of a cycle`);
        }
        stack.push({ node: source, next: 0 });
        pushed = true;
      }
      if (pushed) continue;
      state.set(node, "done");
      sorted.push(node);
      stack.pop();
    }
  }
  return sorted;
}
