/** Noop: output i is input i; it may have more inputs than outputs, to keep blobs from being graph outputs. */
import { GraphError } from "../base/errors.ts";
import { defineOp } from "../ir/op.ts";

export const noop = defineOp({
  type: "Noop",
  typeIndex: 68,
  int8Inputs: true,
  moves: true,
  params: {},
  inputs: [0, Number.POSITIVE_INFINITY],
  outputs: [0, Number.POSITIVE_INFINITY],
  shape: (inputs, _, outputs) => {
    if (outputs > inputs.length) throw new GraphError(`${outputs} outputs, but only ${inputs.length} inputs`);
    return inputs.slice(0, outputs);
  },
  reference: (inputs, _p, _w, outputShapes) => inputs.slice(0, outputShapes.length),
});
