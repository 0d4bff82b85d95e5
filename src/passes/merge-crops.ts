/** Crop → Crop of other axes: one box. Slices of several axes are exported one after the other. */
import type { Node } from "../ir/graph.ts";
import { eachNode } from "./_fold.ts";
import { list, setParams } from "./_params.ts";
import type { Pass } from "./pass.ts";

interface Cut {
  readonly axis: number;
  readonly start: number;
  readonly end: number;
}

/** What a Crop in the style of numpy cuts off each axis; nothing for other styles and for axes counted from the end. */
function cutsOf(node: Node): Cut[] | undefined {
  const [starts, ends, axes] = ["starts", "ends", "axes"].map((name) => list(node, name));
  const isComplete = axes.length > 0 && starts.length === axes.length && ends.length === axes.length;
  if (node.type !== "Crop" || node.inputs.length !== 1 || !isComplete || axes.some((axis) => axis < 0))
    return;
  return axes.map((axis, i) => ({ axis, start: starts[i], end: ends[i] }));
}

export const mergeCrops: Pass = {
  name: "merge-crops",
  run: (graph) =>
    eachNode(graph, ["Crop"], (first, wiring) => {
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
