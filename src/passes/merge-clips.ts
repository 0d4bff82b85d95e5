/**
 * Everything that limits values to an interval (ReLU, Clip, maximum and minimum with a constant), in one spelling, and one
 * after the other as one: clip(relu(x), -1, 6) = clip(x, 0, 6); max(x, 0) = clip(x, 0, ∞) = relu(x).
 */
import type { Node } from "../ir/graph.ts";
import { binaryOpTypes } from "../ops/binary-op.ts";
import { eachNode } from "./_fold.ts";
import { become, num } from "./_params.ts";
import type { Pass } from "./pass.ts";

const largest = 3.4028234663852886e38;
type Interval = readonly [low: number, high: number];

function intervalOf(node: Node): Interval | undefined {
  if (node.type === "ReLU") return num(node, "slope") === 0 ? [0, largest] : undefined;
  if (node.type === "Clip") return [num(node, "min"), num(node, "max")];
  if (node.type !== "BinaryOp" || !num(node, "with_scalar")) return undefined;
  const operation = binaryOpTypes[num(node, "op_type")];
  if (operation === "max") return [num(node, "b"), largest];
  if (operation === "min") return [-largest, num(node, "b")];
  return undefined;
}

const clamp = (x: number, [low, high]: Interval): number => Math.min(Math.max(x, low), high);

/** Writes the interval in its usual form; false where the node has that form already. */
function writeInterval(node: Node, [low, high]: Interval): boolean {
  const isRelu = low === 0 && high >= largest;
  if (
    isRelu
      ? node.type === "ReLU"
      : node.type === "Clip" && num(node, "min") === low && num(node, "max") === high
  ) {
    return false;
  }
  if (isRelu) become(node, "ReLU");
  else become(node, "Clip", { min: low, max: high });
  return true;
}

export const mergeClips: Pass = {
  name: "merge-clips",
  run: (graph) =>
    eachNode(graph, ["ReLU", "Clip", "BinaryOp"], (node, wiring) => {
      let interval = intervalOf(node);
      if (!interval || interval[0] > interval[1]) return;
      for (;;) {
        const reader = wiring.soleReader(node);
        const next: Interval | undefined = reader && intervalOf(reader);
        if (!reader || !next || next[0] > next[1]) break;
        interval = [clamp(interval[0], next), clamp(interval[1], next)];
        wiring.absorb(node, reader);
      }
      if (writeInterval(node, interval)) wiring.rewrote();
    }),
};
