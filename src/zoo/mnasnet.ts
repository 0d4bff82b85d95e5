/** MnasNet-A without squeeze-and-excitation (B1). Tan et al., "MnasNet: Platform-aware neural architecture search", 2018. */
import type { Graph } from "../ir/graph.ts";
import { classify, invertedResidual } from "./_blocks.ts";
import { Builder } from "./builder.ts";

/** Kernel, expansion factor, output channels, blocks, stride of the first block. */
const stages: readonly (readonly [k: number, t: number, c: number, n: number, s: number])[] = [
  [3, 3, 24, 3, 2],
  [5, 3, 40, 3, 2],
  [5, 6, 80, 3, 2],
  [3, 6, 96, 2, 1],
  [5, 6, 192, 4, 2],
  [3, 6, 320, 1, 1],
];

export function mnasnet(size: number): Graph {
  const b = new Builder();
  const stem = b.conv(b.input(size), 32, { kernel: 3, stride: 2, activation: "relu" });
  let x = b.conv(b.depthwise(stem, 3, { activation: "relu" }), 16);
  for (const [kernel, t, outputs, n, s] of stages) {
    for (let i = 0; i < n; i++) {
      const expanded = x.shape[0] * t;
      const stride = i === 0 ? s : 1;
      x = invertedResidual(b, x, { kernel, expanded, outputs, stride, activation: "relu" }).output;
    }
  }
  classify(b, b.conv(x, 1280, { activation: "relu" }));
  return b.graph;
}
