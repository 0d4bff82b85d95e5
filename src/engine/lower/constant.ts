import { tensor } from "../../ir/tensor.ts";
import type { Layer } from "./layer.ts";

/** MemoryData holds its values, PriorBox's depend on shapes only: both are worked out now. */
export function constant({ views, node, op, p, inputShapes, outputShapes: [shape] }: Layer): boolean {
  const inputs = inputShapes.map((input) => tensor(input));
  const [result] = op.reference(inputs, p, node.weights, [shape]);
  const [blob] = node.outputs;
  const isMatrix = shape.length === 2 && inputs.length === 0;
  const value = isMatrix ? views.matrixValue(blob, shape) : views.dense(blob, shape);
  value.constant = result.data as Float32Array;
  if (isMatrix) views.setPicture(blob, value);
  else views.setDense(blob, value);
  return true;
}
