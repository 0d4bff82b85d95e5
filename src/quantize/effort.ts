/** How much work is put into int8: how many pictures are looked at, beyond the ranges of activations, which all are. */

export const efforts = ["fast", "normal", "high"] as const;
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

/** docs/quantization.md has what each takes and gives. */
export const picturesOf: { readonly [E in Effort]: Pictures } = {
  fast: { equalize: 16, correct: 48, guard: 8, sensitivity: 2 },
  normal: { equalize: 32, correct: 128, guard: 12, sensitivity: 4 },
  high: { equalize: 64, correct: 512, guard: 32, sensitivity: 8 },
};
