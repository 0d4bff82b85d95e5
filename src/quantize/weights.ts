/** Scales of weights. Sources: kl (and eq, which starts from it) and aciq as ncnn tools/quantize/ncnn2table.cpp. */
import type { QuantizableLayer } from "./layers.ts";
import { aciqThreshold } from "./thresholds.ts";

const fround = Math.fround;
/** Greatest integer weight, and the one that ncnn2table allows in layers that native ncnn runs by Winograd. */
const levels8 = 127;
const levels6 = 31;

function row({ weights, weightsPerScale: n }: QuantizableLayer, k: number): Float32Array {
  return weights.subarray(k * n, (k + 1) * n);
}

function absmax(values: Float32Array): number {
  let max = 0;
  for (let i = 0; i < values.length; i++) max = Math.max(max, Math.abs(values[i]));
  return max;
}

function eachScale(layer: QuantizableLayer, scaleOf: (weights: Float32Array) => number): Float32Array {
  return Float32Array.from({ length: layer.scaleCount }, (_, k) => scaleOf(row(layer, k)));
}

/** The greatest weight becomes 127, or 31 in Winograd layers. Infinite for weights that are all zero. */
export function absmaxScales(layer: QuantizableLayer): Float32Array {
  const levels = layer.isWinograd ? levels6 : levels8;
  return eachScale(layer, (weights) => fround(levels / absmax(weights)));
}

export function aciqScales(layer: QuantizableLayer): Float32Array {
  const [levels, bits] = layer.isWinograd ? ([levels6, 6] as const) : ([levels8, 8] as const);
  return eachScale(layer, (weights) => fround(levels / aciqThreshold(absmax(weights), weights.length, bits)));
}

/**
 * Native int8 Winograd computes in integers that are 576 times the sums, and converts back by a float multiplication:
 * exact while no sum of products exceeds this. (It wraps around at twice as much.)
 */
const winogradLimit = 1_864_136;
/** Room for weights that are not rounded to the nearest. */
const winogradMargin = 0.97;

/** The most that any sum of products with inputs of −127..127 (0..127 when they cannot be negative) can be. */
export function greatestSum(integers: ArrayLike<number>, isNonNegative: boolean): number {
  let positive = 0;
  let negative = 0;
  for (let i = 0; i < integers.length; i++) {
    if (integers[i] > 0) positive += integers[i];
    else negative -= integers[i];
  }
  return levels8 * (isNonNegative ? Math.max(positive, negative) : positive + negative);
}

/** Whether native Winograd is exact for every input. */
export function isWinogradSafe(
  layer: QuantizableLayer,
  integers: Int8Array,
  isNonNegative: boolean,
): boolean {
  if (!layer.isWinograd) return true;
  const n = layer.weightsPerScale;
  for (let k = 0; k < layer.scaleCount; k++) {
    if (greatestSum(integers.subarray(k * n, (k + 1) * n), isNonNegative) > winogradLimit) return false;
  }
  return true;
}

/**
 * As fine as is safe: 127 levels, in Winograd layers as many as keep every sum within native ncnn's exact range, which
 * are more than 31 unless the layer is wide. `isNonNegative` says that the layer's input never is negative. Channels
 * without weights get the finite scale 1.
 */
export function finestScales(layer: QuantizableLayer, isNonNegative: boolean): Float32Array {
  return eachScale(layer, (weights) => {
    const max = absmax(weights);
    if (max === 0) return 1;
    if (!layer.isWinograd) return fround(levels8 / max);
    const sum = greatestSum(weights, isNonNegative) / max;
    const safe = (winogradLimit * winogradMargin) / sum;
    return fround(Math.min(Math.max(safe, levels6), levels8) / max);
  });
}
