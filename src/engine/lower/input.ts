import type { Layer } from "./layer.ts";

/** A blob that the caller feeds: dense, or a picture that is made of pixels, in natural order. */
export function input({ views, node, outputShapes: [shape] }: Layer): boolean {
  const [blob] = node.outputs;
  if (blob === views.placedBlob) {
    const [channels, height, width] = shape;
    views.placed = views.value(blob, channels, height, width);
    views.placed.order.fix();
    views.setPicture(blob, views.placed);
    return true;
  }
  const value = views.dense(blob, shape);
  views.inputs.set(blob, { value, shape });
  views.setDense(blob, value);
  return true;
}
