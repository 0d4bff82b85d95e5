/**
 * Clipping thresholds of activations from their histograms: what magnitude becomes 127. All are pure functions of an
 * observation. Sources: kl, aciq as ncnn tools/quantize/ncnn2table.cpp.
 */
import { type BlobObservation, binCount, rebin } from "./observe.ts";

const fround = Math.fround;

/** The greatest magnitude: nothing is clipped. */
export function minmaxThreshold(observation: BlobObservation): number {
  return observation.absmax;
}

/** The magnitude below which `percent` of all values lie (zeros included), to the width of a bin. */
export function percentileThreshold(observation: BlobObservation, percent = 99.99): number {
  let allowed = observation.count * (1 - percent / 100);
  for (let i = binCount - 1; i >= 0; i--) {
    allowed -= observation.bins[i];
    if (allowed < 0) return Math.min((i + 1) * observation.binWidth, observation.absmax);
  }
  return observation.absmax;
}

/** `aciq`: the range and number of values give the deviation of a Gaussian, the number of bits a multiple of it. */
export function aciqThreshold(absmax: number, count: number, bits: 6 | 8 = 8): number {
  const gaussian = 0.175 * (1 + Math.sqrt(Math.PI * Math.log(4)));
  const deviation = (fround(absmax) * 2 * gaussian) / Math.sqrt(2 * Math.log(count));
  return fround(fround(bits === 8 ? 3.92403714 : 3.28691474) * deviation);
}

/** Greatest number of thresholds that `mse` tries, evenly spaced in their logarithm from 1/16 of the range up. */
const mseCandidates = 96;

/** Bins that are looked at as one: still more than a hundred a rounding step. */
const mseGrouping = 8;

/** The threshold with the least mean squared error of the rounded values. */
export function mseThreshold(observation: BlobObservation): number {
  const { absmax } = observation;
  const histogram = grouped(observation, mseGrouping);
  let best = absmax;
  let least = Number.POSITIVE_INFINITY;
  for (let k = 0; k <= mseCandidates; k++) {
    const threshold = absmax * 16 ** (-k / mseCandidates);
    const error = histogramError(histogram, threshold);
    if (error < least) [least, best] = [error, threshold];
  }
  return best;
}

/** Sum of squared rounding and clipping errors of all values, when `threshold` becomes 127. */
export function squaredError(observation: BlobObservation, threshold: number): number {
  return histogramError(grouped(observation, mseGrouping), threshold);
}

interface Histogram {
  readonly counts: Float64Array;
  readonly width: number;
}

/** The histogram with `size` bins made into one, as far as there are values. */
function grouped({ bins, binWidth, absmax }: BlobObservation, size: number): Histogram {
  const width = binWidth * size;
  const counts = new Float64Array(Math.min(Math.floor(absmax / width) + 1, binCount / size));
  for (let i = 0, bin = 0; i < counts.length; i++) {
    let sum = 0;
    for (const end = bin + size; bin < end; bin++) sum += bins[bin];
    counts[i] = sum;
  }
  return { counts, width };
}

function histogramError({ counts, width }: Histogram, threshold: number): number {
  const step = threshold / 127;
  if (!(step > 0)) return counts.length > 1 ? Number.POSITIVE_INFINITY : 0;
  let sum = 0;
  for (let i = 0; i < counts.length; i++) {
    if (counts[i] === 0) continue;
    const x = (i + 0.5) * width;
    const error = x - Math.min(Math.round(x / step), 127) * step;
    sum += counts[i] * error * error;
  }
  return sum;
}

const klBins = 2048;
const klLevels = 128;
const klEpsilon = 1e-4;

/**
 * The threshold whose clipped and coarsened distribution is nearest to the real one by Kullback-Leibler divergence.
 * Zeros do not count. The official tool sums in float32; sums here are in double, so that a near-tie may fall on the
 * neighbouring bin. 0 for a blob that is all zero.
 */
export function klThreshold(observation: BlobObservation): number {
  const { absmax } = observation;
  return absmax === 0 ? 0 : klFromCounts(rebin(observation, klBins), absmax);
}

/** The same from the counts of 2048 equal bins over [0, absmax]. */
export function klFromCounts(counts: Float64Array, absmax: number): number {
  const p = normalized(counts);
  const cumulative = prefixSums(p);
  let best = klLevels;
  let least = Number.POSITIVE_INFINITY;
  for (let t = klLevels; t < klBins; t++) {
    const divergence = klDivergence(p, cumulative, t);
    if (divergence < least) [least, best] = [divergence, t];
  }
  return fround(fround((best + 0.5) * fround(absmax)) / klBins);
}

function normalized(counts: Float64Array): Float64Array {
  const total = counts.reduce((a, b) => a + b, 0);
  return counts.map((count) => count / total);
}

function prefixSums(p: Float64Array): Float64Array {
  const sums = new Float64Array(p.length + 1);
  for (let i = 0; i < p.length; i++) sums[i + 1] = sums[i] + p[i];
  return sums;
}

/**
 * Divergence of P (bins below t, the tail added to the last) from E (the same bins merged into 128 equal levels and
 * spread again); both with epsilon added to each bin. Bins inside one level share their E, so that their logarithm is
 * taken once: two a level instead of one a bin.
 */
function klDivergence(p: Float64Array, cumulative: Float64Array, t: number): number {
  const ratio = t / klLevels;
  const tail = cumulative[klBins] - cumulative[t];
  const upTo = (x: number): number => {
    const whole = Math.floor(x);
    return cumulative[whole] + (x > whole ? (x - whole) * p[whole] : 0);
  };
  const mass = (from: number, to: number): number =>
    cumulative[to] - cumulative[from] + klEpsilon * (to - from) + (from < t && to === t ? tail : 0);
  let cross = 0;
  let previous = 0;
  let previousUpTo = 0;
  for (let j = 0; j < klLevels; j++) {
    const start = j * ratio;
    const end = j === klLevels - 1 ? t : (j + 1) * ratio;
    const endUpTo = upTo(end);
    const level = (endUpTo - previousUpTo) / ratio;
    previousUpTo = endUpTo;
    const firstWhole = Math.ceil(start);
    const lastWhole = Math.floor(end);
    if (firstWhole > start) {
      const overlap = firstWhole - start;
      const expanded = klEpsilon + previous * (1 - overlap) + level * overlap;
      cross += mass(firstWhole - 1, firstWhole) * Math.log(expanded);
    }
    if (lastWhole > firstWhole) cross += mass(firstWhole, lastWhole) * Math.log(klEpsilon + level);
    previous = level;
  }
  return entropyUpTo(p, t, tail) - cross;
}

const entropyCache = new WeakMap<Float64Array, Float64Array>();

/** Σ P·ln P over the bins below t, with the tail in the last. */
function entropyUpTo(p: Float64Array, t: number, tail: number): number {
  let sums = entropyCache.get(p);
  if (!sums) {
    sums = prefixSums(p.map((value) => (value + klEpsilon) * Math.log(value + klEpsilon)));
    entropyCache.set(p, sums);
  }
  const last = p[t - 1] + klEpsilon + tail;
  return sums[t - 1] + last * Math.log(last);
}
