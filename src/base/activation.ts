/** Activations by name: what an operator stands for (`Op.activation`) and a kernel computes before it stores. */

/** Each is one function of a value; `hardSwish` is x·clamp(alpha·x + beta, 0, 1), `gelu` the approximation by tanh. */
export type Activation =
  | { readonly kind: "relu" | "sigmoid" | "swish" | "mish" | "tanh" | "gelu" }
  | { readonly kind: "leakyRelu"; readonly slope: number }
  | { readonly kind: "clip"; readonly min: number; readonly max: number }
  | { readonly kind: "hardSwish" | "hardSigmoid"; readonly alpha: number; readonly beta: number };
