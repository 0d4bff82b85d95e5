/**
 * Reorg (space to depth, the Focus of YOLOv5 ≤ 5.0) → Convolution k×k becomes one convolution r·k × r·k of stride r·s:
 * channel (sh, sw, q) at (y, x) of the Reorg is pixel (r·y + sh, r·x + sw) of channel q. Exactly equal weights in another
 * order. Where the input's extents are no multiple of r, Reorg drops the last rows and columns and the convolution reads
 * padding there; the merged one sees them, so the last row and column of the result may differ. Detector inputs are
 * multiples of 32.
 */
import { float32ToFp16Array } from "../base/fp16.ts";
import { match, type Node } from "../ir/graph.ts";
import { f32Weight, weightToFloat32 } from "../ir/weight.ts";
import { convolution } from "../ops/convolution.ts";
import { reorg } from "../ops/reorg.ts";
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

/**
 * Weights `[outputs, r·r·channels, kh, kw]` as `[outputs, channels, r·kh, r·kw]`. Reorg's channel is `q·r² + cell` in mode 0
 * and `cell·channels + q` in mode 1, with `cell = sh·r + sw`.
 */
function unfoldWeights(node: Node, r: number, mode: number): Float32Array {
  const from = weightToFloat32(node.weights.weight);
  const to = new Float32Array(from.length);
  const [outputs, kh, kw] = [num(node, "num_output"), num(node, "kernel_h"), num(node, "kernel_w")];
  const folded = from.length / (outputs * kh * kw);
  const channels = folded / (r * r);
  let i = 0;
  for (let k = 0; k < outputs; k++) {
    for (let c = 0; c < folded; c++) {
      const q = mode === 0 ? Math.floor(c / (r * r)) : c % channels;
      const cell = mode === 0 ? c % (r * r) : Math.floor(c / channels);
      const [sh, sw] = [Math.floor(cell / r), cell % r];
      for (let y = 0; y < kh; y++) {
        for (let x = 0; x < kw; x++) {
          to[((k * channels + q) * r * kh + r * y + sh) * r * kw + r * x + sw] = from[i++];
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

function readPixels(node: Node, r: number, mode: number): void {
  const weight = unfoldWeights(node, r, mode);
  // The values are the same ones in another order, so float16 stays float16.
  const { storage } = node.weights.weight;
  node.weights = {
    ...node.weights,
    weight: storage === "f16" ? { storage, data: float32ToFp16Array(weight) } : f32Weight(weight),
  };
  setParams(node, Object.fromEntries(scaledParams.map((name) => [name, num(node, name) * r])));
}

export const mergeFocus: Pass = {
  name: "merge-focus",
  run: (graph, log) =>
    eachNode(graph, [reorg], (node, wiring) => {
      const readers = new Set(wiring.readers(node.outputs[0]));
      if (readers.size === 0) return;
      const found = [...readers].map(obstacle).find(Boolean);
      if (found) {
        log?.(`Reorg "${node.name}" stays: ${found}`);
        return;
      }
      for (const reader of readers) {
        readPixels(reader, num(node, "stride"), num(node, "mode"));
        wiring.setInputs(reader, node.inputs);
        wiring.rewrote();
      }
      wiring.remove(node);
    }),
};
