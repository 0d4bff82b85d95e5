/** Scale: x·scale (+ bias) for every channel; the scale may be a second input. */
import { GraphError } from "../base/errors.ts";
import { defineOp, int } from "../ir/op.ts";
import { elementCount } from "../ir/tensor.ts";
import { weightToFloat32 } from "../ir/weight.ts";
import { mapChannels, requireChannels } from "./shapes.ts";

/** As `scale_data_size`: the scale is the second input. */
const fromInput = -233;

export const scale = defineOp({
  type: "Scale",
  typeIndex: 29,
  params: { scale_data_size: int(0), bias_term: int(1) },
  inputs: [1, 2],
  weights: ({ scale_data_size: count, bias_term }) => {
    if (count === fromInput) return [];
    const scaleSpec = { name: "scale", count, kind: "raw" as const };
    return bias_term ? [scaleSpec, { name: "bias", count, kind: "raw" }] : [scaleSpec];
  },
  shape: ([input, scaleShape], { scale_data_size, bias_term }) => {
    if (scale_data_size !== fromInput) {
      requireChannels("scale_data_size", scale_data_size, input);
    } else {
      if (!scaleShape) throw new GraphError("scale_data_size -233 calls for a second input");
      if (bias_term)
        throw new GraphError("bias_term 1 with a scale from the second input has no bias to load");
      requireChannels("the size of the scale", elementCount(scaleShape), input);
    }
    return [input];
  },
  reference: ([input, scaleInput], { bias_term }, weights) => {
    const factor = scaleInput ? scaleInput.data : weightToFloat32(weights.scale);
    const bias = bias_term ? weightToFloat32(weights.bias) : undefined;
    return [mapChannels(input, (x, c) => x * factor[c] + (bias ? bias[c] : 0))];
  },
});
