/** Split: copies of its input, one for every reader. Files only; the graph lets a blob have many readers. */
import { defineOp } from "../ir/op.ts";

export const split = defineOp({
  type: "Split",
  typeIndex: 33,
  int8Inputs: true,
  moves: true,
  params: {},
  outputs: [1, Number.POSITIVE_INFINITY],
  shape: ([input], _, outputs) => new Array(outputs).fill(input),
  reference: ([input], _p, _w, outputShapes) => outputShapes.map(() => input),
});
