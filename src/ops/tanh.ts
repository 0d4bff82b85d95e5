/** TanH. */
import { elementwise } from "./_elementwise.ts";

export const tanh = elementwise("TanH", 35, {}, () => Math.tanh, { activation: () => ({ kind: "tanh" }) });
