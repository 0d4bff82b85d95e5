import { aroundAxis, resolveAxis } from "../../ops/shapes.ts";
import type { JoinStep } from "../steps.ts";
import type { DenseView } from "../values.ts";
import { inputChannels, setOutputChannels } from "./_channels.ts";
import type { Layer } from "./layer.ts";

/** Concat along channels: the channels of one input after those of the other. */
export function concatChannels(layer: Layer): boolean {
  const all = inputChannels(layer);
  return all !== undefined && setOutputChannels(layer, all);
}

/** More copies than this are better done by one loop. */
const mostParts = 64;

/** Concat of dense tensors along any axis: each input is copied to its places. */
export function concatDense({ views, node, p, outputShapes: [shape] }: Layer): boolean {
  if (node.inputs.some((blob) => views.isInteger(blob))) return false;
  const axis = resolveAxis(p.axis, shape.length);
  const { outer, extent, inner } = aroundAxis(shape, axis);
  if (outer * node.inputs.length > mostParts) return false;
  const parts: JoinStep["parts"][number][] = [];
  let start = 0;
  for (const blob of node.inputs) {
    const view = views.strided(blob);
    for (let o = 0; o < outer; o++) {
      parts.push({ view: fixLeading(view, axis, o), at: o * extent * inner + start });
    }
    start += view.shape[axis] * inner;
  }
  const output = views.dense(node.outputs[0], shape);
  views.add({ kind: "join", nodes: [node.name], parts, output });
  views.setDense(node.outputs[0], output);
  return true;
}

/** The part of a tensor at one place of its leading axes, those before `axis`. */
function fixLeading(view: DenseView, axis: number, place: number): DenseView {
  let { offset } = view;
  let rest = place;
  for (let a = axis - 1; a >= 0; a--) {
    offset += (rest % view.shape[a]) * view.strides[a];
    rest = Math.floor(rest / view.shape[a]);
  }
  return { ...view, offset, shape: view.shape.slice(axis), strides: view.strides.slice(axis) };
}
