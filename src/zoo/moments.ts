/**
 * How large the values of blobs are, worked out from layer to layer without running the network: weights are scaled by it, and
 * int8 scales follow from it. Good enough for that; no more is claimed.
 */
import { match, type Node } from "../ir/graph.ts";
import { type Op, type ParamValues, resolveParams } from "../ir/op.ts";
import { activationFunction } from "../ops/activations.ts";
import { batchNorm } from "../ops/batch-norm.ts";
import { concat } from "../ops/concat.ts";
import { eltwise } from "../ops/eltwise.ts";
import { gemm } from "../ops/gemm.ts";
import { layerNorm } from "../ops/layer-norm.ts";
import { multiHeadAttention } from "../ops/multi-head-attention.ts";
import { pooling as poolingOp, poolingTypes } from "../ops/pooling.ts";
import { reduction } from "../ops/reduction.ts";
import { softmax } from "../ops/softmax.ts";

/** Of the values of a blob, taken as normally distributed. */
export interface Moments {
  readonly mean: number;
  readonly variance: number;
}

/** E[x²] */
export const power = ({ mean, variance }: Moments): number => mean * mean + variance;

/** What a network is fed: a picture of noise in [-1, 1]. */
export const inputMoments: Moments = { mean: 0, variance: 1 / 3 };

/** Layers with weights are scaled to give this before their activation. */
export const unit: Moments = { mean: 0, variance: 1 };

/** Layers with weights whose results are scaled, besides the linear ones. */
const scaledTypes = new Set([gemm, batchNorm, layerNorm].map(({ type }) => type));

/** The moments of a node's outputs. Types that are not known keep those of their first input. */
export function propagate(node: Node, op: Op, inputs: readonly Moments[]): Moments {
  const p = resolveParams(op, node.params);
  const [first = unit] = inputs;
  if (op.source === "caller") return inputMoments;
  if (op.source === "constant") return { mean: 0, variance: constantRange ** 2 / 3 };
  if (op.linear || scaledTypes.has(op.type)) return activated(p);
  const { operator, scalar } = op.arithmetic?.(p) ?? {};
  if (op.pointwise || scalar !== undefined) return mapped(first, (x) => evaluate(op, p, x));
  if (operator === "add") return sum(inputs);
  if (operator !== undefined) return combined(operator === "mul", inputs);
  // Averages of about as many values as there are keys.
  if (match(node, multiHeadAttention)) return { mean: 0, variance: 0.1 };
  if (match(node, softmax)) return { mean: 0.02, variance: 0.002 };
  if (match(node, concat)) return mixture(inputs);
  if (match(node, eltwise)) return sum(inputs);
  const pooling = match(node, poolingOp);
  if (pooling?.pooling_type === poolingTypes.max) return maximum(first, pooling.kernel_w * pooling.kernel_h);
  return pooling || match(node, reduction) ? averaged(first) : first;
}

/** Constants are uniform in [-range, range]. */
export const constantRange = 0.3;

function activated(p: ParamValues<Op["params"]>): Moments {
  const f = activationFunction((p.activation_type ?? 0) as number, (p.activation_params ?? []) as number[]);
  return f ? mapped(unit, (x) => Float32Array.from(x, f)) : unit;
}

/** Neighbours are alike to some degree: a maximum of k is taken for one of √k, … */
function maximum({ mean, variance }: Moments, window: number): Moments {
  const shift = Math.sqrt(Math.log(Math.max(window, 1))) * 0.7;
  return { mean: mean + shift * Math.sqrt(variance), variance: 0.6 * variance };
}

/** … and a mean keeps half of the variance. */
const averaged = ({ mean, variance }: Moments): Moments => ({ mean, variance: 0.5 * variance });

function mixture(inputs: readonly Moments[]): Moments {
  const mean = average(inputs.map((m) => m.mean));
  return { mean, variance: average(inputs.map(power)) - mean * mean };
}

function sum(inputs: readonly Moments[]): Moments {
  const total = (values: number[]): number => values.reduce((a, b) => a + b, 0);
  return { mean: total(inputs.map((m) => m.mean)), variance: total(inputs.map((m) => m.variance)) };
}

/** Product of independent values; other operators are taken to keep the size of the first. */
function combined(isProduct: boolean, inputs: readonly Moments[]): Moments {
  if (!isProduct) return inputs[0];
  const mean = inputs.reduce((a, m) => a * m.mean, 1);
  return { mean, variance: inputs.reduce((a, m) => a * power(m), 1) - mean * mean };
}

function average(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0) / values.length;
}

/** The reference kernel on a row of values. */
function evaluate(op: Op, p: ParamValues<Op["params"]>, x: Float32Array): ArrayLike<number> {
  return op.reference([{ shape: [x.length], data: x }], p, {}, [[x.length]])[0].data;
}

/** Moments of f(x), from equally likely values of x. */
function mapped({ mean, variance }: Moments, f: (x: Float32Array) => ArrayLike<number>): Moments {
  const deviation = Math.sqrt(variance);
  const y = Array.from(f(normalQuantiles.map((q) => mean + deviation * q)));
  const m = average(y);
  return { mean: m, variance: average(y.map((v) => (v - m) ** 2)) };
}

/** Values at equal steps of probability, logistic for normal, with a variance of exactly 1. */
const normalQuantiles = ((): Float32Array => {
  const values = Float32Array.from({ length: 256 }, (_, i) => {
    const probability = (i + 0.5) / 256;
    return Math.log(probability / (1 - probability));
  });
  const deviation = Math.sqrt(average(Array.from(values, (v) => v * v)));
  return values.map((v) => v / deviation);
})();
