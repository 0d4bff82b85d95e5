/** The reference backend: runs a graph node by node on the plain kernels of `ops/`. Slow, and the definition of right. */
import { expectKind } from "../../base/arguments.ts";
import { GraphError } from "../../base/errors.ts";
import { type Graph, inferShapes, opOf } from "../../ir/graph.ts";
import { resolveParams } from "../../ir/op.ts";
import type { Tensor } from "../../ir/tensor.ts";
import { ops } from "../../ops/index.ts";
import type { Backend } from "../backend.ts";
import { checkInputs, checkOutputs } from "../inputs.ts";

/**
 * The requested blobs (default: the graph's outputs) for the given input blobs. Any blob may be asked for. Blobs are
 * freed after their last reader, unless `observe` is given, which sees every blob as it is made.
 * Throws GraphError when an input is missing or does not fit.
 */
export function runReference(
  graph: Graph,
  inputs: Record<string, Tensor>,
  outputs: readonly string[] = graph.outputs,
  observe?: (blob: string, value: Tensor) => void,
): Record<string, Tensor> {
  expectKind("run: outputs", outputs, "a list of strings");
  const shapes = inferShapes(graph, ops, checkInputs(graph, inputs));
  checkOutputs(graph, shapes, outputs);
  const readersLeft = new Map([...graph.consumers()].map(([blob, list]) => [blob, list.length]));
  for (const blob of outputs) readersLeft.set(blob, (readersLeft.get(blob) ?? 0) + 1);
  const blobs = new Map<string, Tensor>();
  for (const node of graph.nodes) {
    const op = opOf(node, ops);
    const int8 = node.inputs.find((blob) => blobs.get(blob)!.data instanceof Int8Array);
    if (int8 !== undefined && !op.int8Inputs) {
      throw new GraphError(
        `node ${node.type} "${node.name}": input "${int8}" is int8, but it works on float blobs`,
      );
    }
    const results =
      node.type === "Input"
        ? [inputs[node.outputs[0]]]
        : op.reference(
            node.inputs.map((blob) => blobs.get(blob)!),
            resolveParams(op, node.params),
            node.weights,
            node.outputs.map((blob) => shapes.get(blob)!),
          );
    node.outputs.forEach((blob, i) => {
      blobs.set(blob, results[i]);
      observe?.(blob, results[i]);
    });
    for (const blob of node.inputs) {
      const left = readersLeft.get(blob)! - 1;
      readersLeft.set(blob, left);
      if (left === 0) blobs.delete(blob);
    }
  }
  return Object.fromEntries(outputs.map((blob) => [blob, blobs.get(blob)!]));
}

export const reference = {
  name: "reference",
  available: () => true,
  prepare: () => {},
  compile: async (graph, shapes, outputs) => {
    checkOutputs(graph, inferShapes(graph, ops, shapes), outputs);
    return { run: (inputs) => runReference(graph, inputs, outputs), memoryBytes: 0, close: () => {} };
  },
} as const satisfies Backend;
