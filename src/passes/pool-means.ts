/**
 * The mean over the whole picture, as one Reduction or as one over w and another over h → global average Pooling, with a
 * Reshape behind it where the axes were kept. Adaptive pooling to one pixel that is flattened is global pooling, too.
 */
import { match, type Node } from "../ir/graph.ts";
import { flatten } from "../ops/flatten.ts";
import { pooling, poolingTypes } from "../ops/pooling.ts";
import { reduction, reductionTypes } from "../ops/reduction.ts";
import { reshape } from "../ops/reshape.ts";
import { eachNode } from "./_fold.ts";
import { become, num, setParams } from "./_params.ts";
import type { Wiring } from "./_wiring.ts";
import type { Pass } from "./pass.ts";

/** Axes of a plain mean over an input of that rank, sorted; undefined for other reductions. */
function meanAxes(node: Node, rank: number): number[] | undefined {
  const p = match(node, reduction);
  if (!p || reductionTypes[p.operation] !== "mean" || p.reduce_all || p.coeff !== 1) return undefined;
  const axes = p.axes.map((axis) => (axis < 0 ? axis + rank : axis));
  return axes.sort((a, b) => a - b);
}

const pictureAxes = "1,2";

/** The second of two reductions that together reduce height and width, or undefined. */
function secondMean(first: Node, wiring: Wiring): Node | undefined {
  const firstAxes = meanAxes(first, 3);
  const second = wiring.soleReader(first);
  if (!second || firstAxes?.length !== 1 || num(first, "keepdims") !== num(second, "keepdims"))
    return undefined;
  const kept = num(first, "keepdims") !== 0;
  const secondAxes = meanAxes(second, kept ? 3 : 2)?.map((axis) =>
    !kept && axis >= firstAxes[0] ? axis + 1 : axis,
  );
  const both = [...firstAxes, ...(secondAxes ?? [])].sort((a, b) => a - b);
  return String(both) === pictureAxes ? second : undefined;
}

function replaceMean(node: Node, wiring: Wiring): void {
  const second = secondMean(node, wiring);
  if (String(meanAxes(node, 3)) !== pictureAxes && !second) return;
  const keepsAxes = num(node, "keepdims") !== 0;
  if (second) {
    wiring.absorb(node, second);
    node.name = second.name;
  } else wiring.rewrote();
  become(node, pooling, { pooling_type: poolingTypes.average, global_pooling: 1 });
  if (keepsAxes) appendReshape(node, wiring);
}

function replaceAdaptive(node: Node, wiring: Wiring): void {
  const p = match(node, pooling);
  const reader = wiring.soleReader(node);
  if (!p?.adaptive_pooling || p.out_w !== 1 || p.out_h !== 1 || !reader || !match(reader, flatten)) return;
  wiring.absorb(node, reader);
  become(node, pooling, { pooling_type: p.pooling_type, global_pooling: 1 });
}

function poolingMeans(accepts: (node: Node, wiring: Wiring) => boolean): Pass {
  return {
    name: "pool-means",
    run: (graph) =>
      eachNode(graph, [reduction], (node, wiring, sketches) => {
        if (sketches.get(node.inputs[0])?.rank === 3 && accepts(node, wiring)) replaceMean(node, wiring);
      }),
  };
}

const plainMeans = poolingMeans(() => true);
export const poolMeans: Pass = {
  name: plainMeans.name,
  run: (graph, log) =>
    plainMeans.run(graph, log) +
    eachNode(graph, [pooling], (node, wiring, sketches) => {
      if (sketches.get(node.inputs[0])?.rank === 3) replaceAdaptive(node, wiring);
    }),
};
/** Only what ncnnoptimize knows: two reductions that drop their axes. */
export const poolOfficialMeans = poolingMeans(
  (node, wiring) => secondMean(node, wiring) !== undefined && num(node, "keepdims") === 0,
);

function appendReshape(node: Node, wiring: Wiring): void {
  const [blob] = node.outputs;
  const vector = `${blob}_vector`;
  const toPixel: Node = {
    type: reshape.type,
    name: `${node.name}_keepdims`,
    inputs: [vector],
    outputs: [blob],
    params: {},
    weights: {},
  };
  setParams(toPixel, { w: 1, h: 1, c: -1 });
  wiring.setOutput(node, vector);
  wiring.insertBehind(node, toPixel);
}
