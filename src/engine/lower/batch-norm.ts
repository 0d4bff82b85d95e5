import { batchNormAffine } from "../../ops/batch-norm.ts";
import { scaleChannels } from "./_channelwise.ts";
import type { Layer } from "./layer.ts";

export function batchNorm(layer: Layer): boolean {
  const { scale, bias } = batchNormAffine(layer.node.weights, layer.p.eps);
  return scaleChannels(layer, Float32Array.from(scale), Float32Array.from(bias));
}
