/** BNLL: ln(1 + e^x), the Caffe layer. */
import { elementwise } from "./_elementwise.ts";

export const bnll = elementwise(
  "BNLL",
  4,
  {},
  () => (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))),
);
