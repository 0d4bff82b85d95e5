/** What there is to say about one layer after calibration: for tables, plots and the manifest. */
import type { CalibrationTable } from "../formats/table.ts";
import { quantize } from "../ops/int8.ts";
import type { QuantizableLayer } from "./layers.ts";
import { type BlobObservation, rebin } from "./observe.ts";
import { squaredError } from "./thresholds.ts";

/** What one layer's input needs of int8. */
export interface LayerRange {
  name: string;
  type: string;
  /** Blob that it reads. */
  input: string;
  /** Range of the input, and the magnitude that becomes 127. */
  min: number;
  max: number;
  threshold: number;
  /** The input's scale in the table, `127 / threshold`. */
  scale: number;
}

/** What calibration saw of one layer's input. */
export interface LayerReport extends LayerRange {
  /** Share of the input's values beyond the threshold, 0..1. */
  clipped: number;
  /** Signal to rounding noise of the input and of the weights (rounded to nearest), dB. */
  inputSqnr: number;
  weightSqnr: number;
  /** Counts of the input's magnitudes, zeros left out, in equal bins over [0, max(|min|, |max|)]. */
  histogram: number[];
}

const histogramBins = 256;

export function rangeOfLayer(
  { name, node: { type }, input }: QuantizableLayer,
  { min, max }: BlobObservation,
  { activations }: CalibrationTable,
): LayerRange {
  const scale = activations.get(name)!;
  return { name, type, input, min, max, threshold: 127 / scale, scale };
}

export function reportLayer(
  layer: QuantizableLayer,
  observation: BlobObservation,
  table: CalibrationTable,
): LayerReport {
  const range = rangeOfLayer(layer, observation, table);
  const { threshold } = range;
  const { absmax } = observation;
  return {
    ...range,
    clipped: observation.shareAbove(threshold),
    inputSqnr: decibel(observation.energy, squaredError(observation, threshold)),
    weightSqnr: weightSqnr(layer, table.weights.get(layer.name)!),
    histogram: absmax > 0 ? [...rebin(observation, histogramBins)].map(Math.round) : [],
  };
}

/** 10·log10 of a ratio of energies; infinite without noise. */
function decibel(signal: number, noise: number): number {
  return noise > 0 ? 10 * Math.log10(signal / noise) : Number.POSITIVE_INFINITY;
}

function weightSqnr({ weights, weightsPerScale }: QuantizableLayer, scales: Float32Array): number {
  let signal = 0;
  let noise = 0;
  for (let i = 0; i < weights.length; i++) {
    const scale = scales[Math.floor(i / weightsPerScale)];
    const rounded = Number.isFinite(scale) && scale > 0 ? quantize(weights[i], scale) / scale : 0;
    signal += weights[i] ** 2;
    noise += (weights[i] - rounded) ** 2;
  }
  return decibel(signal, noise);
}
