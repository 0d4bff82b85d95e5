/** Pooling1D over [channels, w]. */
import { defineOp, type ParamValues } from "../ir/op.ts";
import { flatAxis, withHeight } from "./_one-dimensional.ts";
import { pool, poolingParams, poolingShape } from "./pooling.ts";

const {
  kernel_h: _k,
  stride_h: _s,
  pad_top: _t,
  pad_bottom: _b,
  out_h: _o,
  ...pooling1DParams
} = poolingParams;

const as2D = (p: ParamValues<typeof pooling1DParams>): ParamValues<typeof poolingParams> => ({
  ...p,
  ...flatAxis(p.pad_left),
  out_h: 1,
});

export const pooling1D = defineOp({
  type: "Pooling1D",
  typeIndex: 82,
  params: pooling1DParams,
  shape: ([input], p) => [poolingShape(withHeight(input), as2D(p)).filter((_, i) => i !== 1)],
  reference: ([input], p, _, [shape]) => [pool({ ...input, shape: withHeight(input.shape) }, as2D(p), shape)],
});
