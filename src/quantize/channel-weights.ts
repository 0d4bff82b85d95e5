/** How much an error in each channel of a blob counts: by the weights that meet it. */
import type { QuantizableLayer } from "./layers.ts";
import type { Ranges } from "./ranges.ts";

/** By blob, for those that have ranges: the share of each channel in the squared weights of the layers that read it. */
export function channelWeights(
  layers: readonly QuantizableLayer[],
  ranges: Ranges,
): Map<string, Float64Array> {
  const weights = new Map<string, Float64Array>();
  for (const layer of layers) {
    const seen = ranges.get(layer.input);
    if (!seen || seen.count === 0) continue;
    const sums = weights.get(layer.input) ?? new Float64Array(seen.count);
    weights.set(layer.input, sums);
    const energy = energyByChannel(layer, seen.count);
    const total = energy.reduce((a, b) => a + b, 0) || 1;
    energy.forEach((value, c) => {
      sums[c] += value / total;
    });
  }
  return weights;
}

/** Sum of squares of the weights that each input channel meets. */
function energyByChannel(
  { weights, outputChannels, groups }: QuantizableLayer,
  channels: number,
): Float64Array {
  const energy = new Float64Array(channels);
  const perOutput = weights.length / outputChannels;
  const groupIn = channels / groups;
  const kernel = perOutput / groupIn;
  for (let i = 0; i < weights.length; i++) {
    const k = Math.floor(i / perOutput);
    const group = Math.floor((k * groups) / outputChannels);
    energy[group * groupIn + Math.floor((i % perOutput) / kernel)] += weights[i] ** 2;
  }
  return energy;
}
