/** Swish (SiLU): x/(1+e^-x). */
import { elementwise } from "./_elementwise.ts";

export const swish = elementwise("Swish", 73, {}, () => (x) => x / (1 + Math.exp(-x)), {
  activation: () => ({ kind: "swish" }),
});
