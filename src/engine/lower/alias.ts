import type { Layer } from "./layer.ts";

/** Noop, Split, and Dropout that does nothing: other names of the input. */
export function alias({ views, node, p }: Layer): boolean {
  if (node.inputs.length === 0 || (node.type === "Dropout" && p.scale !== 1)) return false;
  for (const blob of node.outputs) views.setAlias(blob, node.inputs[0]);
  return true;
}
