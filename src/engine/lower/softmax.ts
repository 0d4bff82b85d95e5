import { elementCount } from "../../ir/tensor.ts";
import { resolveAxis } from "../../ops/shapes.ts";
import type { Layer } from "./layer.ts";

/** Softmax of the channels of every pixel. */
export function softmaxChannels({ views, node, p, inputShapes: [shape] }: Layer): boolean {
  const [from] = node.inputs;
  const [to] = node.outputs;
  if (views.isInteger(from)) return false;
  const axis = shape.length === 1 ? 0 : p.axis < 0 ? p.axis + shape.length : p.axis;
  if (axis !== 0 || (shape.length !== 1 && shape.length !== 3)) return false;
  const input = views.whole(from);
  input.order.fix();
  const output = views.value(to, input.channels, input.height, input.width);
  output.order.fix();
  views.add({ kind: "softmax", nodes: [node.name], input, output });
  views.setPicture(to, output);
  return true;
}

/** Softmax along the axis whose elements are the channels of a picture (or the columns of a matrix). */
export function softmaxRows({ views, node, p, inputShapes: [shape] }: Layer): boolean {
  if (views.isInteger(node.inputs[0])) return false;
  const axis = resolveAxis(p.axis, shape.length);
  const [to] = node.outputs;
  const view = views.strided(node.inputs[0]);
  const { value } = view;
  const isWhole =
    value.height * value.width > 1 && elementCount(shape) === value.channels * value.height * value.width;
  if (isWhole && view.strides[axis] === 1 && shape[axis] === value.channels) {
    const output = views.value(to, value.channels, value.height, value.width);
    output.order.fix();
    output.pinned = true;
    views.add({ kind: "softmax", nodes: [node.name], input: value, output });
    views.setView(to, { ...view, value: output });
    return true;
  }
  if (shape.length !== 2 || axis !== 1) return false;
  const output = views.matrixValue(to, shape);
  views.add({ kind: "softmax", nodes: [node.name], input: views.matrix(node.inputs[0]), output });
  views.setPicture(to, output);
  return true;
}
