/** Sigmoid: 1/(1+e^-x). */
import { sigmoid as f } from "./_activation.ts";
import { elementwise } from "./_elementwise.ts";

export const sigmoid = elementwise("Sigmoid", 30, {}, () => f, { activation: () => ({ kind: "sigmoid" }) });
