/** Embed: a row of a table for every index of the input, which is rank 1 and holds whole numbers. */
import { GraphError } from "../base/errors.ts";
import { defineOp, int } from "../ir/op.ts";
import { elementCount } from "../ir/tensor.ts";
import { weightToFloat32 } from "../ir/weight.ts";

export const embed = defineOp({
  type: "Embed",
  typeIndex: 12,
  params: {
    num_output: int(0),
    input_dim: int(1),
    bias_term: int(2),
    weight_data_size: int(3),
    int8_scale_term: int(18),
  },
  // Weight layout: [input_dim, num_output].
  weights: (p) => [
    { name: "weight", count: p.weight_data_size, kind: "tagged" },
    ...(p.bias_term ? [{ name: "bias", count: p.num_output, kind: "raw" as const }] : []),
    ...(p.int8_scale_term ? [{ name: "weight_scale", count: 1, kind: "raw" as const }] : []),
  ],
  shape: ([input], p) => {
    const expected = p.num_output * p.input_dim;
    if (p.weight_data_size !== expected || expected < 1) {
      throw new GraphError(`weight_data_size is ${p.weight_data_size}, expected ${expected}`);
    }
    return [[elementCount(input), p.num_output]];
  },
  reference: ([input], p, weights, [shape]) => {
    const table = weightToFloat32(weights.weight);
    const bias = p.bias_term ? weightToFloat32(weights.bias) : undefined;
    const factor = p.int8_scale_term ? Math.fround(1 / weightToFloat32(weights.weight_scale)[0]) : 1;
    const width = p.num_output;
    const data = new Float32Array(elementCount(shape));
    for (let i = 0; i < data.length; i++) {
      const index = Math.min(Math.max(Math.trunc(input.data[Math.floor(i / width)]), 0), p.input_dim - 1);
      data[i] = table[index * width + (i % width)] * factor + (bias ? bias[i % width] : 0);
    }
    return [{ shape, data }];
  },
});
