/** SELU: lambda·x, or lambda·alpha·(e^x - 1) below zero. */
import { float } from "../ir/op.ts";
import { elementwise } from "./_elementwise.ts";

export const selu = elementwise(
  "SELU",
  66,
  { alpha: float(0, 1.67326324), lambda: float(1, 1.050700987) },
  ({ alpha, lambda }) =>
    (x) =>
      lambda * (x < 0 ? alpha * Math.expm1(x) : x),
);
