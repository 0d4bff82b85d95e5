/** VGG-16. Simonyan and Zisserman, "Very deep convolutional networks for large-scale image recognition", 2014. */
import type { Graph } from "../ir/graph.ts";
import { Builder } from "./builder.ts";

const stages: readonly (readonly [width: number, convolutions: number])[] = [
  [64, 2],
  [128, 2],
  [256, 3],
  [512, 3],
  [512, 3],
];

export function vgg16(size: number): Graph {
  const b = new Builder();
  let x = b.input(size);
  for (const [width, convolutions] of stages) {
    for (let i = 0; i < convolutions; i++) x = b.conv(x, width, { kernel: 3, activation: "relu" });
    x = b.maxPool(x, 2, { stride: 2, ceil: true });
  }
  for (let i = 0; i < 2; i++) x = b.fullyConnected(x, 4096, "relu");
  b.softmax(b.fullyConnected(x, 1000));
  return b.graph;
}
