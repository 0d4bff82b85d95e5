/** conv(x) → Scale or Bias: moves into the weights and the bias. */
import { foldPass } from "./_fold.ts";
import { scaleAffine } from "./merge-scale.ts";

export const foldScale = foldPass("fold-scale", ({ reader }) => scaleAffine(reader));
