/** Power: (shift + x·scale)^power. */
import { float } from "../ir/op.ts";
import { elementwise } from "./_elementwise.ts";

export const power = elementwise(
  "Power",
  22,
  { power: float(0, 1), scale: float(1, 1), shift: float(2) },
  ({ power, scale, shift }) =>
    (x) =>
      (shift + x * scale) ** power,
);
