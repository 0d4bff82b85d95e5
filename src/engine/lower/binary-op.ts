import { type BinaryOperator, binaryOperators } from "../../kernels/operators.ts";
import { binaryOpTypes } from "../../ops/binary-op.ts";
import { addBinary, addElementwise, fuseScalar } from "./_arithmetic.ts";
import type { Layer } from "./layer.ts";

/** BinaryOp of two blobs, or of one and a number. */
export function binaryOp(layer: Layer): boolean {
  const { views, node, p } = layer;
  const name = binaryOpTypes[p.op_type];
  if (!(binaryOperators as readonly string[]).includes(name)) return false;
  const operator = name as BinaryOperator;
  const [from] = node.inputs;
  if (p.with_scalar) {
    if (views.isInteger(from)) return false;
    return fuseScalar(layer, operator, p.b) || addElementwise(layer, operator, from, p.b);
  }
  return addBinary(layer, operator);
}
