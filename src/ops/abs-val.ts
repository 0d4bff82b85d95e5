/** AbsVal: |x|. */
import { elementwise } from "./_elementwise.ts";

export const absVal = elementwise("AbsVal", 0, {}, () => Math.abs);
