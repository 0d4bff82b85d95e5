/** What kernels of every backend are asked for by the same names. */

export const binaryOperators = ["add", "sub", "mul", "div", "max", "min", "rsub", "rdiv"] as const;

/** a op b; `rsub` and `rdiv` are b − a and b / a. */
export type BinaryOperator = (typeof binaryOperators)[number];
