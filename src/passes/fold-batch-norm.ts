/** conv(x) → BatchNorm: the normalisation moves into the weights and the bias. */
import { match } from "../ir/graph.ts";
import { batchNorm, batchNormAffine } from "../ops/batch-norm.ts";
import { foldPass } from "./_fold.ts";

export const foldBatchNorm = foldPass("fold-batch-norm", ({ reader }) => {
  const p = match(reader, batchNorm);
  if (!p) return undefined;
  const { scale, bias } = batchNormAffine(reader.weights, p.eps);
  return { channels: p.channels, scale: (c) => scale[c], shift: (c) => bias[c] };
});
