import { weightToFloat32 } from "../../ir/weight.ts";
import { broadcastTypes } from "../../ops/gemm.ts";
import { addLinear } from "./_linear.ts";
import type { Layer } from "./layer.ts";

/** Gemm with a constant B. */
export function gemm(layer: Layer): boolean {
  const { views, node, p, inputShapes } = layer;
  if (inputShapes.length !== 1 || inputShapes[0].length !== 2 || !isPlain(layer)) return false;
  const stored = weightToFloat32(node.weights.B);
  const weight = p.transB ? stored : transposed(stored, p.constantK, p.constantN);
  const bias = node.weights.C && weightToFloat32(node.weights.C);
  const [to] = node.outputs;
  views.setPicture(to, addLinear(layer, to, views.matrix(node.inputs[0]), weight, bias));
  return true;
}

/** input·B + C with B constant and C one value for each column or absent. */
function isPlain({ node, p }: Layer): boolean {
  if (!p.constantB || p.constantA || p.transA || p.alpha !== 1 || p.beta !== 1) return false;
  if (p.output_N1M || p.output_transpose || p.int8_scale_term) return false;
  return !node.weights.C || p.constant_broadcast_type_C === broadcastTypes.perColumn;
}

function transposed(data: Float32Array, rows: number, columns: number): Float32Array {
  return Float32Array.from(data, (_, i) => data[(i % rows) * columns + Math.floor(i / rows)]);
}
