/** RegNetY-400MF. Radosavovic et al., "Designing network design spaces", 2020. */
import type { Graph } from "../ir/graph.ts";
import { classify } from "./_blocks.ts";
import { type Blob, Builder } from "./builder.ts";

const stages: readonly (readonly [blocks: number, width: number])[] = [
  [1, 48],
  [3, 104],
  [6, 208],
  [6, 440],
];
const groupWidth = 8;

/** Residual bottleneck without a bottleneck: 1×1, grouped 3×3, squeeze-and-excitation, 1×1. */
function block(b: Builder, x: Blob, width: number, stride: number): Blob {
  const shortcut = stride > 1 ? b.conv(x, width, { stride }) : x;
  const y = b.conv(b.conv(x, width, { activation: "relu" }), width, {
    kernel: 3,
    stride,
    group: width / groupWidth,
    activation: "relu",
  });
  const reduced = b.fullyConnected(b.globalPool(y), x.shape[0] / 4, "relu");
  const excited = b.multiply(y, b.fullyConnected(reduced, width, "sigmoid"));
  return b.relu(b.add(shortcut, b.conv(excited, width)));
}

export function regnetY400M(size: number): Graph {
  const b = new Builder();
  let x = b.conv(b.input(size), 32, { kernel: 3, stride: 2, activation: "relu" });
  for (const [blocks, width] of stages) {
    for (let i = 0; i < blocks; i++) x = block(b, x, width, i === 0 ? 2 : 1);
  }
  classify(b, x);
  return b.graph;
}
