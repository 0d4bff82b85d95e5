/**
 * What every kernel generator is told: plain records without pointers. Two steps with equal specs share one function.
 *
 * Pictures lie in memory as `[row][pixel][slot]` (NHWC): a slot is a channel position, their number a multiple of 4, so
 * that vectors of four channels may be stored without masks. Byte strides are constants of the kernel; base addresses are
 * arguments.
 */

export type Activation =
  | { readonly kind: "relu" | "sigmoid" | "swish" | "mish" | "tanh" | "gelu" }
  | { readonly kind: "leakyRelu"; readonly slope: number }
  | { readonly kind: "clip"; readonly min: number; readonly max: number }
  | { readonly kind: "hardSwish" | "hardSigmoid"; readonly alpha: number; readonly beta: number };

/** Where a kernel writes its result. A kernel may write several representations of the same values. */
export interface StoreSpec {
  readonly dtype: "f32" | "i8";
  readonly pixelBytes: number;
  readonly rowBytes: number;
  /** i8 only: stored as q + 128 in an unsigned byte, for dot products that take one unsigned operand. */
  readonly biased: boolean;
}

/** Done to each result before it is stored, in this order. */
export type EpilogueStep =
  | { readonly kind: "activation"; readonly activation: Activation }
  /** Adds a float32 picture of the same size; its strides in bytes. */
  | { readonly kind: "residual"; readonly pixelBytes: number; readonly rowBytes: number };

/** What the machine offers, as probed. */
export interface Target {
  /** `f32x4.relaxed_madd` and the other relaxed instructions are there. */
  readonly relaxed: boolean;
  /** `f32x4.relaxed_madd` rounds once. */
  readonly fusedMadd: boolean;
  /**
   * Does relaxed dot products in exact instructions, as a machine of this kind would: so plans for other machines can be
   * tested. `signed` and `unsigned` name the range of the second operand; `i7` ignores its uppermost bit.
   */
  readonly emulateDot?: "signed" | "unsigned" | "i7";
}

/** Whether results are known not to be negative after these steps. */
export function isNonNegative(steps: readonly EpilogueStep[]): boolean {
  const last = steps.at(-1);
  if (last?.kind !== "activation") return false;
  const { activation } = last;
  if (activation.kind === "clip") return activation.min >= 0;
  return ["relu", "sigmoid", "hardSigmoid"].includes(activation.kind);
}
