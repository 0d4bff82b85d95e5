import { batchNormAffine } from "../../ops/batch-norm.ts";
import { pointAxis } from "../windows.ts";
import type { Layer } from "./layer.ts";

/** BatchNorm of a picture: a depthwise convolution with one weight a channel. */
export function batchNorm({ views, node, p, inputShapes: [shape] }: Layer): boolean {
  if (shape.length !== 3 || views.isInteger(node.inputs[0])) return false;
  const { scale, bias } = batchNormAffine(node.weights, p.eps);
  const input = views.whole(node.inputs[0]);
  const output = views.value(node.outputs[0], input.channels, input.height, input.width);
  output.order.tie(input.order);
  views.add({
    kind: "depthwise",
    nodes: [node.name],
    input,
    weight: Float32Array.from(scale),
    bias: Float32Array.from(bias),
    y: pointAxis(input.height),
    x: pointAxis(input.width),
    int8: undefined,
    fused: [],
    output,
  });
  views.setPicture(node.outputs[0], output);
  return true;
}
