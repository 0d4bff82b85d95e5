import { weightToFloat32 } from "../../ir/weight.ts";
import type { Layer } from "./layer.ts";

/** LayerNorm of the rows of a matrix. */
export function layerNorm({ views, node, p, inputShapes: [shape] }: Layer): boolean {
  if (shape.length !== 2 || shape[1] % 4) return false;
  const input = views.matrix(node.inputs[0]);
  const output = views.matrixValue(node.outputs[0], shape);
  const affine = (name: string, otherwise: number): Float32Array =>
    p.affine ? weightToFloat32(node.weights[name]) : new Float32Array(shape[1]).fill(otherwise);
  const [gamma, beta] = [affine("gamma", 1), affine("beta", 0)];
  const nodes = [node.name];
  views.add({ kind: "layerNorm", nodes, input, eps: p.eps, gamma, beta, fused: [], output });
  views.setPicture(node.outputs[0], output);
  return true;
}
