/** Normalize: divides by the Euclidean norm over channels, space or both, then scales. Used by SSD. */
import { GraphError } from "../base/errors.ts";
import { defineOp, float, int, type ParamValues } from "../ir/op.ts";
import { elementCount } from "../ir/tensor.ts";
import { weightToFloat32 } from "../ir/weight.ts";
import { requireChannels, requireRank } from "./shapes.ts";

const normalizeParams = {
  across_spatial: int(0),
  across_channel: int(4, 1),
  channel_shared: int(1),
  eps: float(2, 1e-4),
  eps_mode: int(9),
  scale_data_size: int(3),
};
type P = ParamValues<typeof normalizeParams>;

/** 1/√Σx² kept away from infinity as Caffe, PyTorch and TensorFlow do it. */
function inverseNorm(sumOfSquares: number, { eps, eps_mode }: P): number {
  if (eps_mode === 0) return 1 / Math.sqrt(sumOfSquares + eps);
  if (eps_mode === 1) return 1 / Math.max(Math.sqrt(sumOfSquares), eps);
  return 1 / Math.sqrt(Math.max(sumOfSquares, eps));
}

export const normalize = defineOp({
  type: "Normalize",
  typeIndex: 46,
  params: normalizeParams,
  weights: ({ scale_data_size }) => [{ name: "scale", count: scale_data_size, kind: "raw" }],
  shape: ([input], p) => {
    requireRank(input, [3]);
    if (!p.across_spatial && !p.across_channel) {
      throw new GraphError("across_spatial (0) and across_channel (4) are both 0: nothing to normalize over");
    }
    if (p.channel_shared) {
      if (p.scale_data_size < 1) throw new GraphError("channel_shared (1=1) calls for one scale, found 0");
    } else requireChannels("scale_data_size", p.scale_data_size, input);
    return [input];
  },
  reference: ([{ shape, data }], p, weights) => {
    const scale = weightToFloat32(weights.scale);
    const plane = elementCount(shape.slice(1));
    // The sum that element i of channel c belongs to.
    const group = (c: number, i: number): number => (p.across_spatial ? (p.across_channel ? 0 : c) : i);
    const sums = new Float64Array(Math.max(plane, shape[0]));
    const out = new Float32Array(data.length);
    for (let at = 0; at < out.length; at++) sums[group(Math.floor(at / plane), at % plane)] += data[at] ** 2;
    for (let at = 0; at < out.length; at++) {
      const c = Math.floor(at / plane);
      out[at] = data[at] * inverseNorm(sums[group(c, at % plane)], p) * scale[p.channel_shared ? 0 : c];
    }
    return [{ shape, data: out }];
  },
});
