/** Activations by name: what an operator stands for (`Op.activation`) and a kernel computes before it stores. */

/** Each is one function of a value; `hardSwish` is x·clamp(alpha·x + beta, 0, 1), `gelu` the approximation by tanh. */
export type Activation =
  | { readonly kind: "relu" | "sigmoid" | "swish" | "mish" | "tanh" | "gelu" }
  | { readonly kind: "leakyRelu"; readonly slope: number }
  | { readonly kind: "clip"; readonly min: number; readonly max: number }
  | { readonly kind: "hardSwish" | "hardSigmoid"; readonly alpha: number; readonly beta: number };

/** As a bound of a clip: none. A little less than the greatest float32, so that files hold it. */
export const unbounded = 3.4e38;

/** The lowest value of an activation, -Infinity where there is none. Rounded down: it is computed in float32. */
export function lowestOf(activation: Activation): number {
  switch (activation.kind) {
    case "relu":
    case "sigmoid":
    case "hardSigmoid":
      return 0;
    case "clip":
      // The upper bound is applied last.
      return Math.min(activation.min, activation.max);
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
