/** Crop → Crop of other axes: one box. Slices of several axes are exported one after the other. */
import { match, type Node } from "../ir/graph.ts";
import { crop } from "../ops/crop.ts";
import { eachNode } from "./_fold.ts";
import { setParams } from "./_params.ts";
import type { Pass } from "./pass.ts";

interface Cut {
  readonly axis: number;
  readonly start: number;
  readonly end: number;
}

/** What a Crop in the style of numpy cuts off each axis; nothing for other styles and for axes counted from the end. */
function cutsOf(node: Node): Cut[] | undefined {
  const p = match(node, crop);
  if (!p || node.inputs.length !== 1) return undefined;
  const { starts, ends, axes } = p;
  const isComplete = axes.length > 0 && starts.length === axes.length && ends.length === axes.length;
  if (!isComplete || axes.some((axis) => axis < 0)) return undefined;
  return axes.map((axis, i) => ({ axis, start: starts[i], end: ends[i] }));
}

export const mergeCrops: Pass = {
  name: "merge-crops",
  run: (graph) =>
    eachNode(graph, [crop], (first, wiring) => {
      for (;;) {
        const second = wiring.soleReader(first);
        const [before, after] = [first, second].map((node) => node && cutsOf(node));
        if (!second || !before || !after) return;
        const cuts = [...before, ...after].sort((a, b) => a.axis - b.axis);
        if (new Set(cuts.map(({ axis }) => axis)).size < cuts.length) return;
        setParams(first, {
          starts: cuts.map(({ start }) => start),
          ends: cuts.map(({ end }) => end),
          axes: cuts.map(({ axis }) => axis),
        });
        wiring.absorb(first, second);
      }
    }),
};
