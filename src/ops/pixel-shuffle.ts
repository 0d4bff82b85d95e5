/** PixelShuffle (depth to space): channels become r×r blocks of pixels. */
import { GraphError } from "../base/errors.ts";
import { defineOp, int } from "../ir/op.ts";
import { emptyLike, requireRank } from "./shapes.ts";

export const pixelShuffle = defineOp({
  type: "PixelShuffle",
  typeIndex: 69,
  int8Inputs: true,
  moves: true,
  // Mode 0: input channel p·r² + sh·r + sw; mode 1: (sh·r + sw)·outputChannels + p.
  params: { upscale_factor: int(0, 1), mode: int(1) },
  shape: ([input], { upscale_factor: r }) => {
    requireRank(input, [3]);
    const [c, h, w] = input;
    if (r < 1 || c % (r * r)) throw new GraphError(`${c} channels cannot become blocks of ${r}x${r} pixels`);
    return [[c / (r * r), h * r, w * r]];
  },
  reference: ([{ shape: from, data: source }], { upscale_factor: r, mode }, _, [shape]) => {
    const [, h, w] = from;
    const [channels, outH, outW] = shape;
    const data = emptyLike(source, source.length);
    let o = 0;
    for (let p = 0; p < channels; p++) {
      for (let y = 0; y < outH; y++) {
        for (let x = 0; x < outW; x++) {
          const cell = (y % r) * r + (x % r);
          const channel = mode === 0 ? p * r * r + cell : cell * channels + p;
          data[o++] = source[(channel * h + Math.floor(y / r)) * w + Math.floor(x / r)];
        }
      }
    }
    return [{ shape, data }];
  },
});
