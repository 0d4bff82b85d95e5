/** AlexNet, in Caffe's form. Krizhevsky et al., "ImageNet classification with deep convolutional neural networks", 2012. */
import type { Graph } from "../ir/graph.ts";
import { type Blob, Builder } from "./builder.ts";

const relu = { activation: "relu" } as const;
/** The two halves that once ran on two graphics cards. */
const halves = 2;

export function alexnet(size: number): Graph {
  const b = new Builder();
  const normalizeAndPool = (x: Blob): Blob =>
    b.maxPool(b.layer("LRN", x, { alpha: 1e-4 }), 3, { stride: 2, ceil: true });
  let x = normalizeAndPool(b.conv(b.input(size), 96, { ...relu, kernel: 11, stride: 4, pad: 0 }));
  x = normalizeAndPool(b.conv(x, 256, { ...relu, kernel: 5, group: halves }));
  x = b.conv(x, 384, { ...relu, kernel: 3 });
  x = b.conv(x, 384, { ...relu, kernel: 3, group: halves });
  x = b.conv(x, 256, { ...relu, kernel: 3, group: halves });
  x = b.maxPool(x, 3, { stride: 2, ceil: true });
  for (let i = 0; i < 2; i++) x = b.fullyConnected(x, 4096, "relu");
  b.softmax(b.fullyConnected(x, 1000));
  return b.graph;
}
