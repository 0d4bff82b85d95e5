import { type WindowParams, windowAxes } from "../../ops/windows.ts";
import { pictureOf, wholeValue } from "../values.ts";
import { withTakenSteps } from "../windows.ts";
import { addConvolutions, fusedBy, padded, topScale, weightsOf } from "./_convolve.ts";
import type { Layer } from "./layer.ts";

/** Grouped convolution: a depthwise step where each group is one channel, else a dense one for each group. */
export function convolutionDepthWise(layer: Layer): boolean {
  const { views, node, p, inputShapes } = layer;
  if (inputShapes[0].length !== 3) return false;
  const [from] = node.inputs;
  const [to] = node.outputs;
  const { group } = p;
  const input = views.picture(from);
  const axes = withTakenSteps(windowAxes(inputShapes[0], p as unknown as WindowParams));
  const weights = weightsOf(layer, input, group);
  const requantized = topScale(layer);
  if (group !== input.channels.length || group !== p.num_output) {
    addConvolutions(layer, input, axes, weights, { group, roundOnce: true, requantized });
    return true;
  }
  // The step reads a whole value, free to have a border where there is padding.
  const whole = wholeValue(input) ? input : pictureOf(views.gather(input, `${from}.gathered`));
  const source = wholeValue(padded(layer, whole, axes))!;
  const output = views.value(to, group, axes.y.output, axes.x.output);
  output.order.tie(source.order);
  const nodes = [node.name];
  views.add({ kind: "depthwise", nodes, input: source, ...weights, ...axes, fused: fusedBy(p), output });
  views.setPicture(to, output, requantized);
  return true;
}
