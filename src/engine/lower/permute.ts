import { permutation } from "../../ops/permute.ts";
import type { Layer } from "./layer.ts";

/** Permute: the strides in another order. */
export function permute({ views, node, p, outputShapes: [shape] }: Layer): boolean {
  const view = views.strided(node.inputs[0]);
  if (view.shape.length > 4) return false;
  const axes = permutation(p.order_type, view.shape.length);
  views.setView(node.outputs[0], { ...view, shape, strides: axes.map((axis) => view.strides[axis]) });
  return true;
}
