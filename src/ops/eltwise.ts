/** Eltwise: product, (weighted) sum or maximum of blobs of one shape. */
import { GraphError } from "../base/errors.ts";
import { defineOp, floats, int } from "../ir/op.ts";
import { formatShape, sameShape } from "../ir/tensor.ts";

export const eltwiseTypes = { product: 0, sum: 1, max: 2 } as const;

const operators = ["mul", "add", "max"];

export const eltwise = defineOp({
  type: "Eltwise",
  typeIndex: 10,
  params: { op_type: int(0), coeffs: floats(1) },
  inputs: [2, Number.POSITIVE_INFINITY],
  arithmetic: ({ op_type, coeffs }) => {
    const isWeighted = op_type === eltwiseTypes.sum && coeffs.some((factor) => factor !== 1);
    return isWeighted ? undefined : { operator: operators[op_type] };
  },
  shape: (inputs, { op_type, coeffs }) => {
    if (![0, 1, 2].includes(op_type)) {
      throw new GraphError(`op_type is ${op_type}, expected 0 (product), 1 (sum) or 2 (max)`);
    }
    if (coeffs.length && coeffs.length < inputs.length) {
      throw new GraphError(`${coeffs.length} coefficients for ${inputs.length} inputs`);
    }
    const odd = inputs.find((shape) => !sameShape(shape, inputs[0]));
    if (odd) throw new GraphError(`shapes differ: ${formatShape(inputs[0])} and ${formatShape(odd)}`);
    return [inputs[0]];
  },
  reference: (inputs, { op_type, coeffs }) => {
    const isSum = op_type === eltwiseTypes.sum;
    const factor = (i: number): number => (isSum && coeffs.length ? coeffs[i] : 1);
    const data = Float32Array.from(inputs[0].data, (x) => x * factor(0));
    inputs.slice(1).forEach((input, at) => {
      const k = factor(at + 1);
      for (let i = 0; i < data.length; i++) {
        const x = input.data[i];
        data[i] = isSum
          ? data[i] + k * x
          : op_type === eltwiseTypes.product
            ? data[i] * x
            : Math.max(data[i], x);
      }
    });
    return [{ shape: inputs[0].shape, data }];
  },
});
