/** What a session is fed and asked for. */
import { described, expectKind, isCalled } from "../base/arguments.ts";
import { GraphError } from "../base/errors.ts";
import { brief } from "../base/text.ts";
import type { Graph } from "../ir/graph.ts";
import { elementCount, formatShape, type Shape, type Tensor } from "../ir/tensor.ts";

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
    const count = elementCount(value.shape);
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

/** Throws GraphError for a blob that there is not. */
export function checkOutputs(
  graph: Graph,
  shapes: ReadonlyMap<string, Shape>,
  outputs: readonly string[],
): void {
  const unknown = outputs.find((blob) => !shapes.has(blob));
  if (unknown === undefined) return;
  throw new GraphError(`no blob "${unknown}"; the outputs are ${brief(graph.outputs.join(", "))}`);
}
