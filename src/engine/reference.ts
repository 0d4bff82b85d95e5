/** The reference backend: runs a graph node by node on the plain kernels of `ops/`. Slow, and the definition of right. */

import { described, expectKind, isCalled } from "../base/arguments.ts";
import { GraphError } from "../base/errors.ts";
import { brief } from "../base/text.ts";
import { type Graph, inferShapes, opOf } from "../ir/graph.ts";
import { resolveParams } from "../ir/op.ts";
import { formatShape, type Shape, type Tensor } from "../ir/tensor.ts";
import { ops } from "../ops/index.ts";

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
  for (const blob of outputs) {
    if (!shapes.has(blob)) {
      throw new GraphError(`no blob "${blob}"; the outputs are ${brief(graph.outputs.join(", "))}`);
    }
  }
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

/** The shapes of the fed blobs; an error names the inputs that there are. */
export function checkInputs(graph: Graph, inputs: Record<string, Tensor>): Record<string, Shape> {
  expectKind("run: inputs", inputs, "an object");
  const expected = graph.inputs;
  const shapes: Record<string, Shape> = {};
  for (const name of expected) {
    const value = inputs[name];
    if (!value) {
      throw new GraphError(`input "${name}" is missing; the inputs are ${brief(expected.join(", "))}`);
    }
    if (!Array.isArray(value.shape) || !isCalled(value.data, "Float32Array", "Int8Array")) {
      throw new GraphError(
        `input "${name}": expected { shape, data } with a Float32Array, found shape ${described(value.shape)} and data ${described(value.data)}`,
      );
    }
    const count = value.shape.reduce((a, b) => a * b, 1);
    if (count !== value.data.length) {
      throw new GraphError(
        `input "${name}": shape ${formatShape(value.shape)} calls for ${count} values, found ${value.data.length}`,
      );
    }
    shapes[name] = value.shape;
  }
  const surplus = Object.keys(inputs).find((name) => !expected.includes(name));
  if (surplus !== undefined) {
    throw new GraphError(`no input "${surplus}"; the inputs are ${brief(expected.join(", "))}`);
  }
  return shapes;
}
