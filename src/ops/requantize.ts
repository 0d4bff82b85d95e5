/** Requantize: integers to int8: quantize(activation(x·scale_in + bias), scale_out). */
import { defineOp, floats, int } from "../ir/op.ts";
import { weightToFloat32 } from "../ir/weight.ts";
import { activationFunction } from "./activations.ts";
import { dequantize, quantize } from "./int8.ts";
import { mapChannels, requireChannels } from "./shapes.ts";

export const requantize = defineOp({
  type: "Requantize",
  typeIndex: 63,
  int8Inputs: true,
  params: {
    scale_in_data_size: int(0, 1),
    scale_out_data_size: int(1, 1),
    bias_data_size: int(2),
    activation_type: int(3),
    activation_params: floats(4),
  },
  weights: (p) => [
    { name: "scale_in", count: p.scale_in_data_size, kind: "raw" },
    { name: "scale_out", count: p.scale_out_data_size, kind: "raw" },
    ...(p.bias_data_size ? [{ name: "bias", count: p.bias_data_size, kind: "raw" as const }] : []),
  ],
  shape: ([input], p) => {
    if (p.scale_in_data_size !== 1) requireChannels("scale_in_data_size", p.scale_in_data_size, input);
    if (p.scale_out_data_size !== 1) requireChannels("scale_out_data_size", p.scale_out_data_size, input);
    if (p.bias_data_size > 1) requireChannels("bias_data_size", p.bias_data_size, input);
    activationFunction(p.activation_type, p.activation_params);
    return [input];
  },
  reference: ([input], p, weights) => {
    const scaleIn = weightToFloat32(weights.scale_in);
    const scaleOut = weightToFloat32(weights.scale_out);
    const bias = p.bias_data_size ? weightToFloat32(weights.bias) : [0];
    const activation = activationFunction(p.activation_type, p.activation_params) ?? ((x: number) => x);
    const at = (values: ArrayLike<number>, c: number): number => values[values.length > 1 ? c : 0];
    const out = mapChannels(input, (x, c) =>
      quantize(Math.fround(activation(dequantize(x, at(scaleIn, c), at(bias, c)))), at(scaleOut, c)),
    );
    return [{ shape: out.shape, data: Int8Array.from(out.data) }];
  },
});
