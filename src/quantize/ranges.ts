/**
 * What lies in each channel of a blob, coarsely: counts of magnitudes in bins an eighth of an octave wide. Enough to tell which
 * threshold would suit a channel if it had a scale of its own.
 */
import { GraphError, inContext } from "../base/errors.ts";
import { ExactSums, type WrittenSums } from "../base/exact-sum.ts";
import type { Tensor } from "../ir/tensor.ts";
import { type FocusMap, noFocus } from "./focus.ts";

/** Bins: the exponent of a float32 and the first three bits of its fraction, from 2^-25 to 2^12. */
const firstBin = (127 - 25) * 8;
const binCount = 37 * 8;
/** Thresholds that are tried, evenly spaced in their logarithm from the greatest magnitude to a 64th of it. */
const candidates = 73;
/** What an error by clipping counts beside one by rounding: it falls on the largest values, which are what tells objects. */
const clippingWeight = 4;

interface Channel {
  readonly counts: Float64Array;
  min: number;
  max: number;
}

/** Ranges as plain data. */
export interface WrittenRanges {
  readonly pixels: number;
  /** Of each channel. */
  readonly min: Float64Array;
  readonly max: Float64Array;
  readonly counts: readonly Float64Array[];
  readonly sums: WrittenSums;
}

export class ChannelRanges {
  private readonly channels: Channel[];
  /** What every value of a channel has been multiplied by since. */
  private readonly factors: readonly number[] | undefined;
  private pixels: number;
  /** Of the values of each channel. */
  private sums: ExactSums;

  constructor(of?: ChannelRanges, factors?: readonly number[]) {
    this.channels = of?.channels ?? [];
    this.pixels = of?.pixels ?? 0;
    this.sums = of?.sums ?? new ExactSums(0);
    this.factors = factors;
  }

  /** Throws GraphError where a blob has not always as many channels. */
  private expectChannels(count: number): void {
    if (!this.channels.length) {
      this.sums = new ExactSums(count);
      while (this.channels.length < count) {
        this.channels.push({ counts: new Float64Array(binCount), min: Infinity, max: -Infinity });
      }
    }
    if (count !== this.channels.length) {
      throw new GraphError(`found ${count} channels, expected ${this.channels.length} as in other pictures`);
    }
  }

  /** Adds one picture, `weights` times what is at each place of its channels. Throws GraphError at a value that is not finite. */
  add({ shape, data }: Tensor, weights?: Uint8Array): void {
    const count = shape[0];
    const size = data.length / count;
    const values = data instanceof Float32Array ? data : Float32Array.from(data);
    const bits = new Int32Array(values.buffer, values.byteOffset, values.length);
    const weightOf = weights ?? new Uint8Array(size).fill(1);
    this.expectChannels(count);
    for (let c = 0; c < count; c++) {
      const channel = this.channels[c];
      const { counts } = channel;
      let { min, max } = channel;
      let sum = 0;
      for (let place = 0, i = c * size; place < size; place++, i++) {
        const x = values[i];
        if (x > max) max = x;
        if (x < min) min = x;
        sum += x;
        const bin = ((bits[i] & 0x7fffffff) >>> 20) - firstBin;
        if (bin >= 0) counts[bin < binCount ? bin : binCount - 1] += weightOf[place];
      }
      if (!Number.isFinite(sum)) throw new GraphError(`a value is ${sum}`);
      Object.assign(channel, { min, max });
      this.sums.add(c, sum);
    }
    this.pixels += size;
  }

  /** Adds what was seen of other pictures; neither may be scaled. */
  merge(other: ChannelRanges): void {
    if (!other.channels.length) return;
    this.expectChannels(other.count);
    for (const [c, { counts, min, max }] of other.channels.entries()) {
      const channel = this.channels[c];
      for (let bin = 0; bin < binCount; bin++) channel.counts[bin] += counts[bin];
      channel.min = Math.min(channel.min, min);
      channel.max = Math.max(channel.max, max);
    }
    this.sums.merge(other.sums);
    this.pixels += other.pixels;
  }

  write(): WrittenRanges {
    return {
      pixels: this.pixels,
      min: Float64Array.from(this.channels, ({ min }) => min),
      max: Float64Array.from(this.channels, ({ max }) => max),
      counts: this.channels.map(({ counts }) => counts),
      sums: this.sums.write(),
    };
  }

  static read({ pixels, min, max, counts, sums }: WrittenRanges): ChannelRanges {
    const ranges = new ChannelRanges();
    ranges.pixels = pixels;
    ranges.sums = ExactSums.read(sums);
    ranges.channels.push(...counts.map((each, c) => ({ counts: each, min: min[c], max: max[c] })));
    return ranges;
  }

  /** The same, with every channel multiplied by a factor above 0. */
  scaled(factors: readonly number[]): ChannelRanges {
    return new ChannelRanges(this, factors);
  }

  private factor(channel: number): number {
    return this.factors?.[channel] ?? 1;
  }

  get count(): number {
    return this.channels.length;
  }
  min(channel: number): number {
    return this.channels[channel].min * this.factor(channel);
  }
  max(channel: number): number {
    return this.channels[channel].max * this.factor(channel);
  }
  mean(channel: number): number {
    return (this.sums.value(channel) / this.pixels) * this.factor(channel);
  }

  /**
   * The magnitude that should become `levels`, if the given channels (default all) share a scale: the one with the least mean
   * squared error, errors of a channel counted by its weight. 0 where all is zero.
   */
  threshold(
    channels: readonly number[] = this.channels.map((_, c) => c),
    { levels = 127, weights }: { levels?: number; weights?: ArrayLike<number> } = {},
  ): number {
    const most = Math.max(...channels.map((c) => Math.max(this.max(c), -this.min(c))));
    let best = most;
    let least = Number.POSITIVE_INFINITY;
    for (let k = 0; k < candidates && most > 0; k++) {
      const threshold = most * 64 ** (-k / (candidates - 1));
      let error = 0;
      for (const c of channels) {
        const weight = this.factor(c) ** 2 * (weights?.[c] ?? 1);
        if (weight > 0) error += weight * this.error(c, threshold / this.factor(c), levels);
      }
      if (error < least) [least, best] = [error, threshold];
    }
    return best;
  }

  /** Sum of squared errors before the factor: values below half a step become 0, those beyond the threshold are clipped. */
  private error(channel: number, threshold: number, levels: number): number {
    const step = threshold / levels;
    const { counts } = this.channels[channel];
    let sum = 0;
    for (let bin = 0; bin < binCount; bin++) {
      if (counts[bin] === 0) continue;
      const x = middles[bin];
      const error =
        x > threshold ? clippingWeight * (x - threshold) ** 2 : x < step / 2 ? x * x : step ** 2 / 12;
      sum += counts[bin] * error;
    }
    return sum;
  }
}

/** Ranges of several blobs, by name. */
export type Ranges = Map<string, ChannelRanges>;

/** Adds one picture's blobs, as far as they have planes. Throws GraphError that names the blob where a value is not finite. */
export function addRanges(
  ranges: Ranges,
  blobs: Readonly<Record<string, Tensor>>,
  focus: FocusMap = noFocus,
): void {
  for (const [blob, value] of Object.entries(blobs)) {
    if (value.shape.length !== 3) continue;
    const known = ranges.get(blob) ?? new ChannelRanges();
    ranges.set(blob, known);
    inContext(`blob "${blob}"`, () => known.add(value, focus.weights(value.shape)));
  }
}

/** The middle of every bin. */
const middles = Float64Array.from({ length: binCount }, (_, bin) => {
  const at = bin + firstBin;
  return 2 ** (Math.floor(at / 8) - 127) * (1 + ((at % 8) + 0.5) / 8);
});
