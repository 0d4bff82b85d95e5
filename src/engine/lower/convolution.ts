import { type WindowParams, windowAxes } from "../../ops/windows.ts";
import { withTakenSteps } from "../windows.ts";
import { addConvolutions, topScale, weightsOf } from "./_convolve.ts";
import { innerProduct } from "./inner-product.ts";
import type { Layer } from "./layer.ts";

export function convolution(layer: Layer): boolean {
  const { views, node, p, inputShapes } = layer;
  // One of a vector is a fully connected layer.
  if (inputShapes[0].length === 1) return innerProduct(layer);
  if (inputShapes[0].length !== 3) return false;
  const input = views.picture(node.inputs[0]);
  const axes = withTakenSteps(windowAxes(inputShapes[0], p as unknown as WindowParams));
  const how = { group: 1, roundOnce: true, requantized: topScale(layer) };
  addConvolutions(layer, input, axes, weightsOf(layer, input, 1), how);
  return true;
}
