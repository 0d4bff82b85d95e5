/** The end of kernels that compute in float32, in every backend: which constants it reads of each group of four channels. */

/** What of an epilogue decides that. */
export interface EpilogueShape {
  /**
   * `f32`: accumulators begin at the bias and are finished sums; `i32`: they are dequantized, acc·scale + bias;
   * `none`: the kernel has no constants of its own (pooling, resize).
   */
  readonly accumulator: "f32" | "i32" | "none";
  /** i32 only: the accumulators begin at a correction vector instead of 0. */
  readonly correction: boolean;
  readonly steps: readonly { readonly kind: string }[];
  readonly stores: readonly { readonly dtype: "f32" | "i8" }[];
}

export type EpilogueVector =
  | "bias"
  | "scale"
  | "correction"
  | `${"factor" | "shift" | "requantize"}${number}`;

/** The constant vectors of a group of four channels, in memory order. `factorN` and `shiftN` belong to step N, `requantizeN` to store N. */
export function epilogueVectors(spec: EpilogueShape): EpilogueVector[] {
  const vectors: EpilogueVector[] = [];
  if (spec.accumulator === "i32") vectors.push("scale", "bias");
  if (spec.accumulator === "f32") vectors.push("bias");
  if (spec.correction) vectors.push("correction");
  spec.steps.forEach(({ kind }, i) => {
    if (kind === "scale") vectors.push(`factor${i}`, `shift${i}`);
  });
  spec.stores.forEach((store, i) => {
    if (store.dtype === "i8") vectors.push(`requantize${i}`);
  });
  return vectors;
}
