/** Vision Transformer, base, patches of 32×32. Dosovitskiy et al., "An image is worth 16x16 words", 2020. */
import type { Graph } from "../ir/graph.ts";
import { type Blob, Builder } from "./builder.ts";

const patch = 32;
const width = 768;
const heads = 12;
const layers = 12;
/** Permute's order for swapping the two axes of a matrix. */
const transposed = 1;

function layerNorm(b: Builder, x: Blob): Blob {
  return b.layer("LayerNorm", x, { affine_size: width, eps: 1e-6, affine: 1 });
}

/** Rows times a learnt matrix, plus bias. */
function linear(b: Builder, x: Blob, outputs: number): Blob {
  return b.layer("Gemm", x, {
    transB: 1,
    constantB: 1,
    constantC: 1,
    constantN: outputs,
    constantK: x.shape[1],
    constant_broadcast_type_C: 4,
  });
}

function encoderLayer(b: Builder, x: Blob): Blob {
  const normalized = layerNorm(b, x);
  const attended = b.layer("MultiHeadAttention", [normalized, normalized, normalized], {
    embed_dim: width,
    num_heads: heads,
    weight_data_size: width * width,
  });
  const y = b.add(x, attended);
  const inside = b.layer("GELU", linear(b, layerNorm(b, y), 4 * width), { fast_gelu: 1 });
  return b.add(y, linear(b, inside, width));
}

export function visionTransformer(size: number): Graph {
  const b = new Builder();
  const patches = b.conv(b.input(size), width, { kernel: patch, stride: patch, pad: 0 });
  const tokens = b.permute(b.layer("Reshape", patches, { w: -1, h: width }), transposed);
  const withClass = b.concat([b.constant([1, width]), tokens]);
  let x = b.add(withClass, b.constant(withClass.shape));
  for (let i = 0; i < layers; i++) x = encoderLayer(b, x);
  b.softmax(linear(b, b.crop(layerNorm(b, x), 0, 1), 1000));
  return b.graph;
}
