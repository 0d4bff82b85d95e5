/** Bias: adds a constant to every channel. */
import { defineOp, int } from "../ir/op.ts";
import { weightToFloat32 } from "../ir/weight.ts";
import { mapChannels, requireChannels, requireRank } from "./shapes.ts";

export const bias = defineOp({
  type: "Bias",
  typeIndex: 3,
  params: { bias_data_size: int(0) },
  weights: ({ bias_data_size }) => [{ name: "bias", count: bias_data_size, kind: "raw" }],
  shape: ([input], { bias_data_size }) => {
    requireRank(input, [3, 4]); // below, native ncnn adds the first value to everything
    requireChannels("bias_data_size", bias_data_size, input);
    return [input];
  },
  reference: ([input], _, weights) => {
    const values = weightToFloat32(weights.bias);
    return [mapChannels(input, (x, c) => x + values[c])];
  },
});
