/**
 * A vector made a picture of one pixel (Reshape to 1×1×C) only for a 1×1 convolution or an activation that follows: these
 * work on the vector itself (a convolution as InnerProduct), and the Reshape moves behind them, where it mostly vanishes.
 */
import { match, type Node, opOf } from "../ir/graph.ts";
import { convolution } from "../ops/convolution.ts";
import { ops } from "../ops/index.ts";
import { absent, reshape } from "../ops/reshape.ts";
import { eachNode } from "./_fold.ts";
import { setParams } from "./_params.ts";
import type { Sketch } from "./_sketch.ts";
import type { Wiring } from "./_wiring.ts";
import type { Pass } from "./pass.ts";
import { becomeInnerProduct, vectorObstacle } from "./replace-vector-convolution.ts";

/** A Reshape that turns a vector into channels of one pixel. */
export function isPixelReshape(node: Node | undefined, sketches: ReadonlyMap<string, Sketch>): node is Node {
  const p = match(node, reshape);
  if (!node || !p || p.shape_expr || sketches.get(node.inputs[0])?.rank !== 1) return false;
  return p.w === 1 && p.h === 1 && p.d === absent && p.c !== absent;
}

/** Swaps the Reshape and its reader: the blob between them becomes a vector. */
function sink(toPixel: Node, reader: Node, wiring: Wiring): void {
  const [vector] = toPixel.inputs;
  const [middle] = toPixel.outputs;
  const [result] = reader.outputs;
  wiring.setInputs(reader, [vector]);
  wiring.setInputs(toPixel, [middle]);
  wiring.setOutput(reader, middle);
  wiring.setOutput(toPixel, result);
  wiring.moveBehind(reader, toPixel);
  setParams(toPixel, { c: -1 });
  wiring.rewrote();
}

export const sinkVectorReshape: Pass = {
  name: "sink-vector-reshape",
  run: (graph) =>
    eachNode(graph, [reshape], (toPixel, wiring, sketches) => {
      if (!isPixelReshape(toPixel, sketches)) return;
      for (;;) {
        const reader = wiring.soleReader(toPixel);
        if (!reader) return;
        const isPixelwise = match(reader, convolution) !== undefined && !vectorObstacle(reader);
        if (!isPixelwise && !opOf(reader, ops).pointwise) return;
        if (isPixelwise) becomeInnerProduct(reader);
        sink(toPixel, reader, wiring);
      }
    }),
};
