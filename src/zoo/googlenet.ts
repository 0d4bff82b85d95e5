/** GoogLeNet. Szegedy et al., "Going deeper with convolutions", 2014. */
import type { Graph } from "../ir/graph.ts";
import { type Blob, Builder } from "./builder.ts";

type Inception = readonly [
  one: number,
  reduce3: number,
  three: number,
  reduce5: number,
  five: number,
  pooled: number,
];

/** Inception modules 3a to 5b; a pooling layer stands between the lists. */
const modules: readonly (readonly Inception[])[] = [
  [
    [64, 96, 128, 16, 32, 32],
    [128, 128, 192, 32, 96, 64],
  ],
  [
    [192, 96, 208, 16, 48, 64],
    [160, 112, 224, 24, 64, 64],
    [128, 128, 256, 24, 64, 64],
    [112, 144, 288, 32, 64, 64],
    [256, 160, 320, 32, 128, 128],
  ],
  [
    [256, 160, 320, 32, 128, 128],
    [384, 192, 384, 48, 128, 128],
  ],
];

const relu = { activation: "relu" } as const;

function inception(b: Builder, x: Blob, [one, reduce3, three, reduce5, five, pooled]: Inception): Blob {
  return b.concat([
    b.conv(x, one, relu),
    b.conv(b.conv(x, reduce3, relu), three, { ...relu, kernel: 3 }),
    b.conv(b.conv(x, reduce5, relu), five, { ...relu, kernel: 5 }),
    b.conv(b.maxPool(x, 3, { pad: 1, ceil: true }), pooled, relu),
  ]);
}

const normalize = (b: Builder, x: Blob): Blob => b.layer("LRN", x, { alpha: 1e-4 });
const reduce = (b: Builder, x: Blob): Blob => b.maxPool(x, 3, { stride: 2, ceil: true });

export function googlenet(size: number): Graph {
  const b = new Builder();
  let x = reduce(b, b.conv(b.input(size), 64, { ...relu, kernel: 7, stride: 2 }));
  x = b.conv(normalize(b, x), 64, relu);
  x = normalize(b, b.conv(x, 192, { ...relu, kernel: 3 }));
  for (const list of modules) {
    x = reduce(b, x);
    for (const module of list) x = inception(b, x, module);
  }
  b.softmax(b.fullyConnected(b.averagePool(x, 7, { ceil: true }), 1000));
  return b.graph;
}
