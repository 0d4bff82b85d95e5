/**
 * Space to depth (Reorg, YoloV5Focus: the Focus of YOLOv5 ≤ 5.0) → Convolution k×k becomes one convolution r·k × r·k of
 * stride r·s: channel (sh, sw, q) at (y, x) of the first is pixel (r·y + sh, r·x + sw) of channel q. Exactly equal weights in another
 * order. Where the input's extents are no multiple of r, Reorg drops the last rows and columns and the convolution reads
 * padding there; the merged one sees them, so the last row and column of the result may differ. Detector inputs are
 * multiples of 32.
 */
import { float32ToFp16Array } from "../base/fp16.ts";
import { match, type Node, opOf, paramsOf } from "../ir/graph.ts";
import type { Op } from "../ir/op.ts";
import { f32Weight, weightToFloat32 } from "../ir/weight.ts";
import { convolution } from "../ops/convolution.ts";
import { allOps, ops } from "../ops/index.ts";
import { eachNode } from "./_fold.ts";
import { isInt8 } from "./_linear.ts";
import { num, setParams } from "./_params.ts";
import type { Pass } from "./pass.ts";

/** Why the convolution cannot read the pixels themselves, or undefined. */
function obstacle(node: Node): string | undefined {
  if (!match(node, convolution)) return `${node.type} "${node.name}" reads it`;
  if (isInt8(node)) return `"${node.name}" is an int8 layer`;
  if (num(node, "dynamic_weight")) return `"${node.name}" takes its weights from other layers`;
  if (num(node, "dilation_w") !== 1 || num(node, "dilation_h") !== 1) return `"${node.name}" is dilated`;
  const pads = ["pad_left", "pad_right", "pad_top", "pad_bottom"].map((name) => num(node, name));
  return pads.some((pad) => pad < 0)
    ? `"${node.name}" has padding that depends on the input's size`
    : undefined;
}

type Blocks = ReturnType<NonNullable<Op["blocks"]>>;

/** Weights `[outputs, r·r·channels, kh, kw]` as `[outputs, channels, r·kh, r·kw]`. */
function unfoldWeights(node: Node, { size: r, source }: Blocks): Float32Array {
  const from = weightToFloat32(node.weights.weight);
  const to = new Float32Array(from.length);
  const [outputs, kh, kw] = [num(node, "num_output"), num(node, "kernel_h"), num(node, "kernel_w")];
  const folded = from.length / (outputs * kh * kw);
  const channels = folded / (r * r);
  let i = 0;
  for (let k = 0; k < outputs; k++) {
    for (let c = 0; c < folded; c++) {
      const pixel = source(c, channels);
      for (let y = 0; y < kh; y++) {
        for (let x = 0; x < kw; x++) {
          to[((k * channels + pixel.channel) * r * kh + r * y + pixel.y) * r * kw + r * x + pixel.x] =
            from[i++];
        }
      }
    }
  }
  return to;
}

const scaledParams = [
  "kernel_w",
  "kernel_h",
  "stride_w",
  "stride_h",
  "pad_left",
  "pad_right",
  "pad_top",
  "pad_bottom",
];

function readPixels(node: Node, blocks: Blocks): void {
  const weight = unfoldWeights(node, blocks);
  // The values are the same ones in another order, so float16 stays float16.
  const { storage } = node.weights.weight;
  node.weights = {
    ...node.weights,
    weight: storage === "f16" ? { storage, data: float32ToFp16Array(weight) } : f32Weight(weight),
  };
  setParams(node, Object.fromEntries(scaledParams.map((name) => [name, num(node, name) * blocks.size])));
}

const types = allOps.filter((op) => op.blocks);

export const mergeFocus: Pass = {
  name: "merge-focus",
  run: (graph, log) =>
    eachNode(graph, types, (node, wiring) => {
      const readers = new Set(wiring.readers(node.outputs[0]));
      if (readers.size === 0) return;
      const found = [...readers].map(obstacle).find(Boolean);
      if (found) {
        log?.(`${node.type} "${node.name}" stays: ${found}`);
        return;
      }
      const blocks = opOf(node, ops).blocks!(paramsOf(node, ops));
      for (const reader of readers) {
        readPixels(reader, blocks);
        wiring.setInputs(reader, node.inputs);
        wiring.rewrote();
      }
      wiring.remove(node);
    }),
};
