import type { BinaryOperator } from "../../kernels/operators.ts";
import { eltwiseTypes } from "../../ops/eltwise.ts";
import { addBinary } from "./_arithmetic.ts";
import type { Layer } from "./layer.ts";

const operators: Readonly<Record<number, BinaryOperator>> = {
  [eltwiseTypes.product]: "mul",
  [eltwiseTypes.sum]: "add",
  [eltwiseTypes.max]: "max",
};

/** Eltwise of two blobs without coefficients. */
export function eltwise(layer: Layer): boolean {
  const coefficients = layer.p.coeffs as unknown as readonly number[];
  const operator = operators[layer.p.op_type];
  return operator !== undefined && coefficients.length === 0 && addBinary(layer, operator);
}
