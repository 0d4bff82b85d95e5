import { paddingTypes } from "../../ops/padding.ts";
import type { Layer } from "./layer.ts";

/** Padding with zeros, around the picture or behind its channels. */
export function padding({ views, node, p, inputShapes: [shape], outputShapes: [to] }: Layer): boolean {
  if (shape.length !== 3 || p.type !== paddingTypes.constant) return false;
  if (p.value !== 0 || p.per_channel_pad_data_size || p.front) return false;
  const input = views.picture(node.inputs[0]);
  const output = views.value(node.outputs[0], to[0], to[1], to[2]);
  const frame = { top: p.top, left: p.left, stepY: 1, stepX: 1 };
  views.add({ kind: "gather", nodes: [node.name], input, scaleY: 1, scaleX: 1, frame, output });
  views.setPicture(node.outputs[0], output, input.int8Scale);
  return true;
}
