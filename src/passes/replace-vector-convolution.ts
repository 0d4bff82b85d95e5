/** A 1×1 convolution of a vector (what global pooling and InnerProduct give) → InnerProduct. */
import type { Graph, Node } from "../ir/graph.ts";
import { convolution } from "../ops/convolution.ts";
import { innerProduct } from "../ops/inner-product.ts";
import { eachNode } from "./_fold.ts";
import { isInt8 } from "./_linear.ts";
import { become, list, num } from "./_params.ts";
import type { Pass } from "./pass.ts";

/** Why a Convolution is not one of single pixels, or undefined. */
export function vectorObstacle(node: Node): string | undefined {
  if (isInt8(node)) return "is an int8 layer";
  if (num(node, "dynamic_weight")) return "takes its weights from other layers";
  if (num(node, "kernel_w") !== 1 || num(node, "kernel_h") !== 1) return "has a kernel larger than 1×1";
  const pads = ["pad_left", "pad_right", "pad_top", "pad_bottom"].map((name) => num(node, name));
  // Padding that is computed (SAME) is none for a kernel of one pixel.
  return pads.some((pad) => pad > 0) ? "has padding" : undefined;
}

/** The same weights and activation as a fully connected layer. */
export function becomeInnerProduct(node: Node): void {
  const { weights } = node;
  const names = ["num_output", "bias_term", "weight_data_size", "activation_type"];
  const params = Object.fromEntries(names.map((name) => [name, num(node, name)]));
  become(node, innerProduct, { ...params, activation_params: list(node, "activation_params") });
  node.weights = weights;
}

export const replaceVectorConvolution: Pass = {
  name: "replace-vector-convolution",
  run: (graph, log) =>
    eachNode(graph, [convolution], (node, wiring, sketches) => {
      if (sketches.get(node.inputs[0])?.rank !== 1) return;
      const obstacle = vectorObstacle(node);
      if (obstacle) {
        log?.(`"${node.name}" stays a convolution of a vector: it ${obstacle}`);
        return;
      }
      becomeInnerProduct(node);
      wiring.rewrote();
    }),
};

/**
 * The graph with 1×1 convolutions of vectors as InnerProduct, under the same names: native ncnn takes them for that in float
 * only. A copy where there are any.
 */
export function withoutVectorConvolutions(graph: Graph): Graph {
  const copy = graph.clone();
  return replaceVectorConvolution.run(copy) ? copy : graph;
}
