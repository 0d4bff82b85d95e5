import { elementCount } from "../../ir/tensor.ts";
import { weightToFloat32 } from "../../ir/weight.ts";
import { type PictureView, pictureOf } from "../values.ts";
import { fullAxis } from "../windows.ts";
import { addConvolutions, biasOf, fusedBy, weightsOf } from "./_convolve.ts";
import { addLinear } from "./_linear.ts";
import type { Layer } from "./layer.ts";
import type { Views } from "./views.ts";

/** A convolution whose window is all of the picture. */
export function innerProduct(layer: Layer): boolean {
  const { views, node, inputShapes } = layer;
  if (inputShapes[0].length === 2) return false;
  const input = flattenedPicture(views, node.inputs[0]);
  const axes = { y: fullAxis(input.height), x: fullAxis(input.width) };
  addConvolutions(layer, input, axes, weightsOf(layer, input, 1), { group: 1, roundOnce: false });
  return true;
}

/** The picture whose flattening a fully connected layer reads. */
function flattenedPicture(views: Views, blob: string): PictureView {
  const view = views.view(blob);
  if (view.kind === "picture") return view;
  // A flattened picture in natural order: go back to the picture instead of copying it.
  const { value } = view;
  const isPlain = value.height * value.width === 1 || view.shape.length === 1;
  const whole = isPlain && elementCount(view.shape) === value.channels * value.height * value.width;
  const expected = [1, value.width * value.slotCount, value.slotCount];
  if (
    whole &&
    value.height * value.width > 1 &&
    view.shape.length === 3 &&
    view.strides.every((s, i) => s === expected[i])
  ) {
    return pictureOf(value);
  }
  return pictureOf(views.linear(blob));
}

/** On every row of a matrix. */
export function innerProductRows(layer: Layer): boolean {
  const { views, node, p, inputShapes } = layer;
  if (inputShapes.length !== 1 || inputShapes[0].length !== 2) return false;
  const isByRow = p.weight_data_size === p.num_output * inputShapes[0][1];
  if (!isByRow || p.int8_scale_term) return false;
  const weight = weightToFloat32(node.weights.weight);
  const bias = biasOf(layer);
  const input = views.matrix(node.inputs[0]);
  const [to] = node.outputs;
  views.setPicture(to, addLinear(layer, to, input, weight, bias, fusedBy(p)));
  return true;
}
