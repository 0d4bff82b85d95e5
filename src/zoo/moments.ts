/**
 * How large the values of blobs are, worked out from layer to layer without running the network: weights are scaled by it, and
 * int8 scales follow from it. Good enough for that; no more is claimed.
 */
import type { Node } from "../ir/graph.ts";
import { type Op, type ParamValues, resolveParams } from "../ir/op.ts";
import { activationFunction } from "../ops/_activation.ts";
import { binaryOpTypes } from "../ops/binary-op.ts";
import { eltwiseTypes } from "../ops/eltwise.ts";
import { poolingTypes } from "../ops/pooling.ts";

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

/** Layers that compute one function of each value. */
const elementwiseTypes = new Set(
  "ReLU Swish HardSwish HardSigmoid Sigmoid GELU Clip TanH Mish ELU Softplus AbsVal Exp UnaryOp Power".split(
    " ",
  ),
);
const linearTypes = new Set(
  "Convolution ConvolutionDepthWise Deconvolution DeconvolutionDepthWise InnerProduct Gemm BatchNorm LayerNorm".split(
    " ",
  ),
);

/** The moments of a node's outputs. Types that are not known keep those of their first input. */
export function propagate(node: Node, op: Op, inputs: readonly Moments[]): Moments {
  const p = resolveParams(op, node.params);
  const [first = unit] = inputs;
  if (node.type === "Input") return inputMoments;
  if (node.type === "MemoryData") return { mean: 0, variance: constantRange ** 2 / 3 };
  if (linearTypes.has(node.type)) return activated(p);
  if (elementwiseTypes.has(node.type) || p.with_scalar) return mapped(first, (x) => evaluate(op, p, x));
  switch (node.type) {
    case "MultiHeadAttention":
      // Averages of about as many values as there are keys.
      return { mean: 0, variance: 0.1 };
    case "Pooling":
    case "Reduction":
      return pooled(node.type, first, p);
    case "Concat":
      return mixture(inputs);
    case "Eltwise":
      return p.op_type === eltwiseTypes.sum
        ? sum(inputs)
        : combined(p.op_type === eltwiseTypes.product, inputs);
    case "BinaryOp":
      if (binaryOpTypes[p.op_type as number] === "add") return sum(inputs);
      return combined(binaryOpTypes[p.op_type as number] === "mul", inputs);
    case "Softmax":
      return { mean: 0.02, variance: 0.002 };
    default:
      return first;
  }
}

/** Constants are uniform in [-range, range]. */
export const constantRange = 0.3;

function activated(p: ParamValues<Op["params"]>): Moments {
  const f = activationFunction((p.activation_type ?? 0) as number, (p.activation_params ?? []) as number[]);
  return f ? mapped(unit, (x) => Float32Array.from(x, f)) : unit;
}

/** Neighbours are alike to some degree: a maximum of k is taken for one of √k, a mean keeps half of the variance. */
function pooled(type: string, input: Moments, p: ParamValues<Op["params"]>): Moments {
  const deviation = Math.sqrt(input.variance);
  if (type === "Pooling" && p.pooling_type === poolingTypes.max) {
    const window = (p.kernel_w as number) * (p.kernel_h as number);
    const shift = Math.sqrt(Math.log(Math.max(window, 1))) * 0.7;
    return { mean: input.mean + shift * deviation, variance: 0.6 * input.variance };
  }
  return { mean: input.mean, variance: 0.5 * input.variance };
}

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
