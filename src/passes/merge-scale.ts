/** BatchNorm → Scale, as Caffe models have it: one BatchNorm with another slope and bias. */
import { match, type Node } from "../ir/graph.ts";
import { f32Weight, weightToFloat32 } from "../ir/weight.ts";
import { batchNorm } from "../ops/batch-norm.ts";
import { bias as biasOp } from "../ops/bias.ts";
import { scale as scaleOp } from "../ops/scale.ts";
import { eachNode } from "./_fold.ts";
import type { Affine } from "./_linear.ts";
import type { Pass } from "./pass.ts";

/** A Scale with constant factors, or a Bias. */
export function scaleAffine(node: Node): Affine | undefined {
  const channels = match(node, scaleOp)?.scale_data_size ?? match(node, biasOp)?.bias_data_size;
  if (node.inputs.length !== 1 || channels === undefined) return undefined;
  const scale = node.weights.scale && weightToFloat32(node.weights.scale);
  const bias = node.weights.bias && weightToFloat32(node.weights.bias);
  return { channels, scale: (c) => scale?.[c] ?? 1, shift: (c) => bias?.[c] ?? 0 };
}

export const mergeScale: Pass = {
  name: "merge-scale",
  run: (graph) =>
    eachNode(graph, [batchNorm], (node, wiring) => {
      for (;;) {
        const reader = wiring.soleReader(node);
        const affine = reader && scaleAffine(reader);
        if (!affine) return;
        const { slope, bias } = node.weights;
        node.weights = {
          ...node.weights,
          slope: f32Weight(weightToFloat32(slope).map((value, c) => value * affine.scale(c))),
          bias: f32Weight(weightToFloat32(bias).map((value, c) => value * affine.scale(c) + affine.shift(c))),
        };
        wiring.absorb(node, reader);
      }
    }),
};
