/** How much work is put into int8: how many pictures are looked at, beyond the ranges of activations, which all are. */

import { described } from "../base/arguments.ts";
import { UsageError } from "../base/errors.ts";

/** From the least work to the most. */
export const efforts = ["fast", "normal", "high"] as const;
/** How much work is put into int8. */
export type Effort = (typeof efforts)[number];

interface Pictures {
  /** Ranges of channels are taken of. */
  readonly equalize: number;
  /** Rounding, and what is left at the outputs, is measured on. */
  readonly correct: number;
  /** The guard compares. */
  readonly guard: number;
  /** Sensitivity of layers is measured on. */
  readonly sensitivity: number;
}

const pictures: { readonly [E in Effort]: Pictures } = {
  fast: { equalize: 16, correct: 48, guard: 8, sensitivity: 2 },
  normal: { equalize: 32, correct: 128, guard: 12, sensitivity: 4 },
  high: { equalize: 64, correct: 512, guard: 32, sensitivity: 8 },
};

/** So many are looked at. Throws UsageError for another word. */
export function picturesOf(effort: Effort): Pictures {
  if (Object.hasOwn(pictures, effort)) return pictures[effort];
  throw new UsageError(`effort is ${described(effort)}, expected one of ${efforts.join(", ")}`);
}
