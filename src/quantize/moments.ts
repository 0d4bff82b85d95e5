/**
 * Second moments of what the weights of a layer meet: the statistics that weight rounding and bias correction need.
 * A *patch* is the part of a layer's input that one row of its weights is multiplied with at one output position.
 */
import { ExactSums, type WrittenSums } from "../base/exact-sum.ts";
import type { Random } from "../base/random.ts";
import { opOf, paramsOf } from "../ir/graph.ts";
import type { Tensor } from "../ir/tensor.ts";
import { ops } from "../ops/index.ts";
import { quantize } from "../ops/int8.ts";
import { type FocusMap, noFocus } from "./focus.ts";
import type { QuantizableLayer } from "./layers.ts";

/**
 * Positions sampled from each picture and layer: many while there are few samples, since too few make rounding fit chance
 * (a thousand cost 2 dB at the outputs of yolov5ss), fewer then.
 */
const firstSamples = 128;
const laterSamples = 48;
const enough = 4096;

export class PatchMoments {
  readonly layer: QuantizableLayer;
  /** Groups of the layer, each with its own input channels. */
  readonly groups: number;
  /** Length of a patch: the weights of one output channel. */
  readonly length: number;
  count = 0;
  /** Sums over the samples: of the float patches `[groups, length]`, */
  readonly sums: ExactSums;
  /** of the rounded patches, in units of 1/scale, */
  readonly roundedSum: Float64Array;
  /** and of products of two values of a rounded patch, `[groups, length, length]`, upper triangles, in 1/scale². */
  readonly products: Float64Array;
  /** Activation scale of the layer. */
  readonly scale: number;

  constructor(layer: QuantizableLayer, scale: number) {
    this.layer = layer;
    this.scale = scale;
    this.groups = layer.groups;
    this.length = layer.weights.length / layer.outputChannels;
    this.sums = new ExactSums(this.groups * this.length);
    this.roundedSum = new Float64Array(this.groups * this.length);
    this.products = new Float64Array(this.groups * this.length * this.length);
  }

  /**
   * Samples the float input of the layer in picture number `index`: half of it where objects are, if there are any. `random` is drawn
   * from as often as `drawsBefore` counts.
   */
  add(input: Tensor, index: number, random: Random, focus: FocusMap = noFocus): void {
    const { groups, length: n, roundedSum, scale } = this;
    const read = patchReader(this.layer, input);
    const samples = samplesOf(index, read.positions);
    const places = focus.places(read.height, read.width);
    const positions = Array.from({ length: samples }, (_, s) => {
      if (samples === read.positions) return s;
      const isAtObject = places.length > 0 && s % 2 === 1;
      return isAtObject ? places[random.int(0, places.length - 1)] : random.int(0, read.positions - 1);
    });
    const patch = new Float32Array(n);
    const block = new Float32Array(n * samples);
    const sum = new Float64Array(groups * n);
    for (let g = 0; g < groups; g++) {
      for (let s = 0; s < samples; s++) {
        read.patch(g, positions[s], patch);
        for (let i = 0; i < n; i++) {
          const q = quantize(patch[i], scale);
          sum[g * n + i] += patch[i];
          roundedSum[g * n + i] += q;
          block[i * samples + s] = q;
        }
      }
      addProducts(block, n, samples, this.products.subarray(g * n * n, (g + 1) * n * n));
    }
    for (let i = 0; i < sum.length; i++) this.sums.add(i, sum[i]);
    this.count += samples;
  }

  /** Numbers that `add` draws for the pictures before number `index`, if all are of this size. */
  drawsBefore(index: number, input: Tensor): number {
    const { positions } = patchReader(this.layer, input);
    const drawn = (samples: number): number => (samples === positions ? 0 : samples);
    const early = Math.min(index, earlyPictures(positions));
    return (
      early * drawn(samplesOf(0, positions)) + (index - early) * drawn(Math.min(laterSamples, positions))
    );
  }

  /** Adds what was sampled of other pictures. */
  merge(other: PatchMoments): void {
    this.count += other.count;
    this.sums.merge(other.sums);
    for (let i = 0; i < this.roundedSum.length; i++) this.roundedSum[i] += other.roundedSum[i];
    for (let i = 0; i < this.products.length; i++) this.products[i] += other.products[i];
  }

  write(): WrittenMoments {
    const { count, sums, roundedSum, products } = this;
    return { count, sums: sums.write(), roundedSum, products };
  }

  /** Takes what `write` of moments of the same layer and scale gave. */
  static read(layer: QuantizableLayer, scale: number, written: WrittenMoments): PatchMoments {
    const moments = new PatchMoments(layer, scale);
    moments.count = written.count;
    moments.sums.merge(ExactSums.read(written.sums));
    moments.roundedSum.set(written.roundedSum);
    moments.products.set(written.products);
    return moments;
  }
}

/** Moments as plain data. */
export interface WrittenMoments {
  readonly count: number;
  readonly sums: WrittenSums;
  readonly roundedSum: Float64Array;
  readonly products: Float64Array;
}

/** So many pictures give the samples that are enough. */
const earlyPictures = (positions: number): number => Math.ceil(enough / Math.min(firstSamples, positions));
/** Samples of picture number `index`: not by how many there are already, which hangs on the order of pictures. */
const samplesOf = (index: number, positions: number): number =>
  Math.min(index < earlyPictures(positions) ? firstSamples : laterSamples, positions);

/** Adds the products of all pairs of rows of `block [n, samples]`; of integers, so that sums are exact in any order. */
function addProducts(block: Float32Array, n: number, samples: number, products: Float64Array): void {
  for (let i = 0; i < n; i++) {
    const a = i * samples;
    for (let j = i; j < n; j++) {
      const b = j * samples;
      let even = 0;
      let odd = 0;
      let s = 0;
      for (; s + 1 < samples; s += 2) {
        even += block[a + s] * block[b + s];
        odd += block[a + s + 1] * block[b + s + 1];
      }
      if (s < samples) even += block[a + s] * block[b + s];
      products[i * n + j] += even + odd;
    }
  }
}

export interface PatchReader {
  /** Number of output positions, and how they lie. */
  readonly positions: number;
  readonly height: number;
  readonly width: number;
  patch(group: number, position: number, out: Float32Array): void;
}

/** Reads patches of one input of a layer, padding included. */
export function patchReader(
  { node, groups, weightsPerScale }: QuantizableLayer,
  { shape, data }: Tensor,
): PatchReader {
  const window = opOf(node, ops).window?.(shape, paramsOf(node, ops));
  if (!window) {
    const positions = data.length / weightsPerScale;
    return {
      positions,
      height: 1,
      width: positions,
      patch: (_, position, out) => {
        for (let i = 0; i < out.length; i++) out[i] = data[position * out.length + i];
      },
    };
  }
  const { x, y } = window;
  const pad = (paramsOf(node, ops).pad_value as number | undefined) ?? 0;
  const [channels, height, width] = shape;
  const groupIn = channels / groups;
  return {
    positions: y.output * x.output,
    height: y.output,
    width: x.output,
    patch: (group, position, out) => {
      const top = Math.floor(position / x.output) * y.stride - y.padBefore;
      const left = (position % x.output) * x.stride - x.padBefore;
      let at = 0;
      for (let c = 0; c < groupIn; c++) {
        const plane = (group * groupIn + c) * height * width;
        for (let ky = 0; ky < y.kernel; ky++) {
          const row = top + ky * y.dilation;
          for (let kx = 0; kx < x.kernel; kx++) {
            const column = left + kx * x.dilation;
            const inside = row >= 0 && row < height && column >= 0 && column < width;
            out[at++] = inside ? data[plane + row * width + column] : pad;
          }
        }
      }
    },
  };
}
