/**
 * Lists of sizes that depend on the shapes of a layer's inputs, in prefix form: `*(0w,2),-1,0c` is twice the width of input
 * 0, an extent to be inferred, and the channels of input 0. Source: ncnn src/expression.cpp.
 *
 * Values are int32 or float32, as they are written and computed; a float in the result loses its fraction. Brackets only help
 * the eye: every name takes as many values as it needs.
 */
import { GraphError, withContext } from "../base/errors.ts";
import type { Shape } from "../ir/tensor.ts";
import { erf } from "./error-function.ts";
import { namedExtents } from "./shapes.ts";

interface Value {
  readonly value: number;
  readonly isInt: boolean;
}
type Rule = (...operands: readonly Value[]) => Value;

/** ncnn's own limit on strings in a `.param`. */
const maxLength = 255;

const fround = Math.fround;
const int = (value: number): Value => ({ value: value | 0, isInt: true });
const float = (value: number): Value => ({ value: fround(value), isInt: false });

/** Stays whole where all operands are. */
const either =
  (ofInts: (...values: number[]) => number, ofFloats: (...values: number[]) => number): Rule =>
  (...operands) => {
    const values = operands.map(({ value }) => value);
    return operands.every(({ isInt }) => isInt) ? int(ofInts(...values)) : float(ofFloats(...values));
  };
const alike = (f: (...values: number[]) => number): Rule => either(f, f);
const asFloat =
  (f: (...values: number[]) => number): Rule =>
  (...operands) =>
    float(f(...operands.map(({ value }) => value)));
const rounding =
  (f: (x: number) => number): Rule =>
  (operand) =>
    operand.isInt ? operand : wholeOf(f(operand.value));
const bitwise =
  (f: (a: number, b: number) => number): Rule =>
  (a, b) => {
    if (!a.isInt || !b.isInt) throw new GraphError("bits are those of whole numbers, found a float");
    return int(f(a.value, b.value));
  };

function wholeOf(value: number): Value {
  const whole = Math.trunc(value);
  if (!(Math.abs(whole) < 2 ** 31)) throw new GraphError(`${value} is no size`);
  return int(whole);
}

function divideWhole(a: number, b: number): number {
  if (b === 0) throw new GraphError("division by 0");
  return Math.trunc(a / b);
}

const remainder = (a: number, b: number): number => (a % b) + (a * b < 0 ? b : 0);
const logAddExp = (a: number, b: number): number =>
  a === b && !Number.isFinite(a) ? a : Math.max(a, b) + Math.log1p(Math.exp(-Math.abs(a - b)));
const halfAwayFromZero = (x: number): number => Math.sign(x) * Math.floor(Math.abs(x) + 0.5);

const unary: Record<string, Rule> = {
  abs: alike(Math.abs),
  neg: alike((a) => -a),
  sign: alike(Math.sign),
  square: either(
    (a) => Math.imul(a, a),
    (a) => a * a,
  ),
  trunc: rounding(Math.trunc),
  ceil: rounding(Math.ceil),
  floor: rounding(Math.floor),
  round: rounding(halfAwayFromZero),
  ...Object.fromEntries(
    (
      "acos acosh asin asinh atan atanh cos cosh exp log log10 sin sinh sqrt tan tanh".split(" ") as (
        | "acos"
        | "exp"
      )[]
    ).map((name) => [name, asFloat(Math[name])]),
  ),
  erf: asFloat(erf),
  reciprocal: asFloat((a) => 1 / a),
  rsqrt: asFloat((a) => 1 / fround(Math.sqrt(a))),
};

const binary: Record<string, Rule> = {
  "+": alike((a, b) => a + b),
  "-": alike((a, b) => a - b),
  "*": either(Math.imul, (a, b) => a * b),
  "/": asFloat((a, b) => a / b),
  "//": either(divideWhole, (a, b) => Math.floor(fround(a / b))),
  max: alike(Math.max),
  min: alike(Math.min),
  pow: asFloat((a, b) => a ** b),
  fmod: asFloat((a, b) => a % b),
  remainder: asFloat(remainder),
  atan2: asFloat(Math.atan2),
  logaddexp: asFloat(logAddExp),
  and: bitwise((a, b) => a & b),
  or: bitwise((a, b) => a | b),
  xor: bitwise((a, b) => a ^ b),
  lshift: bitwise((a, b) => a << b),
  rshift: bitwise((a, b) => a >> b),
};

const rules = new Map<string, { operands: number; rule: Rule }>([
  ...Object.entries(unary).map(([name, rule]) => [name, { operands: 1, rule }] as const),
  ...Object.entries(binary).map(([name, rule]) => [name, { operands: 2, rule }] as const),
]);

/**
 * The whole numbers that a list of expressions gives for inputs of these shapes. Throws GraphError for what is no expression,
 * lacks operands, asks for an input that is not there, or gives no int32.
 */
export function evaluateSizes(text: string, inputs: readonly Shape[]): number[] {
  try {
    if (text.length > maxLength) {
      throw new GraphError(`${text.length} characters, at most ${maxLength} are legal`);
    }
    const stack: Value[] = [];
    for (const token of tokensOf(text).reverse()) {
      const known = rules.get(token);
      if (!known) {
        stack.push(operand(token, inputs));
        continue;
      }
      const operands = stack.splice(stack.length - known.operands).reverse();
      if (operands.length < known.operands) throw new GraphError(`"${token}" lacks an operand`);
      stack.push(known.rule(...operands));
    }
    return stack.reverse().map(({ value }) => wholeOf(value).value);
  } catch (error) {
    throw withContext(`size expression "${text.slice(0, 80)}"`, error);
  }
}

/** Names and numbers; between them brackets and commas, none of which may be missing or left over. */
function tokensOf(text: string): string[] {
  const tokens = text.match(/[^(),]+/g) ?? [];
  const shape = text.replace(/[^(),]+/g, "x");
  let depth = 0;
  for (const char of shape) {
    if (char === "(") depth++;
    else if (char === ")" && --depth < 0) break;
  }
  if (
    tokens.length === 0 ||
    depth !== 0 ||
    !/^(x|x\(|[,)])+$/.test(shape) ||
    /^,|[,(][,)]|\)[x(]|,$/.test(shape)
  ) {
    throw new GraphError("brackets and commas do not fit; expected a list such as *(0w,2),-1,0c");
  }
  return tokens;
}

function operand(token: string, inputs: readonly Shape[]): Value {
  const extent = /^(\d)([whdcn])$/.exec(token);
  if (extent) {
    const input = inputs[Number(extent[1])];
    if (!input) throw new GraphError(`${token}: there are ${inputs.length} inputs, counted from 0`);
    // A batch (n) of more than one does not occur.
    return int({ ...namedExtents(input), n: 1 }[extent[2] as "w"]);
  }
  if (!/^[+-]?(\d+(?:\.\d*)?|\.\d+)(e[+-]?\d+)?$/i.test(token)) {
    throw new GraphError(`"${token.slice(0, 40)}" is no number, no extent such as 0w, and no operator`);
  }
  const value = Number(token);
  return Number.isInteger(value) && Math.abs(value) < 2 ** 31 ? int(value) : float(value);
}
