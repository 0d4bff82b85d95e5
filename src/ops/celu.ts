/** CELU: x, or alpha·(e^(x/alpha) - 1) below zero. */
import { float } from "../ir/op.ts";
import { elementwise } from "./_elementwise.ts";

export const celu = elementwise(
  "CELU",
  102,
  { alpha: float(0, 1) },
  ({ alpha }) =>
    (x) =>
      x < 0 ? alpha * Math.expm1(x / alpha) : x,
);
