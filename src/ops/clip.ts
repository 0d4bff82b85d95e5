/** Clip: clamp(x, min, max). */
import { float } from "../ir/op.ts";
import { elementwise } from "./_elementwise.ts";

/** The greatest float32, which stands for no limit. */
export const largest = 3.4028234663852886e38;

export const clip = elementwise(
  "Clip",
  54,
  { min: float(0, -largest), max: float(1, largest) },
  ({ min, max }) =>
    (x) =>
      Math.min(Math.max(x, min), max),
  { activation: ({ min, max }) => ({ kind: "clip", min, max }) },
);
