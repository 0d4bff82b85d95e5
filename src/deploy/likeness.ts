/** How much two networks' outputs are alike, over several pictures: in ratio to the difference, and in direction. */
import { ExactSums } from "../base/exact-sum.ts";
import type { HeadValues } from "../heads/kind.ts";
import type { Likeness } from "../heads/manifest.ts";
import type { Tensor } from "../ir/tensor.ts";

/** Ratios end here: equal values, or values that are not finite. */
const mostDecibels = 200;

/**
 * What counts of the energy of a channel's mean, which is the same in every picture: little, so that logits which are all about −6 do not
 * look alike whatever is lost of their differences; not nothing, so that a channel that never changes may move by a trifle.
 */
const meanShare = 0.01;

/** Sums over the values of a channel: of values, squares and products of both, and of squared differences. */
class Channel {
  private count = 0;
  private readonly sums = new ExactSums(6);

  add(a: Tensor["data"], b: Tensor["data"], from: number, to: number): void {
    this.count += to - from;
    const sums = [0, 0, 0, 0, 0, 0];
    for (let i = from; i < to; i++) {
      const [x, y] = [a[i], b[i]];
      sums[0] += x;
      sums[1] += y;
      sums[2] += x * x;
      sums[3] += y * y;
      sums[4] += x * y;
      sums[5] += (x - y) ** 2;
    }
    for (const [i, sum] of sums.entries()) this.sums.add(i, sum);
  }
  get noise(): number {
    return this.sums.value(5);
  }
  /** Energies with little of the mean, or as they are. */
  energies(isCentred: boolean): { signal: number; other: number; product: number } {
    const part = isCentred ? (1 - meanShare) / this.count : 0;
    const [a, b, aa, bb, ab] = this.sums.values;
    return {
      signal: Math.max(aa - a * a * part, 0),
      other: Math.max(bb - b * b * part, 0),
      product: ab - a * b * part,
    };
  }
}

/** Which values of a tensor belong together: all, or those of each index along an axis. */
type Values = Pick<HeadValues, "axis" | "from" | "count">;

/** The likeness of one part of the outputs, by the differences within channels. */
export class PartLikeness {
  readonly name: string;
  private readonly channels = new Map<string, Channel>();
  private isSingle = true;

  constructor(name: string) {
    this.name = name;
  }

  /** Adds values of the blob in one picture: of the float network and of the other, of one shape. */
  add(blob: string, float: Tensor, other: Tensor, { axis, from, count }: Values = wholeOf(float)): void {
    const extent = axis < 0 ? 1 : float.shape[axis];
    const inner = float.shape.slice(axis + 1).reduce((product, each) => product * each, 1);
    if (count * inner > 1) this.isSingle = false;
    for (let start = 0; start < float.data.length; start += extent * inner) {
      for (let k = from; k < from + count; k++) {
        const key = `${k} ${blob}`;
        const channel = this.channels.get(key) ?? new Channel();
        this.channels.set(key, channel);
        channel.add(float.data, other.data, start + k * inner, start + (k + 1) * inner);
      }
    }
  }

  result(): Likeness {
    let [signal, other, product, noise] = [0, 0, 0, 0];
    for (const channel of this.channels.values()) {
      const energies = channel.energies(!this.isSingle);
      signal += energies.signal;
      other += energies.other;
      product += energies.product;
      noise += channel.noise;
    }
    if (!Number.isFinite(noise)) return { name: this.name, sqnr: -mostDecibels, cosine: 0 };
    const sqnr = noise === 0 ? mostDecibels : 10 * Math.log10(signal / noise);
    const norm = Math.sqrt(signal * other);
    const cosine = norm > 0 ? product / norm : Number(noise === 0);
    return {
      name: this.name,
      sqnr: Math.min(Math.max(sqnr, -mostDecibels), mostDecibels),
      cosine: Math.min(Math.max(cosine, -1), 1),
    };
  }
}

/** Cells from which a plane is one of a picture, whose mean says something. */
const leastArea = 16;

/** Channels where the output is planes of a picture; else its values together, as classes are, whose mean over few pictures is no constant. */
function wholeOf({ shape }: Tensor): Values {
  const area = shape.slice(1).reduce((product, each) => product * each, 1);
  if (shape.length === 3 && area >= leastArea) return { axis: 0, from: 0, count: shape[0] };
  return { axis: -1, from: 0, count: 1 };
}
