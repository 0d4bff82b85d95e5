/** Softplus: ln(1 + e^x). */
import { elementwise } from "./_elementwise.ts";

export const softplus = elementwise(
  "Softplus",
  77,
  {},
  () => (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))),
);
