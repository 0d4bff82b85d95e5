/** Erf: the error function. */

import { elementwise } from "./_elementwise.ts";
import { erf as f } from "./error-function.ts";

export const erf = elementwise("Erf", 100, {}, () => f);
