/**
 * EfficientNet-B0 and EfficientNetV2-B0. Tan and Le, "EfficientNet: Rethinking model scaling", 2019; "EfficientNetV2: Smaller
 * models and faster training", 2021.
 */
import type { Graph } from "../ir/graph.ts";
import { classify } from "./_blocks.ts";
import { type Blob, Builder } from "./builder.ts";

/** Expansion factor, kernel, output channels, blocks, stride of the first block. */
const b0Stages: readonly (readonly [t: number, k: number, c: number, n: number, s: number])[] = [
  [1, 3, 16, 1, 1],
  [6, 3, 24, 2, 2],
  [6, 5, 40, 2, 2],
  [6, 3, 80, 3, 2],
  [6, 5, 112, 3, 1],
  [6, 5, 192, 4, 2],
  [6, 3, 320, 1, 1],
];

/** MBConv: an inverted residual whose channels are weighted before the projection. */
function mobileConvolution(
  b: Builder,
  x: Blob,
  t: number,
  kernel: number,
  outputs: number,
  stride: number,
): Blob {
  const [channels] = x.shape;
  const inside = t === 1 ? x : b.swish(b.conv(x, channels * t));
  const y = b.swish(b.depthwise(inside, kernel, { stride }));
  const reduced = b.swish(b.fullyConnected(b.globalPool(y), channels / 4));
  const weights = b.fullyConnected(reduced, channels * t, "sigmoid");
  const projected = b.conv(b.multiply(y, weights), outputs);
  return stride === 1 && outputs === channels ? b.add(x, projected) : projected;
}

export function efficientnetB0(size: number): Graph {
  const b = new Builder();
  let x = b.swish(b.conv(b.input(size), 32, { kernel: 3, stride: 2 }));
  for (const [t, kernel, outputs, n, s] of b0Stages) {
    for (let i = 0; i < n; i++) x = mobileConvolution(b, x, t, kernel, outputs, i === 0 ? s : 1);
  }
  classify(b, b.swish(b.conv(x, 1280)));
  return b.graph;
}

/** Kind of block, expansion factor, output channels, blocks, stride of the first block. */
const v2Stages: readonly (readonly [kind: "fused" | "mobile", t: number, c: number, n: number, s: number])[] =
  [
    ["fused", 1, 16, 1, 1],
    ["fused", 4, 32, 2, 2],
    ["fused", 4, 48, 2, 2],
    ["mobile", 4, 96, 3, 2],
    ["mobile", 6, 112, 5, 1],
    ["mobile", 6, 192, 8, 2],
  ];

/** The TensorFlow export pads as TensorFlow does, everywhere. */
const same = { pad: "same" } as const;

/** A 3×3 convolution in place of the 1×1 and the depthwise one. */
function fusedExpansion(b: Builder, x: Blob, expanded: number, stride: number): Blob {
  return b.swish(b.conv(x, expanded, { ...same, kernel: 3, stride }));
}

function mobileExpansion(b: Builder, x: Blob, expanded: number, stride: number): Blob {
  const y = b.swish(b.depthwise(b.swish(b.conv(x, expanded, same)), 3, { ...same, stride }));
  const means = b.layer("Reduction", y, {
    operation: 3,
    reduce_all: 0,
    axes: [1, 2],
    keepdims: 1,
    fixbug0: 1,
  });
  const reduced = b.swish(b.conv(means, x.shape[0] / 4, same));
  return b.multiply(y, b.conv(reduced, expanded, { ...same, activation: "sigmoid" }));
}

/** The bias of a block with a shortcut comes after the sum, as a constant. */
function v2Block(b: Builder, x: Blob, [kind, t, outputs]: (typeof v2Stages)[number], stride: number): Blob {
  const expand = kind === "fused" ? fusedExpansion : mobileExpansion;
  const y = expand(b, x, t === 1 ? outputs : x.shape[0] * t, stride);
  if (t === 1) return y;
  const hasShortcut = stride === 1 && outputs === x.shape[0];
  const projected = b.conv(y, outputs, { ...same, bias: !hasShortcut });
  return hasShortcut ? b.add(b.eltwiseSum(x, projected), b.constant([outputs])) : projected;
}

export function efficientnetV2B0(size: number): Graph {
  const b = new Builder();
  let x = b.swish(b.conv(b.input(size), 32, { ...same, kernel: 3, stride: 2 }));
  for (const stage of v2Stages) {
    const [, , , n, s] = stage;
    for (let i = 0; i < n; i++) x = v2Block(b, x, stage, i === 0 ? s : 1);
  }
  b.fullyConnected(b.globalPool(b.swish(b.conv(x, 1280, same))), 1000);
  return b.graph;
}
