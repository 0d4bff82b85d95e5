/** Shrink: 0 within ±lambda, outside moved towards zero by bias. */
import { float } from "../ir/op.ts";
import { elementwise } from "./_elementwise.ts";

export const shrink = elementwise(
  "Shrink",
  103,
  { bias: float(0), lambda: float(1, 0.5) },
  ({ bias, lambda }) =>
    (x) =>
      x < -lambda ? x + bias : x > lambda ? x - bias : 0,
);
