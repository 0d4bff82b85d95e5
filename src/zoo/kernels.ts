/**
 * Small networks that between them use every kernel of the engine, to check a machine by: a few layers each, with more channels
 * than any tile and numbers of channels and pixels that no tile divides. Built without weights: `synthesize` makes those.
 */
import type { Graph } from "../ir/graph.ts";
import { type Blob, Builder } from "./builder.ts";
import { markInt8 } from "./int8.ts";

export interface KernelNetwork {
  readonly name: string;
  /** Integers decide: the engine's results equal the reference's to the last bit. */
  readonly isExact: boolean;
  build(): Graph;
}

const size = 13;

function network(name: string, make: (b: Builder, data: Blob) => void): KernelNetwork {
  const build = (): Graph => {
    const b = new Builder();
    make(b, b.input(size));
    return b.graph;
  };
  return { name, isExact: false, build };
}

const int8 = (name: string, { build }: KernelNetwork): KernelNetwork => ({
  name,
  isExact: true,
  build: () => markInt8(build(), true),
});

/** Those that the engine has in vectors, each behind a layer of its own. */
const activations = ["Swish", "HardSwish", "Mish", "TanH", "Sigmoid", "HardSigmoid", "ReLU"].map(
  (type) => (b: Builder, x: Blob) => b.layer(type, x),
);
activations.push((b, x) => b.layer("GELU", x, { fast_gelu: 1 }));

/** 1×1, k×k with strides, several inputs, sums and fully connected layers. */
const dense = network("dense convolutions", (b, data) => {
  const stem = b.conv(data, 40, { kernel: 3, stride: 2, activation: "relu" });
  const wide = b.conv(stem, 72, { activation: { leakyRelu: 0.1 } });
  const both = b.conv(b.concat([stem, wide]), 72, { kernel: 5, activation: "relu" });
  const sum = b.relu(b.add(both, b.conv(wide, 72, { kernel: 3, stride: 1 })));
  b.fullyConnected(b.conv(sum, 23, { activation: "relu" }), 37);
});

const depthwise = network("depthwise convolutions", (b, data) => {
  const x = b.conv(data, 44, { activation: "relu" });
  const small = b.depthwise(x, 3, { activation: "relu" });
  const large = b.depthwise(small, 5, { activation: "relu" });
  b.conv(b.depthwise(large, 3, { stride: 2, activation: "relu" }), 20);
  b.conv(b.depthwise(small, 5, { stride: 2 }), 36);
});

const shuffles = network("moved channels", (b, data) => {
  const x = b.conv(data, 48, { activation: "relu" });
  const right = b.conv(b.crop(x, 24, 48), 24, { activation: "relu" });
  const mixed = b.shuffle(b.concat([b.crop(x, 0, 24), right]), 2);
  const pooled = b.conv(b.maxPool(b.conv(mixed, 32), 3, { stride: 2, pad: 1 }), 32, { activation: "relu" });
  b.conv(b.upsample(pooled), 40);
});

export const kernelNetworks: readonly KernelNetwork[] = [
  dense,
  depthwise,
  shuffles,
  int8("dense convolutions, int8", dense),
  int8("depthwise convolutions, int8", depthwise),
  int8("moved channels, int8", shuffles),
  network("weights beyond the cache, extremes of channels", (b, data) => {
    const x = b.conv(b.conv(data, 260, { kernel: 3, stride: 2, activation: "relu" }), 530);
    for (const operation of [4, 5]) b.layer("Reduction", x, { operation, reduce_all: 0, axes: [1, 2] });
  }),
  network("3x3 by Winograd", (b, data) => {
    const x = b.conv(b.conv(data, 64, { activation: "relu" }), 64, { kernel: 3, activation: "relu" });
    b.add(b.conv(x, 72, { kernel: 3 }), b.conv(x, 72));
  }),
  network("activations", (b, data) => {
    const x = b.conv(data, 24);
    for (const activation of activations) activation(b, b.conv(x, 40));
    for (const activation of activations) activation(b, b.depthwise(x, 3));
    for (const activation of activations) activation(b, b.add(x, b.conv(data, 24)));
  }),
  network("pooling and resizing", (b, data) => {
    const x = b.conv(data, 40, { activation: "relu" });
    const gates = b.hardSigmoid(b.fullyConnected(b.globalPool(x), 40));
    b.multiply(b.averagePool(x, 3, { stride: 2, pad: 1 }), gates);
    b.maxPool(x, 5, { pad: 2 });
    b.layer("Interp", x, { resize_type: 2, output_height: 21, output_width: 17 });
  }),
  network("transposed convolution", (b, data) => {
    b.relu(b.transposed(b.conv(data, 20), 20, 4, 2, 1));
  }),
  network("normalisation across channels", (b, data) => {
    const x = b.conv(data, 40, { activation: "relu" });
    b.softmax(b.layer("LRN", x, { local_size: 5, alpha: 1e-4, beta: 0.75 }));
    const rows = b.layer("Reshape", x, { w: -1, h: 40 });
    b.softmax(b.permute(rows, 1), 1);
    b.concat([rows, b.layer("Reshape", b.conv(data, 20), { w: -1, h: 20 })]);
  }),
  network("attention", (b, data) => {
    const rows = b.permute(b.layer("Reshape", b.conv(data, 48), { w: -1, h: 48 }), 1);
    const x = b.layer("LayerNorm", rows, { affine_size: 48, eps: 1e-5, affine: 1 });
    const seen = b.layer("MultiHeadAttention", x, { embed_dim: 48, num_heads: 3, weight_data_size: 48 * 48 });
    b.layer("GELU", b.add(seen, rows));
  }),
];

/** Products as most networks have them, to time a machine by. */
export const timedNetworks: readonly KernelNetwork[] = (() => {
  const products = network("products", (b, data) => {
    let x = b.conv(data, 128, { activation: "relu" });
    for (let i = 0; i < 4; i++) x = b.conv(x, 128, { activation: "relu" });
  });
  return [products, int8("products, int8", products)];
})();
