/** Reorg (space to depth): every stride×stride block of pixels becomes channels. */
import { GraphError } from "../base/errors.ts";
import { defineOp, int } from "../ir/op.ts";
import { emptyLike, requireRank } from "./_shape.ts";

export const reorg = defineOp({
  type: "Reorg",
  typeIndex: 55,
  int8Inputs: true,
  moves: true,
  // Mode 0: output channel c·s² + sh·s + sw; mode 1: (sh·s + sw)·inputChannels + c.
  params: { stride: int(0, 1), mode: int(1) },
  shape: ([input], { stride: s }) => {
    requireRank(input, [3]);
    const [c, h, w] = input;
    if (s < 1) throw new GraphError(`stride is ${s}, expected at least 1`);
    return [[c * s * s, Math.floor(h / s), Math.floor(w / s)]];
  },
  reference: ([{ shape: from, data: source }], { stride: s, mode }, _, [shape]) => {
    const [c, h, w] = from;
    const [channels, outH, outW] = shape;
    const data = emptyLike(source, channels * outH * outW);
    let o = 0;
    for (let k = 0; k < channels; k++) {
      const channel = mode === 0 ? Math.floor(k / (s * s)) : k % c;
      const cell = mode === 0 ? k % (s * s) : Math.floor(k / c);
      const corner = (channel * h + Math.floor(cell / s)) * w + (cell % s);
      for (let y = 0; y < outH; y++) {
        for (let x = 0; x < outW; x++) data[o++] = source[corner + y * s * w + x * s];
      }
    }
    return [{ shape, data }];
  },
});
