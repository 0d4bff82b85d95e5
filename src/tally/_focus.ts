/** Where in a picture a network sees something, by what it made of it. */
import { type Focus, FocusMap, noFocus } from "../quantize/index.ts";
import type { Output } from "./tally.ts";

/** The map of the picture; of all places alike without a focus. */
export function focusMapOf(focus: Focus | undefined, { inputs, values }: Output): FocusMap {
  if (!focus) return noFocus;
  const [, height, width] = Object.values(inputs)[0].shape;
  return new FocusMap(focus.regions(values, { width, height }));
}
