/** Exp: base^(shift + x·scale); base -1 stands for e. */
import { float } from "../ir/op.ts";
import { elementwise } from "./_elementwise.ts";

export const exp = elementwise(
  "Exp",
  13,
  { base: float(0, -1), scale: float(1, 1), shift: float(2) },
  ({ base, scale, shift }) =>
    (x) =>
      base === -1 ? Math.exp(shift + x * scale) : base ** (shift + x * scale),
);
