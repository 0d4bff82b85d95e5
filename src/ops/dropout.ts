/** Dropout: at inference a multiplication by `scale`, which is 1 in nearly all files. */
import { float } from "../ir/op.ts";
import { elementwise } from "./_elementwise.ts";

export const dropout = elementwise(
  "Dropout",
  9,
  { scale: float(0, 1) },
  ({ scale }) =>
    (x) =>
      x * scale,
  { homogeneous: true },
);
