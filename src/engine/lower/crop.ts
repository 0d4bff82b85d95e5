import { cropBox } from "../../ops/crop.ts";
import { inputChannels, setOutputChannels } from "./_channels.ts";
import type { Layer } from "./layer.ts";

/** Crop of channels only: some of the input's. */
export function cropChannels(layer: Layer): boolean {
  if (layer.node.inputs.length > 1) return false;
  const all = inputChannels(layer);
  if (!all) return false;
  return setOutputChannels(layer, all, cropBox(layer.inputShapes, layer.p as never).starts[0]);
}

/** Crop of a dense tensor: a view into the same numbers. */
export function cropDense({ views, node, p, inputShapes, outputShapes: [shape] }: Layer): boolean {
  const [from] = node.inputs;
  if (views.isInteger(from)) return false;
  const view = views.strided(from);
  const { starts } = cropBox(inputShapes, p as never);
  const offset = starts.reduce((sum, start, i) => sum + start * view.strides[i], view.offset);
  views.setView(node.outputs[0], { ...view, shape, offset });
  return true;
}
