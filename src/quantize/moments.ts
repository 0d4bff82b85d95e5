/**
 * Second moments of what the weights of a layer meet: the statistics that weight rounding and bias correction need.
 * A *patch* is the part of a layer's input that one row of its weights is multiplied with at one output position.
 */
import type { Random } from "../base/random.ts";
import { paramsOf } from "../ir/graph.ts";
import type { Tensor } from "../ir/tensor.ts";
import { quantize } from "../ops/_int8.ts";
import { windowAxes } from "../ops/_spatial.ts";
import { ops } from "../ops/index.ts";
import type { QuantizableLayer } from "./layers.ts";

/** Positions sampled from each picture and layer. */
const samplesPerImage = 32;

export class PatchMoments {
  readonly layer: QuantizableLayer;
  /** Groups of the layer, each with its own input channels. */
  readonly groups: number;
  /** Length of a patch: the weights of one output channel. */
  readonly length: number;
  count = 0;
  /** Sums over the samples, by group: of the float patch, of the rounded patch `[groups, length]`. */
  readonly sum: Float64Array;
  readonly roundedSum: Float64Array;
  /** Sum of the products of rounded values, `[groups, length, length]`; the upper triangle. */
  readonly products: Float64Array;

  constructor(layer: QuantizableLayer) {
    this.layer = layer;
    const p = paramsOf(layer.node, ops) as Record<string, number>;
    this.groups = layer.node.type === "ConvolutionDepthWise" ? p.group : 1;
    this.length = layer.weights.length / layer.outputChannels;
    this.sum = new Float64Array(this.groups * this.length);
    this.roundedSum = new Float64Array(this.groups * this.length);
    this.products = new Float64Array(this.groups * this.length * this.length);
  }

  /** Samples the input of the layer in one picture; `scale` is the activation scale that it will be rounded with. */
  add(input: Tensor, scale: number, random: Random): void {
    const patch = new Float32Array(this.length);
    const rounded = new Float32Array(this.length);
    const read = patchReader(this.layer, input);
    const samples = Math.min(samplesPerImage, read.positions);
    for (let s = 0; s < samples; s++) {
      const position = samples === read.positions ? s : random.int(0, read.positions - 1);
      for (let g = 0; g < this.groups; g++) {
        read.patch(g, position, patch);
        for (let i = 0; i < patch.length; i++) rounded[i] = quantize(patch[i], scale) / scale;
        this.accumulate(g, patch, rounded);
      }
    }
    this.count += samples;
  }

  private accumulate(group: number, patch: Float32Array, rounded: Float32Array): void {
    const { length: n, sum, roundedSum, products } = this;
    const at = group * n;
    for (let i = 0; i < n; i++) {
      sum[at + i] += patch[i];
      roundedSum[at + i] += rounded[i];
      const x = rounded[i];
      if (x === 0) continue;
      const row = (at + i) * n;
      for (let j = i; j < n; j++) products[row + j] += x * rounded[j];
    }
  }
}

export interface PatchReader {
  /** Number of output positions. */
  readonly positions: number;
  patch(group: number, position: number, out: Float32Array): void;
}

/** Reads patches of one input of a layer; padding reads as 0. */
export function patchReader(
  { node, weightsPerScale }: QuantizableLayer,
  { shape, data }: Tensor,
): PatchReader {
  if (node.type === "InnerProduct") {
    return {
      positions: data.length / weightsPerScale,
      patch: (_, position, out) => {
        for (let i = 0; i < out.length; i++) out[i] = data[position * out.length + i];
      },
    };
  }
  const p = paramsOf(node, ops) as Parameters<typeof windowAxes>[1] & { group?: number };
  const { x, y } = windowAxes(shape, p);
  const [channels, height, width] = shape;
  const groupIn = channels / (node.type === "ConvolutionDepthWise" ? (p.group ?? 1) : 1);
  return {
    positions: y.output * x.output,
    patch: (group, position, out) => {
      const top = Math.floor(position / x.output) * y.stride - y.padBefore;
      const left = (position % x.output) * x.stride - x.padBefore;
      let at = 0;
      for (let c = 0; c < groupIn; c++) {
        const plane = (group * groupIn + c) * height * width;
        for (let ky = 0; ky < p.kernel_h; ky++) {
          const row = top + ky * y.dilation;
          for (let kx = 0; kx < p.kernel_w; kx++) {
            const column = left + kx * x.dilation;
            const inside = row >= 0 && row < height && column >= 0 && column < width;
            out[at++] = inside ? data[plane + row * width + column] : 0;
          }
        }
      }
    },
  };
}
