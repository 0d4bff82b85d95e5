import { weightToFloat32 } from "../../ir/weight.ts";
import type { Value } from "../values.ts";
import { addLinear } from "./_linear.ts";
import type { Layer } from "./layer.ts";

/** Attention without a mask: linear layers around a kernel for the rest. */
export function multiHeadAttention(layer: Layer): boolean {
  const { views, node, p, inputShapes } = layer;
  if (p.attn_mask || (p.embed_dim / p.num_heads) % 4) return false;
  const [q, k = q, v = k] = node.inputs;
  const scale = p.scale || 1 / Math.sqrt(p.embed_dim / p.num_heads);
  const weights = (name: string): Float32Array => weightToFloat32(node.weights[name]);
  const scaled = (name: string): Float32Array => weights(name).map((w) => w * scale);
  const [to] = node.outputs;
  const linear = (name: string, blob: string, numbers = weights): Value => {
    const [weight, bias] = [numbers(`${name}_weight`), numbers(`${name}_bias`)];
    return addLinear(layer, `${to}.${name}`, views.matrix(blob), weight, bias);
  };
  const query = linear("q", q, scaled);
  const key = linear("k", k);
  const value = linear("v", v);
  const joined = views.matrixValue(`${to}.joined`, [inputShapes[0][0], p.embed_dim]);
  const nodes = [node.name];
  views.add({ kind: "attention", nodes, heads: p.num_heads, query, key, value, output: joined });
  views.setPicture(to, addLinear(layer, to, joined, weights("out_weight"), weights("out_bias")));
  return true;
}
