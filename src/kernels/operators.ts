/** What kernels of every backend are asked for by the same names. */

export const binaryOperators = ["add", "sub", "mul", "div", "max", "min", "rsub", "rdiv"] as const;

/** `max` looks over NaN, as ncnn's pooling does; `greatest` and `least` give NaN where there is one, as reductions do. */
export type PoolingOperator = "max" | "average" | "greatest" | "least";

/** a op b; `rsub` and `rdiv` are b − a and b / a. */
export type BinaryOperator = (typeof binaryOperators)[number];
