/** SqueezeNet 1.1. Iandola et al., "SqueezeNet: AlexNet-level accuracy with 50x fewer parameters", 2016. */
import type { Graph } from "../ir/graph.ts";
import { type Blob, Builder } from "./builder.ts";

/** Fire module: a 1×1 convolution squeezes, a 1×1 and a 3×3 one expand side by side. */
export function fire(b: Builder, x: Blob, squeeze: number, expand: number): Blob {
  const s = b.conv(x, squeeze, { activation: "relu" });
  return b.concat([
    b.conv(s, expand, { activation: "relu" }),
    b.conv(s, expand, { kernel: 3, activation: "relu" }),
  ]);
}

/** Fire modules by resolution (1/4, 1/8, 1/16): channels to squeeze and to expand to. */
const stages: readonly (readonly (readonly [squeeze: number, expand: number])[])[] = [
  [
    [16, 64],
    [16, 64],
  ],
  [
    [32, 128],
    [32, 128],
  ],
  [
    [48, 192],
    [48, 192],
    [64, 256],
    [64, 256],
  ],
];

/** The outputs of the stages. */
export function squeezenetFeatures(b: Builder, data: Blob): Blob[] {
  let x = b.conv(data, 64, { kernel: 3, stride: 2, pad: 0, activation: "relu" });
  return stages.map((fires) => {
    x = b.maxPool(x, 3, { stride: 2, ceil: true });
    for (const [squeeze, expand] of fires) x = fire(b, x, squeeze, expand);
    return x;
  });
}

export function squeezenet(size: number): Graph {
  const b = new Builder();
  const features = squeezenetFeatures(b, b.input(size));
  const classes = b.conv(features[2], 1000, { pad: 1, activation: "relu" });
  b.softmax(b.globalPool(classes));
  return b.graph;
}
