/** BlazeFace's features. Bazarevsky et al., "BlazeFace: Sub-millisecond neural face detection on mobile GPUs", 2019. */
import type { Graph } from "../ir/graph.ts";
import { type Blob, Builder } from "./builder.ts";

const blocks: readonly (readonly [outputs: number, stride: number])[] = [
  [24, 1],
  [28, 1],
  [32, 2],
  [36, 1],
  [42, 1],
  [48, 2],
  ...[56, 64, 72, 80, 88].map((outputs) => [outputs, 1] as const),
  [96, 2],
  ...[96, 96, 96, 96].map((outputs) => [outputs, 1] as const),
];

/** Depthwise 3×3 and 1×1 beside a shortcut that is pooled and filled up with channels of zeros where needed. */
function blazeBlock(b: Builder, x: Blob, outputs: number, stride: number): Blob {
  const isReduced = stride === 2;
  // TensorFlow's padding at stride 2: all of it at the far edges.
  const source = isReduced ? b.pad(x, { bottom: 2, right: 2 }) : x;
  const filtered = b.depthwise(source, 3, isReduced ? { stride, pad: 0 } : {});
  const pooled = isReduced ? b.maxPool(x, 2, { stride: 2 }) : x;
  const more = outputs - x.shape[0];
  const shortcut = more > 0 ? b.pad(pooled, { behind: more }) : pooled;
  return b.relu(b.add(b.conv(filtered, outputs), shortcut));
}

export function blazeface(size: number): Graph {
  const b = new Builder();
  const padded = b.pad(b.input(size), { top: 1, bottom: 2, left: 1, right: 2 });
  let x = b.relu(b.conv(padded, 24, { kernel: 5, stride: 2, pad: 0 }));
  for (const [outputs, stride] of blocks) x = blazeBlock(b, x, outputs, stride);
  return b.graph;
}
