import { resolveAxis } from "../../ops/shapes.ts";
import { inputChannels, setOutputChannels } from "./_channels.ts";
import type { Layer } from "./layer.ts";

/** Slice along channels: each output some of the input's channels. */
export function sliceChannels(layer: Layer): boolean {
  const all = inputChannels(layer);
  return all !== undefined && setOutputChannels(layer, all);
}

/** Slice of a dense tensor: views into the same numbers. */
export function sliceDense({ views, node, p, outputShapes }: Layer): boolean {
  const [from] = node.inputs;
  if (views.isInteger(from)) return false;
  const view = views.strided(from);
  const axis = resolveAxis(p.axis, view.shape.length);
  let { offset } = view;
  node.outputs.forEach((blob, i) => {
    views.setView(blob, { ...view, shape: outputShapes[i], offset });
    offset += outputShapes[i][axis] * view.strides[axis];
  });
  return true;
}
