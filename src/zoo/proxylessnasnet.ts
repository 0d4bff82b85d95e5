/** ProxylessNAS, the network found for phones. Cai et al., "ProxylessNAS: Direct neural architecture search", 2018. */
import type { Graph } from "../ir/graph.ts";
import { classify, invertedResidual, repeat } from "./_blocks.ts";
import { Builder } from "./builder.ts";

/** Each block as the search chose it. */
const blocks: readonly (readonly [kernel: number, expanded: number, outputs: number, stride: number])[] = [
  [5, 48, 32, 2],
  [3, 96, 32, 1],
  [7, 96, 40, 2],
  [3, 120, 40, 1],
  ...repeat(2, [5, 120, 40, 1] as const),
  [7, 240, 80, 2],
  ...repeat(3, [5, 240, 80, 1] as const),
  [5, 480, 96, 1],
  ...repeat(3, [5, 288, 96, 1] as const),
  [7, 576, 192, 2],
  [7, 1152, 192, 1],
  ...repeat(2, [7, 576, 192, 1] as const),
  [7, 1152, 320, 1],
];

export function proxylessnasnet(size: number): Graph {
  const b = new Builder();
  const stem = b.conv(b.input(size), 32, { kernel: 3, stride: 2, activation: "relu" });
  let x = b.conv(b.depthwise(stem, 3, { activation: "relu" }), 32);
  for (const [kernel, expanded, outputs, stride] of blocks) {
    x = invertedResidual(b, x, { kernel, expanded, outputs, stride, activation: "relu" }).output;
  }
  classify(b, b.conv(x, 1280, { activation: "relu" }));
  return b.graph;
}
