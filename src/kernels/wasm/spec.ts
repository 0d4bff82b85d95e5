/**
 * What every kernel generator is told: plain records without pointers. Two steps with equal specs share one function.
 *
 * Pictures lie in memory as `[row][pixel][slot]` (NHWC): a slot is a channel position, their number a multiple of 4, so
 * that vectors of four channels may be stored without masks. Byte strides are constants of the kernel; base addresses are
 * arguments.
 */
import type { Activation } from "../../base/activation.ts";

/** Where a kernel writes its result. A kernel may write several representations of the same values. */
export interface StoreSpec {
  readonly dtype: "f32" | "i8";
  readonly pixelBytes: number;
  readonly rowBytes: number;
  /** i8 only: stored as q + zeroPoint in an unsigned byte, for dot products that take one unsigned operand. */
  readonly zeroPoint: number;
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

/** The lowest number that these steps can leave, -Infinity where there is none. Rounded down: steps are computed in float32. */
export function lowestAfter(steps: readonly EpilogueStep[]): number {
  const last = steps.at(-1);
  if (last?.kind !== "activation") return Number.NEGATIVE_INFINITY;
  const { activation } = last;
  switch (activation.kind) {
    case "relu":
    case "sigmoid":
    case "hardSigmoid":
      return 0;
    case "clip":
      return activation.min;
    case "tanh":
      return -1;
    case "swish":
      return -0.2785;
    case "mish":
      return -0.3089;
    case "gelu":
      return -0.1701;
    case "hardSwish": {
      // x·(alpha·x + beta) has its minimum where alpha·x is -beta/2.
      const { alpha, beta } = activation;
      return alpha > 0 && beta >= 0 ? (-1.001 * beta * beta) / (4 * alpha) : Number.NEGATIVE_INFINITY;
    }
    case "leakyRelu":
      return Number.NEGATIVE_INFINITY;
  }
}
