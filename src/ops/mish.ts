/** Mish: x·tanh(ln(1+e^x)). */
import { mish as f } from "./_activation.ts";
import { elementwise } from "./_elementwise.ts";

export const mish = elementwise("Mish", 71, {}, () => f, { activation: () => ({ kind: "mish" }) });
