/** Flatten: the same values as rank 1. */
import { defineOp } from "../ir/op.ts";
import { elementCount } from "../ir/tensor.ts";

export const flatten = defineOp({
  type: "Flatten",
  typeIndex: 14,
  int8Inputs: true,
  moves: true,
  params: {},
  shape: ([input]) => [[elementCount(input)]],
  reference: ([input], _p, _w, [shape]) => [{ shape, data: input.data }],
});
