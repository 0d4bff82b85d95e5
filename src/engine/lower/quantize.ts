import { UnsupportedError } from "../../base/errors.ts";
import type { Node } from "../../ir/graph.ts";
import { weightToFloat32 } from "../../ir/weight.ts";
import type { Layer } from "./layer.ts";

/** Quantize: the same numbers, to be read as integers. */
export function quantize({ views, node, p, inputShapes: [shape] }: Layer): boolean {
  if (p.scale_data_size !== 1) throw unsupported(node);
  const [from] = node.inputs;
  if (views.isInteger(from) || ![1, 3].includes(shape.length)) return false;
  const int8Scale = weightToFloat32(node.weights.scale)[0];
  views.setView(node.outputs[0], { ...views.picture(from), int8Scale });
  return true;
}

export function requantize({ node }: Layer): boolean {
  throw unsupported(node);
}

function unsupported({ type, name }: Node): UnsupportedError {
  return new UnsupportedError(
    `node ${type} "${name}": only Quantize layers with one scale run here; use the reference backend`,
  );
}
