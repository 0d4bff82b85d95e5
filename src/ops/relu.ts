/** ReLU: max(x, 0), or x·slope below zero. On int8 blobs it acts on the integers, as requantized graphs need. */
import { defineOp, float } from "../ir/op.ts";

export const relu = defineOp({
  type: "ReLU",
  typeIndex: 26,
  int8Inputs: true,
  pointwise: true,
  homogeneous: true,
  activation: ({ slope }) => (slope === 0 ? { kind: "relu" } : { kind: "leakyRelu", slope }),
  params: { slope: float(0) },
  shape: ([input]) => [input],
  reference: ([input], { slope }) => [
    { shape: input.shape, data: input.data.map((x) => (x > 0 ? x : x * slope)) },
  ],
});
