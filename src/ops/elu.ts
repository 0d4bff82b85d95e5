/** ELU: x, or alpha·(e^x - 1) below zero. The default alpha is 0.1. */
import { float } from "../ir/op.ts";
import { elementwise } from "./_elementwise.ts";

export const elu = elementwise(
  "ELU",
  11,
  { alpha: float(0, 0.1) },
  ({ alpha }) =>
    (x) =>
      x < 0 ? alpha * Math.expm1(x) : x,
);
