/** Arithmetic on elements and channels. */
import type { Shape } from "../../../ir/tensor.ts";
import { binaryOpTypes, broadcast } from "../../../ops/binary-op.ts";
import { float } from "../model.ts";
import { type Exporter, type ExportRule, input, inputShape, simple } from "./context.ts";

/** ONNX broadcasts like numpy, ncnn from the outermost axis: both operands get one rank first. */
function operands(e: Exporter): string[] {
  const [a, b] = [inputShape(e, 0), inputShape(e, 1)];
  const raised = broadcast(a, b);
  return [raiseRank(e, input(e, 0), a, raised.a), raiseRank(e, input(e, 1), b, raised.b)];
}
function raiseRank(e: Exporter, value: string, shape: Shape, raised: Shape): string {
  if (shape.length === raised.length) return value;
  const missing = raised.length - shape.length;
  // Extents of 1 are appended, but for a row, which is put in front.
  const isRow = shape.length === 1 && raised[raised.length - 1] === shape[0] && raised[0] !== shape[0];
  const first = isRow ? 1 : 1 + shape.length;
  const axes = Array.from({ length: missing }, (_, i) => first + i);
  return e.add("Unsqueeze", [value, e.ints("axes", axes)]);
}

const binaryOps: Partial<
  Record<(typeof binaryOpTypes)[number], readonly [opType: string, swapped: boolean]>
> = {
  add: ["Add", false],
  sub: ["Sub", false],
  mul: ["Mul", false],
  div: ["Div", false],
  max: ["Max", false],
  min: ["Min", false],
  pow: ["Pow", false],
  rsub: ["Sub", true],
  rdiv: ["Div", true],
  rpow: ["Pow", true],
};

const binary: ExportRule = (e) => {
  const name = binaryOpTypes[e.number("op_type")];
  const found = binaryOps[name] ?? e.unsupported(`the operation ${name}`);
  const [opType, isSwapped] = found;
  const inputs = e.number("with_scalar") ? [input(e), e.scalar("b", e.number("b"))] : operands(e);
  e.result(opType, isSwapped ? inputs.toReversed() : inputs);
};

const unaryNames =
  "Abs Neg Floor Ceil square Sqrt rsqrt Exp Log Sin Cos Tan Asin Acos Atan Reciprocal Tanh log10 Round trunc Sign expm1 Sinh Asinh Cosh Acosh Atanh log1p".split(
    " ",
  );
const unary: ExportRule = (e) => {
  const name = unaryNames[e.number("op_type")];
  if (name === "square") e.result("Mul", [input(e), input(e)]);
  else if (name === "rsqrt") e.result("Reciprocal", [e.add("Sqrt", [input(e)])]);
  else if (name === undefined || /^[a-z]/.test(name)) e.unsupported(`the operation ${name}`);
  else e.result(name, [input(e)]);
};

const eltwise: ExportRule = (e) => {
  const type = e.number("op_type");
  const coefficients = e.list("coeffs");
  const terms = e.node.inputs.map((value, i) =>
    type === 1 && coefficients.length ? e.add("Mul", [value, e.scalar(`coeff${i}`, coefficients[i])]) : value,
  );
  const opType = ["Mul", "Add", "Max"][type] ?? e.unsupported(`op_type ${type}`);
  terms.slice(1).reduce((sum, term, i) => {
    const isLast = i === terms.length - 2;
    return e.add(opType, [sum, term], {}, isLast ? e.node.outputs[0] : undefined);
  }, terms[0]);
};

/** y = x·scale + bias per outermost axis. */
function affine(e: Exporter, scale: ArrayLike<number>, bias: ArrayLike<number> | undefined): void {
  const dims = [scale.length, ...new Array<number>(inputShape(e).length - 1).fill(1)];
  const factor = e.floats("scale", dims, scale);
  if (!bias) e.result("Mul", [input(e), factor]);
  else e.result("Add", [e.add("Mul", [input(e), factor]), e.floats("bias", dims, bias)]);
}
const batchNorm: ExportRule = (e) => {
  const statistics = ["slope", "bias", "mean", "variance"].map((name) =>
    e.weight(name, [e.number("channels")]),
  );
  e.result("BatchNormalization", [input(e), ...statistics], { epsilon: float(e.number("eps")) });
};
const scale: ExportRule = (e) => {
  if (e.node.inputs.length > 1) e.unsupported("a scale from another blob");
  affine(e, e.weightValues("scale"), e.number("bias_term") ? e.weightValues("bias") : undefined);
};

const dropout: ExportRule = (e) => {
  const factor = e.number("scale");
  if (factor === 1) e.result("Identity", [input(e)]);
  else e.result("Mul", [input(e), e.scalar("scale", factor)]);
};

export const arithmetic: Record<string, ExportRule> = {
  AbsVal: simple("Abs"),
  BatchNorm: batchNorm,
  BinaryOp: binary,
  Dropout: dropout,
  Eltwise: eltwise,
  Erf: simple("Erf"),
  Scale: scale,
  UnaryOp: unary,
};
