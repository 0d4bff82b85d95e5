/** InnerProduct: fully connected layer with optional bias, fused activation and int8. */
import { GraphError } from "../base/errors.ts";
import { defineOp, int, type ParamValues, type WeightSpec } from "../ir/op.ts";
import { elementCount, formatShape, type Shape, type Tensor } from "../ir/tensor.ts";
import { type Weights, weightToFloat32 } from "../ir/weight.ts";
import { activationFunction, activationParams } from "./activations.ts";
import { dequantizeInSteps, dequantizeScale, quantize, quantizeArray } from "./int8.ts";

const innerProductParams = {
  num_output: int(0),
  bias_term: int(1),
  weight_data_size: int(2),
  int8_scale_term: int(8),
  ...activationParams,
};
type P = ParamValues<typeof innerProductParams>;

export const innerProduct = defineOp({
  type: "InnerProduct",
  typeIndex: 15,
  linear: true,
  int8Form: ({ num_output }) => ({
    ...{ groups: 1, scaleCount: num_output, scaleTerm: 2 },
    ...{ requantizes: false, isWinograd: false },
  }),
  int8Inputs: true,
  params: innerProductParams,
  // Weight layout: [num_output, input].
  weights: (p) => {
    const specs: WeightSpec[] = [{ name: "weight", count: p.weight_data_size, kind: "tagged" }];
    if (p.bias_term) specs.push({ name: "bias", count: p.num_output, kind: "raw" });
    if (p.int8_scale_term) {
      specs.push({ name: "weight_scales", count: p.num_output, kind: "raw" });
      specs.push({ name: "bottom_scale", count: 1, kind: "raw" });
    }
    return specs;
  },
  shape: ([input], p) => [productShape(input, p)],
  reference: ([input], p, weights, [shape]) => [{ shape, data: multiply(input, p, weights) }],
  macs: ([input], _, p) =>
    p.weight_data_size * (isPerRow(input, p.weight_data_size / p.num_output) ? input[0] : 1),
});

export function productShape(input: Shape, p: P): Shape {
  if (p.num_output < 1) throw new GraphError(`num_output is ${p.num_output}, expected at least 1`);
  activationFunction(p.activation_type, p.activation_params);
  const size = p.weight_data_size / p.num_output;
  if (isPerRow(input, size)) return [input[0], p.num_output];
  if (elementCount(input) !== size) {
    throw new GraphError(
      `weight_data_size ${p.weight_data_size} calls for ${size} inputs, but ${formatShape(input)} has ${elementCount(input)}`,
    );
  }
  return [p.num_output];
}

/** Rank 2 with rows of the right size: the layer is applied to every row. */
const isPerRow = (input: Shape, size: number): boolean => input.length === 2 && input[1] === size;

export function multiply(input: Tensor, p: P, weights: Weights): Float32Array {
  const size = p.weight_data_size / p.num_output;
  const rows = input.data.length / size;
  const scales = p.int8_scale_term ? weightToFloat32(weights.weight_scales) : undefined;
  const bottomScale = p.int8_scale_term ? weightToFloat32(weights.bottom_scale)[0] : 1;
  const source =
    scales && input.data instanceof Float32Array ? quantizeArray(input.data, bottomScale) : input.data;
  let weight = weights.weight.storage === "i8" ? weights.weight.data : weightToFloat32(weights.weight);
  if (scales && weight instanceof Float32Array) {
    weight = Int8Array.from(weight, (v, i) => quantize(v, scales[Math.floor(i / size)]));
  }
  const bias = p.bias_term ? weightToFloat32(weights.bias) : new Float32Array(p.num_output);
  const activation = activationFunction(p.activation_type, p.activation_params);
  const out = new Float32Array(rows * p.num_output);
  for (let row = 0; row < rows; row++) {
    for (let k = 0; k < p.num_output; k++) {
      let sum = scales ? 0 : bias[k];
      for (let i = 0; i < size; i++) sum += weight[k * size + i] * source[row * size + i];
      const v = scales
        ? dequantizeInSteps(sum, dequantizeScale(bottomScale, scales[k]), bias[k])
        : Math.fround(sum);
      out[row * p.num_output + k] = activation ? activation(v) : v;
    }
  }
  return out;
}
