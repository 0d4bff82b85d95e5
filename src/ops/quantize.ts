/** Quantize: float to int8 with one scale or one for every channel. */
import { defineOp, int } from "../ir/op.ts";
import { weightToFloat32 } from "../ir/weight.ts";
import { quantize as quantizeValue } from "./int8.ts";
import { mapChannels, requireChannels } from "./shapes.ts";

export const quantize = defineOp({
  type: "Quantize",
  typeIndex: 57,
  params: { scale_data_size: int(0, 1) },
  weights: ({ scale_data_size }) => [{ name: "scale", count: scale_data_size, kind: "raw" }],
  shape: ([input], { scale_data_size }) => {
    if (scale_data_size !== 1) requireChannels("scale_data_size", scale_data_size, input);
    return [input];
  },
  reference: ([input], { scale_data_size }, weights) => {
    const scale = weightToFloat32(weights.scale);
    const out = mapChannels(input, (x, c) => quantizeValue(x, scale[scale_data_size > 1 ? c : 0]));
    return [{ shape: out.shape, data: Int8Array.from(out.data) }];
  },
});
