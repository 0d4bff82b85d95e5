/**
 * A vector made a picture of one pixel (Reshape to 1×1×C) only for a 1×1 convolution or an activation that follows: these
 * work on the vector itself (a convolution as InnerProduct), and the Reshape moves behind them, where it mostly vanishes.
 */
import type { Node } from "../ir/graph.ts";
import { eachNode } from "./_fold.ts";
import { num, setParams } from "./_params.ts";
import type { Sketch } from "./_sketch.ts";
import type { Wiring } from "./_wiring.ts";
import type { Pass } from "./pass.ts";
import { becomeInnerProduct, vectorObstacle } from "./replace-vector-convolution.ts";

const elementwise: ReadonlySet<string> = new Set(
  "Clip ELU GELU HardSigmoid HardSwish Mish ReLU SELU Sigmoid Swish TanH UnaryOp".split(" "),
);

/** A Reshape that turns a vector into channels of one pixel. */
export function isPixelReshape(node: Node | undefined, sketches: ReadonlyMap<string, Sketch>): node is Node {
  return (
    node?.type === "Reshape" &&
    !node.params.shape_expr &&
    sketches.get(node.inputs[0])?.rank === 1 &&
    num(node, "w") === 1 &&
    num(node, "h") === 1 &&
    num(node, "d") === -233 &&
    num(node, "c") !== -233
  );
}

/** Swaps the Reshape and its reader: the blob between them becomes a vector. */
function sink(reshape: Node, reader: Node, wiring: Wiring): void {
  const [vector] = reshape.inputs;
  const [middle] = reshape.outputs;
  const [result] = reader.outputs;
  wiring.setInputs(reader, [vector]);
  wiring.setInputs(reshape, [middle]);
  wiring.setOutput(reader, middle);
  wiring.setOutput(reshape, result);
  wiring.moveBehind(reader, reshape);
  setParams(reshape, { c: -1 });
  wiring.rewrote();
}

export const sinkVectorReshape: Pass = {
  name: "sink-vector-reshape",
  run: (graph) =>
    eachNode(graph, ["Reshape"], (reshape, wiring, sketches) => {
      if (!isPixelReshape(reshape, sketches)) return;
      for (;;) {
        const reader = wiring.soleReader(reshape);
        if (!reader) return;
        const isPointwise = reader.type === "Convolution" && !vectorObstacle(reader);
        if (!isPointwise && !elementwise.has(reader.type)) return;
        if (isPointwise) becomeInnerProduct(reader);
        sink(reshape, reader, wiring);
      }
    }),
};
