/** Sigmoid: 1/(1+e^-x). */

import { elementwise } from "./_elementwise.ts";
import { sigmoid as f } from "./activations.ts";

export const sigmoid = elementwise("Sigmoid", 30, {}, () => f, { activation: () => ({ kind: "sigmoid" }) });
