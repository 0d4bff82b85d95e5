/** The scales of all layers, from what was seen of their inputs. */
import { UsageError } from "../base/errors.ts";
import { type CalibrationTable, emptyTable, roundTable } from "../formats/table.ts";
import { channelWeights } from "./channel-weights.ts";
import type { QuantizableLayer } from "./layers.ts";
import type { BlobObservation, Observations } from "./observe.ts";
import type { Ranges } from "./ranges.ts";
import {
  aciqThreshold,
  klThreshold,
  minmaxThreshold,
  mseThreshold,
  percentileThreshold,
} from "./thresholds.ts";
import { absmaxScales, aciqScales, finestScales } from "./weights.ts";

/** `kl`, `aciq` and `eq` as the official ncnn2table defines them; `auto` is what measured best. */
export const methods = ["auto", "kl", "aciq", "eq", "minmax", "percentile", "mse"] as const;
/** How scales are chosen; `docs/quantization.md` explains each. */
export type Method = (typeof methods)[number];

/** Scales as a reader of the printed table will have them. Layers that read the same blob get the same scale. */
export function chooseScales(
  layers: readonly QuantizableLayer[],
  { observations, ranges }: { observations: Observations; ranges?: Ranges },
  { method, percentile }: { method: Method; percentile: number },
): CalibrationTable {
  const table = emptyTable();
  const thresholdOf = ranges
    ? focusedThresholds(layers, ranges)
    : (observation: BlobObservation) => plainThreshold(observation, method, percentile);
  const scales = new Map<string, number>();
  for (const layer of layers) {
    const observation = observations.get(layer.input);
    if (!observation)
      throw new UsageError(`the observations are of another model: none of blob "${layer.input}"`);
    let scale = scales.get(layer.input);
    if (scale === undefined) {
      scale = Math.fround(127 / thresholdOf(observation, layer.input));
      // An all-zero blob: any finite scale gives 0, and survives JSON; the official methods keep their infinity.
      if (method === "auto" && !Number.isFinite(scale)) scale = 1;
      scales.set(layer.input, scale);
    }
    table.activations.set(layer.name, scale);
    table.weights.set(layer.name, weightScalesOf(layer, observation, method));
  }
  return roundTable(table);
}

/**
 * Thresholds by what counts of a blob: at which places its values are, and how large the weights are that each channel meets.
 * Where a range ends at a value that is there often (zeros, of a centred blob), it becomes an integer exactly.
 */
function focusedThresholds(
  layers: readonly QuantizableLayer[],
  ranges: Ranges,
): (observation: BlobObservation, blob: string) => number {
  const weights = channelWeights(layers, ranges);
  return (observation, blob) => {
    const seen = ranges.get(blob);
    if (!seen) return mseThreshold(observation);
    return onGrid(observation, seen.threshold(undefined, { weights: weights.get(blob) }));
  };
}

/** The nearest threshold at which an end of the range that is a frequent value needs no rounding. */
function onGrid(observation: BlobObservation, threshold: number): number {
  const { min, max, bins, binWidth, count } = observation;
  for (const end of [max, -min]) {
    const isFrequent = end > 0 && bins[Math.floor(end / binWidth)] > frequent * count;
    const q = Math.min(Math.round((127 * end) / threshold), 127);
    if (isFrequent && q > 32) return (127 * end) / q;
  }
  return threshold;
}

/** Share of all values. */
const frequent = 0.02;

function plainThreshold(observation: BlobObservation, method: Method, percentile: number): number {
  switch (method) {
    case "kl":
    case "eq":
      return klThreshold(observation);
    case "aciq":
      return aciqThreshold(observation.absmax, observation.elements);
    case "minmax":
      return minmaxThreshold(observation);
    case "percentile":
      return percentileThreshold(observation, percentile);
    case "mse":
    case "auto":
      return mseThreshold(observation);
  }
}

function weightScalesOf(layer: QuantizableLayer, observation: BlobObservation, method: Method): Float32Array {
  if (method === "auto") return finestScales(layer, observation.min >= 0);
  return method === "aciq" ? aciqScales(layer) : absmaxScales(layer);
}
