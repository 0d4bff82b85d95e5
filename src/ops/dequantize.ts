/** Dequantize: integers to float, x·scale + bias, with one value or one for every channel of each. */
import { defineOp, int } from "../ir/op.ts";
import { weightToFloat32 } from "../ir/weight.ts";
import { dequantize as dequantizeValue } from "./int8.ts";
import { mapChannels, requireChannels } from "./shapes.ts";

export const dequantize = defineOp({
  type: "Dequantize",
  typeIndex: 58,
  int8Inputs: true,
  params: { scale_data_size: int(0, 1), bias_data_size: int(1) },
  weights: (p) => [
    { name: "scale", count: p.scale_data_size, kind: "raw" },
    ...(p.bias_data_size ? [{ name: "bias", count: p.bias_data_size, kind: "raw" as const }] : []),
  ],
  shape: ([input], p) => {
    if (p.scale_data_size !== 1) requireChannels("scale_data_size", p.scale_data_size, input);
    if (p.bias_data_size > 1) requireChannels("bias_data_size", p.bias_data_size, input);
    return [input];
  },
  reference: ([input], p, weights) => {
    const scale = weightToFloat32(weights.scale);
    const bias = p.bias_data_size ? weightToFloat32(weights.bias) : [0];
    const at = (values: ArrayLike<number>, c: number): number => values[values.length > 1 ? c : 0];
    return [mapChannels(input, (x, c) => dequantizeValue(x, at(scale, c), at(bias, c)))];
  },
});
