/** Mish: x·tanh(ln(1+e^x)). */

import { elementwise } from "./_elementwise.ts";
import { mish as f } from "./activations.ts";

export const mish = elementwise("Mish", 71, {}, () => f, { activation: () => ({ kind: "mish" }) });
