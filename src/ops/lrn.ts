/** LRN: local response normalization, x·(bias + alpha/N·Σx²)^-beta over neighbours across or within channels. */
import { GraphError } from "../base/errors.ts";
import { defineOp, float, int, type ParamValues } from "../ir/op.ts";
import type { Tensor } from "../ir/tensor.ts";
import { requireRank } from "./shapes.ts";

export const lrnRegions = { acrossChannels: 0, withinChannel: 1 } as const;

const lrnParams = {
  region_type: int(0),
  local_size: int(1, 5),
  alpha: float(2, 1),
  beta: float(3, 0.75),
  bias: float(4, 1),
};

export const lrn = defineOp({
  type: "LRN",
  typeIndex: 18,
  params: lrnParams,
  shape: ([input], p) => {
    requireRank(input, [3]);
    if (p.local_size < 1) throw new GraphError(`local_size is ${p.local_size}, expected at least 1`);
    return [input];
  },
  reference: ([input], p) => {
    const isAcross = p.region_type === lrnRegions.acrossChannels;
    const sums = isAcross ? sumsAcross(input, p) : sumsWithin(input, p);
    const factor = p.alpha / (isAcross ? p.local_size : p.local_size ** 2);
    const out = new Float32Array(sums.length);
    for (let i = 0; i < out.length; i++) out[i] = input.data[i] * (p.bias + factor * sums[i]) ** -p.beta;
    return [{ shape: input.shape, data: out }];
  },
});

type P = ParamValues<typeof lrnParams>;

/** The window [from, to) around `at`, cut off at the border. */
function windowAround(at: number, size: number, extent: number): [number, number] {
  const before = Math.floor(size / 2);
  return [Math.max(at - before, 0), Math.min(at - before + size, extent)];
}

function sumsAcross({ shape, data }: Tensor, p: P): Float64Array {
  const plane = shape[1] * shape[2];
  const sums = new Float64Array(data.length);
  for (let c = 0; c < shape[0]; c++) {
    const [from, to] = windowAround(c, p.local_size, shape[0]);
    for (let k = from; k < to; k++) {
      for (let i = 0; i < plane; i++) sums[c * plane + i] += data[k * plane + i] ** 2;
    }
  }
  return sums;
}

function sumsWithin({ shape, data }: Tensor, p: P): Float64Array {
  const [channels, h, w] = shape;
  const sums = new Float64Array(data.length);
  for (let c = 0, o = 0; c < channels; c++) {
    for (let y = 0; y < h; y++) {
      const [top, bottom] = windowAround(y, p.local_size, h);
      for (let x = 0; x < w; x++, o++) {
        const [left, right] = windowAround(x, p.local_size, w);
        for (let iy = top; iy < bottom; iy++) {
          for (let ix = left; ix < right; ix++) sums[o] += data[(c * h + iy) * w + ix] ** 2;
        }
      }
    }
  }
  return sums;
}
