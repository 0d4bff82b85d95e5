import type { Layer } from "./layer.ts";

/** A blob that the caller feeds, dense. */
export function input({ views, node, outputShapes: [shape] }: Layer): boolean {
  const [blob] = node.outputs;
  const value = views.dense(blob, shape);
  views.inputs.set(blob, { value, shape });
  views.setDense(blob, value);
  return true;
}
