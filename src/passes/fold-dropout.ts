/** fc(x) → Dropout, which is a factor at inference: moves into the weights. */
import { match } from "../ir/graph.ts";
import { dropout } from "../ops/dropout.ts";
import { foldPass } from "./_fold.ts";

export const foldDropout = foldPass("fold-dropout", ({ reader }) => {
  const scale = match(reader, dropout)?.scale;
  if (scale === undefined) return undefined;
  return { channels: undefined, scale: () => scale, shift: () => 0 };
});
