/** conv(x) → BatchNorm: the normalisation moves into the weights and the bias. */
import { batchNormAffine } from "../ops/batch-norm.ts";
import { foldPass } from "./_fold.ts";
import { num } from "./_params.ts";

export const foldBatchNorm = foldPass("fold-batch-norm", ({ reader }) => {
  if (reader.type !== "BatchNorm") return undefined;
  const { scale, bias } = batchNormAffine(reader.weights, num(reader, "eps"));
  return { channels: num(reader, "channels"), scale: (c) => scale[c], shift: (c) => bias[c] };
});
