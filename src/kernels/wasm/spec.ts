/**
 * What every kernel generator is told: plain records without pointers. Two steps with equal specs share one function.
 *
 * Pictures lie in memory as `[row][pixel][slot]` (NHWC): a slot is a channel position, their number a multiple of 4, so
 * that vectors of four channels may be stored without masks. Byte strides are constants of the kernel; base addresses are
 * arguments.
 */
import { type Activation, lowestOf } from "../../base/activation.ts";
import type { BinaryOperator } from "../operators.ts";

/** Where a kernel writes its result. A kernel may write several representations of the same values. */
export interface StoreSpec {
  readonly dtype: "f32" | "i8";
  readonly pixelBytes: number;
  readonly rowBytes: number;
  /** i8 only: stored as q + zeroPoint in an unsigned byte, for dot products that take one unsigned operand. */
  readonly zeroPoint: number;
  /** i8 only: smaller and larger integers become these. */
  readonly least: number;
  readonly most: number;
}

/** Done to each result before it is stored, in this order. */
export type EpilogueStep =
  | { readonly kind: "activation"; readonly activation: Activation }
  /** Arithmetic with a number as the second operand. */
  | { readonly kind: "scalar"; readonly operator: BinaryOperator; readonly value: number }
  /** x·factor + bias with a vector of each for every channel group, rounded once. */
  | { readonly kind: "scale" }
  /** Adds a float32 picture of the same size; its strides in bytes. */
  | { readonly kind: "residual"; readonly pixelBytes: number; readonly rowBytes: number };

/** What the machine offers, as probed. */
export interface Target {
  /** `f32x4.relaxed_madd` and the other relaxed instructions are there. */
  readonly relaxed: boolean;
  /** `f32x4.relaxed_madd` rounds once. */
  readonly fusedMadd: boolean;
  /** `i32x4.relaxed_laneselect` goes by the sign of the mask. */
  readonly signSelect: boolean;
  /**
   * Does relaxed dot products in exact instructions, as a machine of this kind would: so plans for other machines can be
   * tested. `signed` and `unsigned` name the range of the second operand; `i7` ignores its uppermost bit.
   */
  readonly emulateDot?: "signed" | "unsigned" | "i7";
}

/** The lowest number that these steps can leave, -Infinity where there is none. */
export function lowestAfter(steps: readonly EpilogueStep[]): number {
  const last = steps.at(-1);
  return last?.kind === "activation" ? lowestOf(last.activation) : Number.NEGATIVE_INFINITY;
}
