/** NanoDet-m: ShuffleNetV2, a path aggregation network of sums, and separate scores and distances. RangiLyu, 2020. */

import type { Graph } from "../ir/graph.ts";
import { share } from "../ops/slice.ts";
import { type Blob, Builder } from "./builder.ts";
import { cropTwice, shufflenetV2Stages } from "./shufflenet.ts";

const leaky = { activation: { leakyRelu: 0.1 } } as const;
const width = 96;
const classes = 80;
/** Each of the four distances is a distribution over 8 bins. */
const distances = 4 * 8;
/** Permute's order for swapping the two axes of a matrix. */
const transposed = 1;

function resize(b: Builder, x: Blob, scale: number): Blob {
  return b.layer("Interp", x, { resize_type: 2, height_scale: scale, width_scale: scale });
}

/** Scores and distances of every cell, `[cells, values]`. */
function head(b: Builder, features: Blob): void {
  let x = features;
  for (let i = 0; i < 2; i++) x = b.conv(b.depthwise(x, 3, leaky), width, leaky);
  const both = b.conv(x, classes + distances);
  const [scores, regression] = b.layers("Slice", both, { slices: [classes, share] }, 2);
  const rows = (y: Blob): Blob => b.permute(b.layer("Reshape", y, { w: -1, h: y.shape[0] }), transposed);
  rows(b.layer("Sigmoid", scores));
  rows(regression);
}

export function nanodetM(size: number): Graph {
  const b = new Builder();
  const stem = b.conv(b.input(size), 24, { ...leaky, kernel: 3, stride: 2 });
  const pooled = b.maxPool(stem, 3, { stride: 2, pad: 1 });
  const spelling = { ...leaky, split: cropTwice, shuffle: "after" } as const;
  const stages = shufflenetV2Stages(b, pooled, [116, 232, 464], [4, 8, 4], spelling);
  const [at8, at16, at32] = stages.map((x) => b.conv(x, width));
  // Down and up again.
  const down16 = b.add(at16, resize(b, at32, 2));
  const out8 = b.add(at8, resize(b, down16, 2));
  const out16 = b.add(down16, resize(b, out8, 0.5));
  const out32 = b.add(at32, resize(b, out16, 0.5));
  for (const features of [out8, out16, out32]) head(b, features);
  return b.graph;
}
