/**
 * What the values of blobs look like over many pictures: range, and a histogram of magnitudes whose range grows as
 * needed, so that one pass is enough. Counts are exact and do not depend on the order of the pictures: observations made
 * by several workers or machines merge to the very same result.
 */
import { expectKind } from "../base/arguments.ts";
import { GraphError } from "../base/errors.ts";
import { type Extremes, elementCount, type Tensor } from "../ir/tensor.ts";
import { census, chunk } from "./_census.ts";

/**
 * Bins of a histogram. Their width is a power of two and the range is used by more than half, so that 64 to 128 of them
 * make one of the 2048 bins that the kl search works on, whose choice between near-ties hangs on single counts.
 */
export const binCount = 2 ** 18;
/** Width of the bins at first: no value that is nearer to 0 than this can matter beside any other. */
const leastWidth = 2 ** -60;
/** Values beyond this are taken for a broken model, not for a large activation. */
const largest = 2 ** 100;

function bump(bins: Uint32Array | Float64Array, places: Int32Array, count: number): void {
  for (let i = 0; i < count; i++) bins[places[i]]++;
}

function checked(absmax: number): number {
  if (absmax < largest) return absmax;
  throw new GraphError(`a value is ${Number.isNaN(absmax) ? "NaN" : absmax}`);
}

/** What was seen of one blob: range, maxima of its channels, and a histogram. */
export class BlobObservation {
  min = Number.POSITIVE_INFINITY;
  max = Number.NEGATIVE_INFINITY;
  images = 0;
  /** Values counted, and those among them that are exactly 0, which no bin counts. */
  count = 0;
  zeros = 0;
  /** Most values that one picture had. */
  elements = 0;
  binWidth = leastWidth;
  /** Bin i counts the values with `i·binWidth ≤ |x| < (i+1)·binWidth`, x ≠ 0. */
  bins: Uint32Array | Float64Array = new Uint32Array(binCount);
  /** No bin counts anything yet: the width can change for free. */
  isEmpty = true;
  /** Greatest magnitude by channel (outermost axis); empty when pictures differ in the number of channels. */
  channelMax: Float32Array | undefined;

  get absmax(): number {
    return this.images ? Math.max(Math.abs(this.min), Math.abs(this.max)) : 0;
  }

  /** Adds the values of one picture. Throws GraphError at a value that is not finite. */
  add({ shape, data: values }: Tensor): void {
    const data = values instanceof Float32Array ? values : Float32Array.from(values);
    const channels = shape[0];
    const size = data.length / channels;
    this.reserve(data.length);
    // Bins that are widened after the first values are bins that are added up.
    if (this.isEmpty) this.grow(this.absmaxOf(data));
    const maxima = new Float32Array(channels);
    for (let c = 0; c < channels; c++) {
      maxima[c] = this.addValues(data.subarray(c * size, (c + 1) * size));
    }
    this.addImage(data.length, maxima);
  }

  /** Adds a picture of which only the extremes are known: no bin counts its values. Throws GraphError at one that is not finite. */
  addExtremes({ shape, least, greatest }: Extremes): void {
    const maxima = new Float32Array(shape[0]);
    for (let c = 0; c < maxima.length; c++) {
      maxima[c] = checked(Math.max(-least[c], greatest[c]));
      this.min = Math.min(this.min, least[c]);
      this.max = Math.max(this.max, greatest[c]);
    }
    this.addImage(elementCount(shape), maxima);
  }

  private addImage(elements: number, maxima: Float32Array): void {
    this.images++;
    this.elements = Math.max(this.elements, elements);
    this.mergeChannels(maxima);
  }

  /** Counts the values of one channel; the result is their greatest magnitude. */
  private addValues(data: Float32Array): number {
    const { look, places } = census();
    let most = 0;
    for (let first = 0; first < data.length; first += chunk) {
      const part = data.subarray(first, first + chunk);
      const { binWidth } = this;
      let { min, max, zeros, placed } = look(part, 1 / binWidth);
      const absmax = checked(Math.max(-min, max));
      this.grow(absmax);
      if (this.binWidth !== binWidth) ({ placed } = look(part, 1 / this.binWidth));
      if (absmax > 0) this.isEmpty = false;
      bump(this.bins, places, placed);
      this.bins[0] += part.length - placed - zeros;
      this.zeros += zeros;
      this.min = Math.min(this.min, min);
      this.max = Math.max(this.max, max);
      most = Math.max(most, absmax);
    }
    return most;
  }

  private absmaxOf(data: Float32Array): number {
    let most = 0;
    for (let first = 0; first < data.length; first += chunk) {
      const { min, max } = census().look(data.subarray(first, first + chunk), 1);
      most = Math.max(most, checked(Math.max(-min, max)));
    }
    return most;
  }

  /** Counts values in advance, and widens the counters before they could overflow. */
  reserve(more: number): void {
    this.count += more;
    if (this.count >= 2 ** 32 && this.bins instanceof Uint32Array) this.bins = Float64Array.from(this.bins);
  }

  /** Makes bins wide enough for a magnitude: every doubling adds neighbours up, which loses nothing. */
  private grow(magnitude: number): void {
    while (magnitude >= this.binWidth * binCount) {
      const { bins } = this;
      if (this.isEmpty) {
        this.binWidth *= 2;
        continue;
      }
      for (let i = 0; i < binCount / 2; i++) bins[i] = bins[2 * i] + bins[2 * i + 1];
      bins.fill(0, binCount / 2);
      this.binWidth *= 2;
    }
  }

  private mergeChannels(maxima: Float32Array): void {
    if (!this.channelMax) this.channelMax = maxima;
    else if (this.channelMax.length !== maxima.length) this.channelMax = new Float32Array(0);
    else this.channelMax = this.channelMax.map((value, c) => Math.max(value, maxima[c]));
  }

  /** Adds what another observation of the same blob has seen. */
  merge(other: BlobObservation): void {
    this.reserve(other.count);
    if (other.binWidth > this.binWidth) this.grow(other.binWidth * (binCount / 2));
    const ratio = other.binWidth / this.binWidth;
    this.isEmpty &&= other.isEmpty;
    for (let i = 0; i < binCount; i++) this.bins[Math.floor(i * ratio)] += other.bins[i];
    this.min = Math.min(this.min, other.min);
    this.max = Math.max(this.max, other.max);
    this.images += other.images;
    this.zeros += other.zeros;
    this.elements = Math.max(this.elements, other.elements);
    if (other.channelMax) this.mergeChannels(other.channelMax);
  }

  write(): WrittenObservation {
    const { min, max, images, count, zeros, elements, binWidth, isEmpty, channelMax } = this;
    const bins = packCounts(this.bins);
    return { min, max, images, count, zeros, elements, binWidth, isEmpty, channelMax, bins };
  }

  static read({ bins, count, ...written }: WrittenObservation): BlobObservation {
    const observation = Object.assign(new BlobObservation(), written);
    observation.reserve(count);
    unpackCounts(bins, observation.bins);
    return observation;
  }

  /** Sum of squares, to the width of a bin. */
  get energy(): number {
    let sum = 0;
    for (let i = 0; i < binCount; i++) sum += this.bins[i] * ((i + 0.5) * this.binWidth) ** 2;
    return sum;
  }

  /** Share of the values whose magnitude is above a threshold, 0..1. */
  shareAbove(threshold: number): number {
    let above = 0;
    const first = Math.floor(threshold / this.binWidth) + 1;
    for (let i = Math.max(first, 0); i < binCount; i++) above += this.bins[i];
    return this.count ? above / this.count : 0;
  }
}

/** Counts, most of them small, in as many bytes of seven bits as each needs; what is 0 at the end is left out. */
function packCounts(counts: ArrayLike<number>): Uint8Array {
  let used = counts.length;
  while (used > 0 && counts[used - 1] === 0) used--;
  let bytes = new Uint8Array(2 * used + 16);
  let at = 0;
  for (let i = 0; i < used; i++) {
    if (at + 8 > bytes.length) {
      const more = new Uint8Array(2 * bytes.length);
      more.set(bytes);
      bytes = more;
    }
    let count = counts[i];
    for (; count >= 128; count = Math.floor(count / 128)) bytes[at++] = (count % 128) + 128;
    bytes[at++] = count;
  }
  return bytes.slice(0, at);
}

function unpackCounts(bytes: Uint8Array, counts: Uint32Array | Float64Array): void {
  let [bin, factor] = [0, 1];
  for (let at = 0; at < bytes.length; at++) {
    counts[bin] += (bytes[at] % 128) * factor;
    if (bytes[at] >= 128) factor *= 128;
    else [bin, factor] = [bin + 1, 1];
  }
}

/** An observation as plain data. */
export interface WrittenObservation
  extends Pick<BlobObservation, "min" | "max" | "images" | "count" | "zeros" | "elements" | "binWidth"> {
  readonly isEmpty: boolean;
  readonly channelMax: Float32Array | undefined;
  /** Packed. */
  readonly bins: Uint8Array;
}

/** Counts of `count` equal bins over [0, absmax]; the values of a fine bin are spread evenly over it. */
export function rebin({ bins, binWidth, absmax }: BlobObservation, count: number): Float64Array {
  const out = new Float64Array(count);
  const perWidth = count / absmax;
  for (let i = 0; i < binCount; i++) {
    if (bins[i] === 0) continue;
    const low = i * binWidth * perWidth;
    const high = Math.min((i + 1) * binWidth * perWidth, count);
    const first = Math.min(Math.floor(low), count - 1);
    const last = Math.min(Math.floor(high), count - 1);
    if (first === last) out[first] += bins[i];
    else {
      // Coarse bins are wider than fine ones: at most two are met.
      const share = (last - low) / (high - low);
      out[first] += bins[i] * share;
      out[last] += bins[i] * (1 - share);
    }
  }
  return out;
}

/** Observations of several blobs, by blob name. */
export type Observations = Map<string, BlobObservation>;

/** Adds one picture's blobs, or their extremes. Throws GraphError that names the blob where a value is not finite. */
export function observe(observations: Observations, blobs: Record<string, Tensor | Extremes>): void {
  for (const [blob, seen] of Object.entries(blobs)) {
    let observation = observations.get(blob);
    if (!observation) {
      observation = new BlobObservation();
      observations.set(blob, observation);
    }
    try {
      if ("data" in seen) observation.add(seen);
      else observation.addExtremes(seen);
    } catch (error) {
      if (!(error instanceof GraphError)) throw error;
      throw new GraphError(`blob "${blob}": ${error.message}; the model is broken`);
    }
  }
}

/** Adds `other` to `observations`. Throws GraphError when they are of different blobs. */
export function mergeObservations(observations: Observations, other: Observations): void {
  expectKind("mergeObservations: observations", observations, "a map");
  expectKind("mergeObservations: other", other, "a map");
  const differing = [...new Set([...observations.keys(), ...other.keys()])].find(
    (blob) => observations.has(blob) !== other.has(blob),
  );
  if (differing !== undefined && observations.size > 0) {
    throw new GraphError(
      `observations of different models cannot be merged: only one has blob "${differing}"`,
    );
  }
  for (const [blob, observation] of other) {
    const known = observations.get(blob) ?? new BlobObservation();
    known.merge(observation);
    observations.set(blob, known);
  }
}
