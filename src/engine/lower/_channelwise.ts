/** One factor and one summand for every channel of a picture. */
import { pointAxis } from "../windows.ts";
import type { Layer } from "./layer.ts";

/** x·factor + bias as the step before stores its results, else as a depthwise convolution with one weight a channel. */
export function scaleChannels(
  { views, node, inputShapes: [shape] }: Layer,
  factor: Float32Array,
  bias: Float32Array,
): boolean {
  const [from] = node.inputs;
  if (shape.length !== 3 || views.isInteger(from)) return false;
  const producer = views.fusable(from);
  if (producer) return views.fuse(producer, node, { kind: "scale", factor, bias });
  const input = views.whole(from);
  const output = views.value(node.outputs[0], input.channels, input.height, input.width);
  output.order.tie(input.order);
  views.add({
    kind: "depthwise",
    nodes: [node.name],
    input,
    weight: factor,
    bias,
    y: pointAxis(input.height),
    x: pointAxis(input.width),
    int8: undefined,
    fused: [],
    output,
  });
  views.setPicture(node.outputs[0], output);
  return true;
}
