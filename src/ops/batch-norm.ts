/** BatchNorm: (x - mean)/√(variance + eps)·slope + bias for every channel. */
import { defineOp, float, int } from "../ir/op.ts";
import { type Weights, weightToFloat32 } from "../ir/weight.ts";
import { mapChannels, requireChannels } from "./shapes.ts";

const weightNames = ["slope", "mean", "variance", "bias"] as const;

/** What a BatchNorm multiplies every channel by and then adds, in double precision. */
export function batchNormAffine(weights: Weights, eps: number): { scale: Float64Array; bias: Float64Array } {
  const [slope, mean, variance, bias] = weightNames.map((name) => weightToFloat32(weights[name]));
  // ncnn divides by 1e-4 where the deviation is zero.
  const scale = Float64Array.from(slope, (s, c) => s / (Math.sqrt(variance[c] + eps) || 1e-4));
  return { scale, bias: Float64Array.from(bias, (b, c) => b - mean[c] * scale[c]) };
}

export const batchNorm = defineOp({
  type: "BatchNorm",
  typeIndex: 2,
  params: { channels: int(0), eps: float(1) },
  weights: ({ channels }) => weightNames.map((name) => ({ name, count: channels, kind: "raw" })),
  shape: ([input], { channels }) => {
    requireChannels("channels", channels, input);
    return [input];
  },
  reference: ([input], { eps }, weights) => {
    const { scale, bias } = batchNormAffine(weights, eps);
    return [mapChannels(input, (x, c) => x * scale[c] + bias[c])];
  },
});
