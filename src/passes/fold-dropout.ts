/** fc(x) → Dropout, which is a factor at inference: moves into the weights. */
import { foldPass } from "./_fold.ts";
import { num } from "./_params.ts";

export const foldDropout = foldPass("fold-dropout", ({ reader }) => {
  if (reader.type !== "Dropout") return undefined;
  const scale = num(reader, "scale");
  return { channels: undefined, scale: () => scale, shift: () => 0 };
});
