/**
 * MultiHeadAttention: out(softmax(Q·Kᵀ·scale + mask)·V) with Q, K, V linear images of the inputs, in heads.
 * Inputs: one (self-attention), two (q; k and v) or three (q, k, v), then the mask if there is one; rank 2, [seq, dim].
 * Source: ncnn src/layer/multiheadattention.cpp.
 */
import { GraphError, UnsupportedError } from "../base/errors.ts";
import { defineOp, float, int, type ParamValues, type WeightSpec } from "../ir/op.ts";
import { formatShape, type Shape, type Tensor } from "../ir/tensor.ts";
import { type Weights, weightToFloat32 } from "../ir/weight.ts";
import { requireRank } from "./shapes.ts";

const attentionParams = {
  embed_dim: int(0),
  num_heads: int(1, 1),
  weight_data_size: int(2),
  kdim: int(3, "embed_dim"),
  vdim: int(4, "embed_dim"),
  attn_mask: int(5),
  /** 0 stands for 1/√(embed_dim/num_heads). */
  scale: float(6),
  kv_cache: int(7),
  int8_scale_term: int(18),
};
type P = ParamValues<typeof attentionParams>;

const queryDim = (p: P): number => p.weight_data_size / p.embed_dim;

export const multiHeadAttention = defineOp({
  type: "MultiHeadAttention",
  typeIndex: 79,
  params: attentionParams,
  inputs: [1, 6],
  outputs: [1, 3],
  weights: attentionWeights,
  shape: (inputs, p) => {
    checkParams(p);
    const { q, k, v, mask } = roles(inputs, p);
    requireWidth("q", q, queryDim(p));
    requireWidth("k", k, p.kdim);
    requireWidth("v", v, p.vdim);
    if (k[0] !== v[0]) throw new GraphError(`k has ${k[0]} rows, but v has ${v[0]}`);
    if (mask) {
      const fits =
        mask.at(-1) === k[0] && mask.at(-2) === q[0] && (mask.length === 2 || mask[0] === p.num_heads);
      if (!fits) throw new GraphError(`the mask is ${formatShape(mask)}, expected ${k[0]}x${q[0]}`);
    }
    return [[q[0], queryDim(p)]];
  },
  reference: (inputs, p, weights, [shape]) => [{ shape, data: attend(inputs, p, weights) }],
  macs: (inputs, _, p) => {
    const { q, k, v } = roles(inputs, p);
    const projections = p.embed_dim * (2 * q[0] * queryDim(p) + k[0] * p.kdim + v[0] * p.vdim);
    return projections + 2 * q[0] * k[0] * p.embed_dim;
  },
});

function attentionWeights(p: P): WeightSpec[] {
  const linear = (name: string, input: number, output: number): WeightSpec[] => [
    { name: `${name}_weight`, count: input * output, kind: "tagged" },
    { name: `${name}_bias`, count: output, kind: "raw" },
  ];
  const specs = [
    ...linear("q", queryDim(p), p.embed_dim),
    ...linear("k", p.kdim, p.embed_dim),
    ...linear("v", p.vdim, p.embed_dim),
    ...linear("out", p.embed_dim, queryDim(p)),
  ];
  if (p.int8_scale_term) {
    for (const name of ["q", "k", "v"])
      specs.push({ name: `${name}_scales`, count: p.embed_dim, kind: "raw" });
    specs.push({ name: "out_scale", count: 1, kind: "raw" });
  }
  return specs;
}

function checkParams(p: P): void {
  if (p.kv_cache) throw new UnsupportedError("MultiHeadAttention with kv_cache (7=1) is not supported");
  if (p.int8_scale_term) {
    throw new UnsupportedError(`MultiHeadAttention in int8 (18=${p.int8_scale_term}) is not supported`);
  }
  if (p.num_heads < 1 || p.embed_dim % p.num_heads) {
    throw new GraphError(`embed_dim ${p.embed_dim} cannot be split into ${p.num_heads} heads`);
  }
}

function roles<T>(inputs: readonly T[], p: P): { q: T; k: T; v: T; mask: T | undefined } {
  const count = inputs.length - (p.attn_mask ? 1 : 0);
  if (count < 1 || count > 3) {
    throw new GraphError(`${inputs.length} inputs, expected 1 to 3 and the mask if attn_mask (5) is set`);
  }
  const [q, k = q, v = k] = inputs.slice(0, count);
  return { q, k, v, mask: p.attn_mask ? inputs[count] : undefined };
}

function requireWidth(what: string, shape: Shape, width: number): void {
  requireRank(shape, [2]);
  if (shape[1] !== width) throw new GraphError(`${what} has rows of ${shape[1]} values, expected ${width}`);
}

/** Every row of x times Wᵀ plus bias; W is [bias.length, row width]. */
function linear(x: ArrayLike<number>, weights: Weights, name: string): Float32Array {
  const weight = weightToFloat32(weights[`${name}_weight`]);
  const bias = weightToFloat32(weights[`${name}_bias`]);
  const width = weight.length / bias.length;
  const rows = x.length / width;
  const out = new Float32Array(rows * bias.length);
  for (let row = 0; row < rows; row++) {
    for (let k = 0; k < bias.length; k++) {
      let sum = bias[k];
      for (let i = 0; i < width; i++) sum += x[row * width + i] * weight[k * width + i];
      out[row * bias.length + k] = sum;
    }
  }
  return out;
}

function attend(inputs: readonly Tensor[], p: P, weights: Weights): Float32Array {
  const tensors = roles(inputs, p);
  const scale = p.scale || 1 / Math.sqrt(p.embed_dim / p.num_heads);
  const q = linear(tensors.q.data, weights, "q");
  const k = linear(tensors.k.data, weights, "k");
  const v = linear(tensors.v.data, weights, "v");
  const [queries, keys] = [tensors.q.shape[0], tensors.k.shape[0]];
  const width = p.embed_dim / p.num_heads;
  const joined = new Float32Array(queries * p.embed_dim);
  const scores = new Float64Array(keys);
  for (let head = 0; head < p.num_heads; head++) {
    for (let row = 0; row < queries; row++) {
      const qAt = row * p.embed_dim + head * width;
      for (let key = 0; key < keys; key++) {
        const kAt = key * p.embed_dim + head * width;
        let dot = 0;
        for (let i = 0; i < width; i++) dot += q[qAt + i] * k[kAt + i];
        scores[key] = dot * scale + maskAt(tensors.mask, head, row, key);
      }
      toProbabilities(scores);
      for (let i = 0; i < width; i++) {
        let sum = 0;
        for (let key = 0; key < keys; key++) sum += scores[key] * v[key * p.embed_dim + head * width + i];
        joined[qAt + i] = sum;
      }
    }
  }
  return linear(joined, weights, "out");
}

function maskAt(mask: Tensor | undefined, head: number, row: number, key: number): number {
  if (!mask) return 0;
  const [rows, keys] = mask.shape.slice(-2);
  return mask.data[((mask.shape.length === 3 ? head : 0) * rows + row) * keys + key];
}

function toProbabilities(scores: Float64Array): void {
  let max = Number.NEGATIVE_INFINITY;
  for (const s of scores) max = Math.max(max, s);
  let sum = 0;
  for (let i = 0; i < scores.length; i++) {
    scores[i] = Math.exp(scores[i] - max);
    sum += scores[i];
  }
  for (let i = 0; i < scores.length; i++) scores[i] /= sum;
}
