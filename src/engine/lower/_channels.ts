/** Layers along channels: their outputs are new lists of references to the channels of their inputs. */
import type { PictureView } from "../values.ts";
import type { Layer } from "./layer.ts";

/** The channels of all inputs, one input after the other; undefined where the layer works along other axes. */
export function inputChannels({ views, node, inputShapes, outputShapes }: Layer): PictureView | undefined {
  const [first] = inputShapes;
  const alongChannels = [...inputShapes, ...outputShapes].every(
    (shape) =>
      shape.length === first.length &&
      (shape.length === 1 || (shape.length === 3 && shape[1] === first[1] && shape[2] === first[2])),
  );
  if (!alongChannels) return undefined;
  // Long vectors are not taken apart into single channels.
  if (first.length === 1 && node.inputs.some((blob) => views.view(blob).kind === "dense")) return undefined;
  const pictures = node.inputs.map((blob) => views.picture(blob));
  if (new Set(pictures.map((view) => view.int8Scale)).size > 1) return undefined;
  return { ...pictures[0], channels: pictures.flatMap((view) => [...view.channels]) };
}

/** Gives every output its number of channels, one output after the other, from channel `start` on. */
export function setOutputChannels({ views, node, outputShapes }: Layer, all: PictureView, start = 0): true {
  let at = start;
  node.outputs.forEach((blob, i) => {
    const [count] = outputShapes[i];
    views.setView(blob, { ...all, channels: all.channels.slice(at, at + count) });
    at += count;
  });
  return true;
}
