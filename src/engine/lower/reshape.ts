import { reshapeStrides } from "./_strides.ts";
import type { Layer } from "./layer.ts";

/** Reshape, Flatten, Squeeze, ExpandDims: new strides over the same numbers, where strides can say it. */
export function reshape({ views, node, outputShapes: [shape] }: Layer): boolean {
  const [from] = node.inputs;
  const [to] = node.outputs;
  const view = views.view(from);
  // A picture of one pixel flattens to itself.
  if (view.kind === "picture" && view.height * view.width === 1 && shape.length === 1) {
    views.setView(to, { ...view, rank: 1 });
    return true;
  }
  const strides = reshapeStrides(views.strided(from), shape);
  if (strides) views.setView(to, { ...views.strided(from), shape, strides });
  else views.setDense(to, views.linear(from));
  return true;
}
