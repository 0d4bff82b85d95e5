import { lrnRegions } from "../../ops/lrn.ts";
import { largestLrnSize } from "../steps.ts";
import type { Layer } from "./layer.ts";

/** LRN across channels with the usual exponent of 3/4. */
export function lrn({ views, node, p, inputShapes: [shape] }: Layer): boolean {
  if (p.region_type !== lrnRegions.acrossChannels || p.beta !== 0.75) return false;
  if (shape[0] % 4 || p.local_size > largestLrnSize || views.isInteger(node.inputs[0])) return false;
  const input = views.whole(node.inputs[0]);
  input.order.fix();
  const output = views.value(node.outputs[0], input.channels, input.height, input.width);
  output.order.fix();
  const { local_size: size, alpha, bias } = p;
  const nodes = [node.name];
  views.add({ kind: "lrn", nodes, input, size, factor: alpha / size, bias, fused: [], output });
  views.setPicture(node.outputs[0], output);
  return true;
}
