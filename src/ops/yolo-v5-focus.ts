/**
 * YoloV5Focus: the custom layer of the well-known recipe for YOLOv5 up to 5.0, put by hand in place of the slices. It stacks the
 * pixels of 2×2 blocks column by column, unlike Reorg. Native ncnn needs its class registered; `convert` writes none.
 */
import { defineOp } from "../ir/op.ts";
import { blocksShape, takeBlocks } from "./reorg.ts";

const blocks: Parameters<typeof takeBlocks>[1] = {
  size: 2,
  source: (k, channels) => {
    const cell = Math.floor(k / channels);
    return { channel: k % channels, y: cell % 2, x: cell >> 1 };
  },
};

export const yoloV5Focus = defineOp({
  type: "YoloV5Focus",
  // The first custom layer that a program registers.
  typeIndex: 256,
  int8Inputs: true,
  moves: true,
  params: {},
  shape: ([input]) => [blocksShape(input, blocks.size)],
  reference: ([input], _p, _w, [shape]) => [takeBlocks(input, blocks, shape)],
  blocks: () => blocks,
});
