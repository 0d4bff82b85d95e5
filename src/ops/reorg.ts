/** Reorg (space to depth): every stride×stride block of pixels becomes channels. */
import { GraphError } from "../base/errors.ts";
import { defineOp, int, type Op } from "../ir/op.ts";
import type { Shape, Tensor } from "../ir/tensor.ts";
import { emptyLike, requireRank } from "./shapes.ts";

type Blocks = ReturnType<NonNullable<Op["blocks"]>>;

export const reorg = defineOp({
  type: "Reorg",
  typeIndex: 55,
  int8Inputs: true,
  moves: true,
  // Mode 0: output channel c·s² + sh·s + sw; mode 1: (sh·s + sw)·inputChannels + c.
  params: { stride: int(0, 1), mode: int(1) },
  shape: ([input], { stride }) => [blocksShape(input, stride)],
  reference: ([input], p, _, [shape]) => [takeBlocks(input, blocks(p), shape)],
  blocks,
});

function blocks({ stride: s, mode }: { readonly stride: number; readonly mode: number }): Blocks {
  return {
    size: s,
    source: (k, c) => {
      const cell = mode === 0 ? k % (s * s) : Math.floor(k / c);
      return { channel: mode === 0 ? Math.floor(k / (s * s)) : k % c, y: Math.floor(cell / s), x: cell % s };
    },
  };
}

/** Rows and columns beyond the last whole block are dropped. Throws GraphError. */
export function blocksShape(input: Shape, size: number): Shape {
  requireRank(input, [3]);
  const [c, h, w] = input;
  if (size < 1) throw new GraphError(`stride is ${size}, expected at least 1`);
  return [c * size * size, Math.floor(h / size), Math.floor(w / size)];
}

export function takeBlocks({ shape: from, data: source }: Tensor, blocks: Blocks, shape: Shape): Tensor {
  const [c, h, w] = from;
  const [channels, outH, outW] = shape;
  const s = blocks.size;
  const data = emptyLike(source, channels * outH * outW);
  let o = 0;
  for (let k = 0; k < channels; k++) {
    const first = blocks.source(k, c);
    const corner = (first.channel * h + first.y) * w + first.x;
    for (let y = 0; y < outH; y++) {
      for (let x = 0; x < outW; x++) data[o++] = source[corner + y * s * w + x * s];
    }
  }
  return { shape, data };
}
