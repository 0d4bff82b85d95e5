/** GELU: x·Φ(x), or the tanh approximation when `fast_gelu`. */
import { int } from "../ir/op.ts";
import { elementwise } from "./_elementwise.ts";
import { erfc } from "./error-function.ts";

export const gelu = elementwise(
  "GELU",
  80,
  { fast_gelu: int(0) },
  ({ fast_gelu }) =>
    fast_gelu
      ? (x) => 0.5 * x * (1 + Math.tanh(0.79788452 * (x + 0.044715 * x ** 3)))
      : (x) => 0.5 * x * erfc(-Math.SQRT1_2 * x),
  { activation: ({ fast_gelu }) => (fast_gelu ? { kind: "gelu" } : undefined) },
);
