/** Descriptions of layers that apply one function to every value. */
import { defineOp, type Op, type ParamSpecs, type ParamValues } from "../ir/op.ts";

/** An operator with one input and one output of the same shape; results are rounded to float32. `facts` are those of `Op`. */
export function elementwise<S extends ParamSpecs>(
  type: string,
  typeIndex: number,
  params: S,
  makeFunction: (p: ParamValues<S>) => (x: number) => number,
  facts: Pick<Op<S>, "activation" | "homogeneous"> = {},
): Op<S> {
  return defineOp<S>({
    type,
    typeIndex,
    params,
    pointwise: true,
    ...facts,
    shape: ([input]) => [input],
    reference: ([input], p) => {
      const f = makeFunction(p);
      const out = new Float32Array(input.data.length);
      for (let i = 0; i < out.length; i++) out[i] = f(input.data[i]);
      return [{ shape: input.shape, data: out }];
    },
  });
}
