/**
 * Storage of the large ("tagged") weights. Biases, normalisation and int8 data are float32 in the format, whatever the rest
 * is, and layers marked int8 are left alone: their float weights would be quantized from other values.
 *
 * float32 → float16 rounds to the nearest, ties to even, and keeps subnormals, on every machine. The official tool rounds
 * or truncates depending on the CPU and the position in the block, so files of the two may differ in the last bit.
 */
import { float32ToFp16Array } from "../base/fp16.ts";
import { type Graph, type Node, paramsOf } from "../ir/graph.ts";
import { f32Weight, type Weight, weightToFloat32 } from "../ir/weight.ts";
import { ops } from "../ops/index.ts";
import { isInt8 } from "./_linear.ts";
import type { Pass } from "./pass.ts";

const largestHalf = 65504;

/** Replaces tagged weights of float layers; `change` returns undefined for those that stay. */
function changeStorage(
  graph: Graph,
  change: (weight: Weight, node: Node, name: string) => Weight | undefined,
): number {
  let count = 0;
  for (const node of graph.nodes) {
    if (isInt8(node)) continue;
    for (const { name, kind } of ops.get(node.type)?.weights?.(paramsOf(node, ops)) ?? []) {
      const changed = kind === "tagged" ? change(node.weights[name], node, name) : undefined;
      if (!changed) continue;
      node.weights = { ...node.weights, [name]: changed };
      count++;
    }
  }
  return count;
}

/** float32 → float16. Weights with a value that float16 cannot hold stay float32. */
export const storeFp16: Pass = {
  name: "store-fp16",
  run: (graph, log) =>
    changeStorage(graph, (weight, node, name) => {
      if (weight.storage !== "f32") return undefined;
      const tooLarge = weight.data.find((value) => Math.abs(value) > largestHalf && Number.isFinite(value));
      if (tooLarge !== undefined) {
        log?.(`${name} of ${node.type} "${node.name}" stays float32: ${tooLarge} is beyond float16`);
        return undefined;
      }
      return { storage: "f16", data: float32ToFp16Array(weight.data) };
    }),
};

/** float16 and codebook → float32, exactly. */
export const storeFp32: Pass = {
  name: "store-fp32",
  run: (graph) =>
    changeStorage(graph, (weight) =>
      weight.storage === "f16" || weight.storage === "codebook"
        ? f32Weight(weightToFloat32(weight))
        : undefined,
    ),
};
