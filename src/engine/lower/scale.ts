import { weightToFloat32 } from "../../ir/weight.ts";
import { scaleChannels } from "./_channelwise.ts";
import type { Layer } from "./layer.ts";

/** Scale with factors of its own. */
export function scale(layer: Layer): boolean {
  const { node, p } = layer;
  if (node.inputs.length !== 1) return false;
  const factor = weightToFloat32(node.weights.scale);
  return scaleChannels(layer, factor, p.bias_term ? weightToFloat32(node.weights.bias) : factor.map(() => 0));
}
