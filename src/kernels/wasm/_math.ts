/**
 * Vector functions of one f32x4, emitted inline. Each takes its argument in a local and leaves the result on the stack.
 */
import { type Activation, unbounded } from "../../base/activation.ts";
import { type Expression, f32x4, i32x4, type Operand, set, tee } from "../../wasm/expressions.ts";
import type { Func, Local } from "../../wasm/index.ts";
import { exp2Coefficients, rounder } from "../exponential.ts";
import type { BinaryOperator } from "../operators.ts";
import { temp } from "./_temp.ts";
import type { Target } from "./spec.ts";

/**
 * a·b + c from three locals, rounded once: where the machine does not fuse, by way of doubles, in which the product of two
 * floats is exact.
 */
export function emitMaddOnce(f: Func, target: Target, a: Local, b: Local, c: Local): void {
  if (target.fusedMadd) {
    f32x4.relaxed_madd(a, b, c)(f);
    return;
  }
  const half = (high: boolean): void => {
    const push = (v: Local): void => {
      f.get(v);
      if (high) {
        f.get(v);
        f.op("i8x16.shuffle", { lanes: [8, 9, 10, 11, 12, 13, 14, 15, 8, 9, 10, 11, 12, 13, 14, 15] });
      }
      f.op("f64x2.promote_low_f32x4");
    };
    push(a);
    push(b);
    f.op("f64x2.mul");
    push(c);
    f.op("f64x2.add");
    f.op("f32x4.demote_f64x2_zero");
  };
  half(false);
  half(true);
  f.op("i8x16.shuffle", { lanes: [0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23] });
}

/** a·b + c */
function multiplyAdd(target: Target, a: Operand, b: Operand, c: Operand): Expression {
  return target.relaxed ? f32x4.relaxed_madd(a, b, c) : f32x4.add(f32x4.mul(a, b), c);
}

/**
 * e to the power of multiple·x, which is clamped to ±87: 2ⁿ·2ᶠ with n + f = x·multiple·log₂e, |f| ≤ ½, a polynomial of degree 5 for 2ᶠ,
 * and n added to the exponent bits. Relative error below 2·10⁻⁷ for small powers, and below 2·10⁻⁶ at ±87.
 */
export function emitExp(f: Func, target: Target, x: Local, multiple = 1): void {
  const [r, n] = [temp(f, "r"), temp(f, "n")];
  const limit = 87 / Math.abs(multiple);
  const factor = Math.fround(Math.LOG2E * multiple);
  set(f, r, f32x4.pmin(f32x4.pmax(x, -limit), limit));
  if (target.relaxed) {
    set(f, n, f32x4.relaxed_madd(r, f32x4.of(factor), f32x4.of(rounder)));
    set(f, r, f32x4.relaxed_madd(r, f32x4.of(factor), f32x4.sub(rounder, n)));
  } else {
    set(f, n, f32x4.add(tee(r, f32x4.mul(r, factor)), rounder));
    set(f, r, f32x4.sub(r, f32x4.sub(n, rounder)));
  }
  const power = exp2Coefficients.map(f32x4.of).reduce((p, c) => multiplyAdd(target, p, r, c));
  i32x4.add(power, i32x4.shl(n, 23))(f);
}

/** e to the power of multiple·x as an expression. */
const exp =
  (target: Target, x: Local, multiple = 1): Expression =>
  (f) =>
    emitExp(f, target, x, multiple);

/** 1 + e⁻ˣ */
const onePlusExp = (target: Target, x: Local): Expression => f32x4.add(exp(target, x, -1), 1);

/** 1 / (1 + e⁻ˣ) */
const sigmoid = (target: Target, x: Local): Expression => f32x4.div(1, onePlusExp(target, x));

/** tanh(x) = 1 − 2 / (e²ˣ + 1) */
const tanh = (target: Target, x: Local): Expression =>
  f32x4.sub(1, f32x4.div(2, f32x4.add(exp(target, x, 2), 1)));

/** clamp(αx + β, 0, 1) */
const hardGate = (x: Local, alpha: number, beta: number): Expression =>
  f32x4.pmin(f32x4.pmax(f32x4.add(f32x4.mul(x, alpha), beta), 0), 1);

/** x·tanh(ln(1+e)) = x·(e² + 2e) / (e² + 2e + 2), e = eˣ; for x ≥ 20 the quotient is 1 in float32. */
const mish =
  (target: Target, x: Local): Expression =>
  (f) => {
    const e = temp(f, "e");
    set(f, e, f32x4.pmin(x, 20));
    set(f, e, f32x4.mul(tee(e, exp(target, e)), f32x4.add(e, 2)));
    f32x4.mul(x, f32x4.div(e, f32x4.add(e, 2)))(f);
  };

/** The tanh form, as ncnn's fast GELU: 0.5x(1 + tanh(√(2/π)(x + 0.044715x³))). */
const gelu =
  (target: Target, x: Local): Expression =>
  (f) => {
    const inner = temp(f, "inner");
    const cubic = f32x4.mul(f32x4.add(f32x4.mul(f32x4.mul(x, x), 0.044715), 1), x);
    set(f, inner, f32x4.mul(cubic, 0.79788452));
    f32x4.mul(f32x4.mul(x, 0.5), f32x4.add(tanh(target, inner), 1))(f);
  };

function activationOf(target: Target, activation: Activation, x: Local): Expression {
  switch (activation.kind) {
    case "relu":
      return f32x4.pmax(x, 0);
    case "leakyRelu":
      // max(x,0) + slope·min(x,0) equals x or x·slope exactly, one of the terms being 0.
      return f32x4.add(f32x4.pmax(x, 0), f32x4.mul(f32x4.pmin(x, 0), activation.slope));
    case "clip": {
      const { min, max } = activation;
      if (min <= -unbounded) return f32x4.pmin(x, max);
      return max >= unbounded ? f32x4.pmax(x, min) : f32x4.pmin(f32x4.pmax(x, min), max);
    }
    case "sigmoid":
      return sigmoid(target, x);
    case "swish":
      return f32x4.div(x, onePlusExp(target, x));
    case "hardSigmoid":
      return hardGate(x, activation.alpha, activation.beta);
    case "hardSwish":
      return f32x4.mul(x, hardGate(x, activation.alpha, activation.beta));
    case "tanh":
      return tanh(target, x);
    case "mish":
      return mish(target, x);
    case "gelu":
      return gelu(target, x);
  }
}

/** Replaces the value in `x` by its activation. */
export function emitActivation(f: Func, target: Target, activation: Activation, x: Local): void {
  set(f, x, activationOf(target, activation, x));
}

/** All lanes = the reduction over the lanes. */
export function reduceLanes(f: Func, v: Local, op: "f32x4.max" | "f32x4.add"): void {
  const other = temp(f, "other");
  for (const order of [
    [2, 3, 0, 1],
    [1, 0, 3, 2],
  ]) {
    f.get(v);
    f.get(v);
    f.op("i8x16.shuffle", { lanes: order.flatMap((lane) => [0, 1, 2, 3].map((b) => lane * 4 + b)) });
    f.set(other);
    f.get(v);
    f.get(other);
    f.op(op);
    f.set(v);
  }
}

/** a op b */
export function arithmetic(operator: BinaryOperator, a: Operand, b: Operand): Expression {
  if (operator === "rsub") return f32x4.sub(b, a);
  if (operator === "rdiv") return f32x4.div(b, a);
  return f32x4[operator](a, b);
}
