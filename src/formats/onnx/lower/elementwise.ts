/** Activations, unary functions and arithmetic with broadcasting. */
import type { Params } from "../../../ir/op.ts";
import { elementCount, type Shape, sameShape } from "../../../ir/tensor.ts";
import { binaryOpTypes } from "../../../ops/binary-op.ts";
import { unaryOpTypes } from "../../../ops/unary-op.ts";
import { floatAttribute, intAttribute, type OnnxNode, stringAttribute } from "../model.ts";
import type { Lower, Lowering, Value } from "./context.ts";
import { alignBroadcast, axisInBlob, blobShapeOf, broadcastOver } from "./layout.ts";

/** A layer that changes every element on its own, in whatever shape the blob has. */
const perElement =
  (type: string, params: (node: OnnxNode) => Params = () => ({})): Lower =>
  (l, node) => {
    l.result(type, [l.value(node.inputs[0]).blob], params(node));
  };

const unary = (name: string): Lower => {
  const operation = unaryOpTypes.findIndex(([known]) => known === name);
  return perElement("UnaryOp", () => ({ op_type: operation }));
};

const opType = (name: (typeof binaryOpTypes)[number]): number => binaryOpTypes.indexOf(name);

/** Operators with the constant first: `2 - x`. */
const swapped: Partial<Record<string, (typeof binaryOpTypes)[number]>> = {
  sub: "rsub",
  div: "rdiv",
  pow: "rpow",
};

const binary =
  (name: (typeof binaryOpTypes)[number]): Lower =>
  (l, node) => {
    let left = node.inputs[0];
    node.inputs.slice(1).forEach((right, i) => {
      const isLast = i === node.inputs.length - 2;
      const blob = combine(l, name, left, right, isLast ? node.outputs[0] : `${node.outputs[0]}_${i}`);
      if (isLast) l.define(node.outputs[0], blob);
      else left = defineIntermediate(l, left, right, blob);
    });
  };

/** Sums of more than two: all shapes must be equal, so that no broadcast shape is needed in between. */
function defineIntermediate(l: Lowering, left: string, right: string, blob: string): string {
  if (!sameShape(l.shapeOf(left), l.shapeOf(right))) {
    l.unsupported("broadcasting of more than two inputs", "two inputs, or inputs of one shape");
  }
  l.defineAs(blob, l.shapeOf(left));
  return blob;
}

function combine(
  l: Lowering,
  name: (typeof binaryOpTypes)[number],
  left: string,
  right: string,
  output: string,
): string {
  const emit = (inputs: string[], params: Params): string =>
    l.layer("BinaryOp", inputs, params, {}, { outputs: [output] })[0];
  const [a, b] = [l.scalar(left), l.scalar(right)];
  if (b !== undefined) {
    const x = l.value(left).blob;
    return emit([x], { op_type: opType(name), with_scalar: 1, b });
  }
  if (a !== undefined) {
    const x = l.value(right).blob;
    return emit([x], { op_type: opType(swapped[name] ?? name), with_scalar: 1, b: a });
  }
  return emit(operands(l, left, right), { op_type: opType(name) });
}

/** Blobs of both operands in shapes that ncnn broadcasts as ONNX does. */
function operands(l: Lowering, left: string, right: string): string[] {
  const [shapeA, shapeB] = [l.shapeOf(left), l.shapeOf(right)];
  const isConstant = (name: string): boolean => l.constant(name) !== undefined;
  if (elementCount(shapeA) === elementCount(shapeB)) {
    // Nothing is repeated: any common view will do, best the one that the result needs no other for.
    const blobs = [left, right].filter((name) => !isConstant(name)).map((name) => l.value(name));
    const view = (blobs.find(({ blobShape, shape }) => sameShape(blobShape, shape.slice(1))) ?? blobs[0])
      .blobShape;
    return [left, right].map((name) => l.as(l.value(name, view), view));
  }
  const over = overLargerBlob(l, left, right);
  if (over) return over;
  const aligned = alignBroadcast(shapeA, shapeB);
  const other = (shape: Shape): Shape => (shape === aligned.a ? aligned.b : aligned.a);
  return [left, right].map((name, i) => {
    const shape = i === 0 ? aligned.a : aligned.b;
    const perChannel = channelView(shape, other(shape));
    const value = l.value(name, perChannel ?? shape);
    if (perChannel) return l.as(value, perChannel);
    return l.as(value, shape);
  });
}

/** The operand that has the result's shape stays as its blob is, and the other one is seen to fit, where that is possible. */
function overLargerBlob(l: Lowering, left: string, right: string): string[] | undefined {
  const isLeftLarger = elementCount(l.shapeOf(left)) > elementCount(l.shapeOf(right));
  const [large, small] = isLeftLarger ? [left, right] : [right, left];
  if (l.constant(large)) return undefined;
  const { blob, blobShape, shape } = l.value(large);
  const view = broadcastOver(blobShape, shape, l.shapeOf(small));
  if (!view) return undefined;
  const wanted = channelView(view, blobShape) ?? view;
  const other = l.as(l.value(small, wanted), wanted);
  return isLeftLarger ? [blob, other] : [other, blob];
}

/** `[c, 1, 1]` against `[c, h, w]` is written as rank 1, which ncnn broadcasts over the rest. */
function channelView(shape: Shape, other: Shape): Shape | undefined {
  const isPerChannel = shape.length > 1 && shape[0] === other[0] && shape.slice(1).every((d) => d === 1);
  return isPerChannel ? [shape[0]] : undefined;
}

const pow: Lower = (l, node) => {
  const exponent = l.scalar(node.inputs[1]);
  if (exponent === 2) unary("square")(l, node);
  else if (exponent === 0.5) unary("sqrt")(l, node);
  else binary("pow")(l, node);
};

const largest = 3.4028234663852886e38;

const clip: Lower = (l, node) => {
  const bound = (input: number, attribute: string, fallback: number): number => {
    const given = node.inputs[input] ? l.numbers(node.inputs[input], "bounds")[0] : undefined;
    return Math.fround(
      Math.min(Math.max(given ?? floatAttribute(node, attribute, fallback), -largest), largest),
    );
  };
  const [min, max] = [bound(1, "min", -largest), bound(2, "max", largest)];
  const x = l.value(node.inputs[0]).blob;
  if (min === 0 && max === largest) l.result("ReLU", [x]);
  else l.result("Clip", [x], { min, max });
};

const prelu: Lower = (l, node) => {
  const slope = l.numbers(node.inputs[1], "slopes");
  const value = l.value(node.inputs[0]);
  const weights = { slope: { storage: "f32", data: Float32Array.from(slope) } } as const;
  if (slope.length === 1) {
    l.result("ReLU", [value.blob], { slope: slope[0] });
    return;
  }
  const dims = l.shapeOf(node.inputs[1]);
  const axis = value.shape.length - dims.length + dims.findIndex((d) => d !== 1);
  if (slope.length !== value.shape[axis] || elementCount(value.shape.slice(0, axis)) !== 1) {
    l.unsupported(`slopes of shape [${dims}]`, "one slope, or one per channel");
  }
  l.result("PReLU", [channelsFirst(l, value, axis)], { num_slope: slope.length }, weights);
};

/** The blob with ONNX axis `axis` (all before it are 1) as its outermost axis. */
export function channelsFirst(l: Lowering, value: Value, axis: number): string {
  if (axisInBlob(value.shape, value.blobShape, axis) === 0) return value.blob;
  return l.as(value, blobShapeOf(value.shape, new Set([axis])));
}

const softsign: Lower = (l, node) => {
  const x = l.value(node.inputs[0]).blob;
  const [abs] = l.layer("UnaryOp", [x], { op_type: 0 });
  const [sum] = l.layer("BinaryOp", [abs], { op_type: opType("add"), with_scalar: 1, b: 1 });
  l.result("BinaryOp", [x, sum], { op_type: opType("div") });
};

/** Constants and casts between float types change nothing; a float cast to integers is cut off. */
const cast: Lower = (l, node) => {
  const [from, to] = [l.typeOf(node.inputs[0]), l.typeOf(node.outputs[0])];
  const isFloat = (type: string | undefined): boolean => type === undefined || type.includes("float");
  const value = l.value(node.inputs[0]);
  if (isFloat(from) && !isFloat(to)) {
    if (to === "bool") l.unsupported("a cast to bool", "casts between numbers");
    l.result("UnaryOp", [value.blob], { op_type: unaryOpTypes.findIndex(([name]) => name === "trunc") });
  } else l.alias(node.outputs[0], value);
};

const gelus: Record<"fast" | "exact", Params> = { fast: { fast_gelu: 1 }, exact: {} };

export const elementwise: Record<string, Lower> = {
  Abs: unary("abs"),
  Acos: unary("acos"),
  Acosh: unary("acosh"),
  Add: binary("add"),
  Asin: unary("asin"),
  Asinh: unary("asinh"),
  Atan: unary("atan"),
  Atanh: unary("atanh"),
  Cast: cast,
  Ceil: unary("ceil"),
  Celu: perElement("CELU", (node) => ({ alpha: floatAttribute(node, "alpha", 1) })),
  Clip: clip,
  Cos: unary("cos"),
  Cosh: unary("cosh"),
  Div: binary("div"),
  Elu: perElement("ELU", (node) => ({ alpha: floatAttribute(node, "alpha", 1) })),
  Erf: perElement("Erf"),
  Exp: unary("exp"),
  Floor: unary("floor"),
  Gelu: perElement("GELU", (node) =>
    stringAttribute(node, "approximate", "none") === "tanh" ? gelus.fast : gelus.exact,
  ),
  HardSigmoid: perElement("HardSigmoid", (node) => ({
    alpha: floatAttribute(node, "alpha", 0.2),
    beta: floatAttribute(node, "beta", 0.5),
  })),
  HardSwish: perElement("HardSwish", (node) => ({
    alpha: floatAttribute(node, "alpha", 1 / 6),
    beta: floatAttribute(node, "beta", 0.5),
  })),
  LeakyRelu: perElement("ReLU", (node) => ({ slope: floatAttribute(node, "alpha", 0.01) })),
  Log: unary("log"),
  Max: binary("max"),
  Min: binary("min"),
  Mish: perElement("Mish"),
  Mod: (l, node) => {
    if (intAttribute(node, "fmod", 0) !== 1) l.unsupported("Mod of integers", "Mod with fmod=1");
    binary("fmod")(l, node);
  },
  Mul: binary("mul"),
  Neg: unary("neg"),
  Pow: pow,
  PRelu: prelu,
  Reciprocal: unary("reciprocal"),
  Relu: perElement("ReLU"),
  Round: unary("round"),
  Selu: perElement("SELU", (node) => ({
    alpha: floatAttribute(node, "alpha", 1.6732631921768188),
    lambda: floatAttribute(node, "gamma", 1.0507010221481323),
  })),
  Sigmoid: perElement("Sigmoid"),
  Sign: unary("sign"),
  Sin: unary("sin"),
  Sinh: unary("sinh"),
  Softplus: perElement("Softplus"),
  Softsign: softsign,
  Sqrt: unary("sqrt"),
  Sub: binary("sub"),
  Sum: binary("add"),
  Swish: perElement("Swish"),
  Tan: unary("tan"),
  Tanh: perElement("TanH"),
};
