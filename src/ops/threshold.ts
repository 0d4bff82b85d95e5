/** Threshold: 1 above the threshold, else 0. */
import { float } from "../ir/op.ts";
import { elementwise } from "./_elementwise.ts";

export const threshold = elementwise(
  "Threshold",
  36,
  { threshold: float(0) },
  ({ threshold }) =>
    (x) =>
      x > threshold ? 1 : 0,
);
