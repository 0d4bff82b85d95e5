/**
 * Everything that limits values to an interval (ReLU, Clip, maximum and minimum with a constant), in one spelling, and one
 * after the other as one: clip(relu(x), -1, 6) = clip(x, 0, 6); max(x, 0) = clip(x, 0, ∞) = relu(x).
 */
import { match, type Node, opOf, paramsOf } from "../ir/graph.ts";
import { binaryOp } from "../ops/binary-op.ts";
import { clip, largest } from "../ops/clip.ts";
import { ops } from "../ops/index.ts";
import { relu } from "../ops/relu.ts";
import { eachNode } from "./_fold.ts";
import { arithmetic, become } from "./_params.ts";
import type { Pass } from "./pass.ts";

type Interval = readonly [low: number, high: number];

function intervalOf(node: Node): Interval | undefined {
  const activation = opOf(node, ops).activation?.(paramsOf(node, ops));
  if (activation?.kind === "relu") return [0, largest];
  if (activation?.kind === "clip") return [activation.min, activation.max];
  const { operator, scalar } = arithmetic(node) ?? {};
  if (scalar === undefined) return undefined;
  if (operator === "max") return [scalar, largest];
  if (operator === "min") return [-largest, scalar];
  return undefined;
}

const clamp = (x: number, [low, high]: Interval): number => Math.min(Math.max(x, low), high);

/** Writes the interval in its usual form; false where the node has that form already. */
function writeInterval(node: Node, [low, high]: Interval): boolean {
  if (low === 0 && high >= largest) {
    if (match(node, relu)) return false;
    become(node, relu);
    return true;
  }
  const clipped = match(node, clip);
  if (clipped?.min === low && clipped.max === high) return false;
  become(node, clip, { min: low, max: high });
  return true;
}

export const mergeClips: Pass = {
  name: "merge-clips",
  run: (graph) =>
    eachNode(graph, [relu, clip, binaryOp], (node, wiring) => {
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
