/** Input: a blob that the caller feeds. Extents of 0 are unknown until then. */
import { GraphError } from "../base/errors.ts";
import { defineOp, inputType, int } from "../ir/op.ts";

export const input = defineOp({
  type: inputType,
  typeIndex: 16,
  source: "caller",
  params: { w: int(0), h: int(1), d: int(11), c: int(2) },
  inputs: [0, 0],
  shape: (_, p) => {
    const shape = [p.c, p.d, p.h, p.w].filter((extent) => extent > 0);
    if (shape.length === 0) throw new GraphError("the input has no shape in the file; give one");
    return [shape];
  },
  reference: () => {
    throw new GraphError("an Input node is fed, not run");
  },
});
