/**
 * Vector functions of one f32x4, emitted inline. Each takes its argument in a local and leaves the result on the stack.
 */
import type { Activation } from "../../base/activation.ts";
import type { Func, Local } from "../../wasm/index.ts";
import { temp } from "./_temp.ts";
import type { Target } from "./spec.ts";

/**
 * a·b + c from three locals, rounded once: where the machine does not fuse, by way of doubles, in which the product of two
 * floats is exact.
 */
export function emitMaddOnce(f: Func, target: Target, a: Local, b: Local, c: Local): void {
  if (target.fusedMadd) {
    f.get(a);
    f.get(b);
    f.get(c);
    f.op("f32x4.relaxed_madd");
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

/** poly·x + constant, the Horner step, with `poly` on the stack. */
function horner(f: Func, target: Target, x: Local, constant: number): void {
  f.get(x);
  if (target.relaxed) {
    f.f32x4(constant);
    f.op("f32x4.relaxed_madd");
  } else {
    f.op("f32x4.mul");
    f.f32x4(constant);
    f.op("f32x4.add");
  }
}

const exp2Coefficients = [
  1.98756915e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 0.5,
];

/**
 * eˣ for |x| ≤ 87 (the argument is clamped to that): x = n·ln2 + r with |r| ≤ ln2/2, a degree-6 polynomial in r, and n
 * added to the exponent bits. Relative error below 2e-7. Polynomial: S. Moshier, Cephes expf.
 */
export function emitExp(f: Func, target: Target, x: Local): void {
  const r = temp(f, "r");
  const n = temp(f, "n");
  f.get(x);
  f.f32x4(-87);
  f.op("f32x4.pmax");
  f.f32x4(87);
  f.op("f32x4.pmin");
  f.tee(r);
  f.f32x4(Math.LOG2E);
  f.op("f32x4.mul");
  f.op("f32x4.nearest");
  f.set(n);
  // ln2 in two parts, so that n·ln2 is subtracted without losing bits.
  for (const part of [0.693359375, -2.1219444e-4]) {
    f.get(r);
    f.get(n);
    f.f32x4(part);
    f.op("f32x4.mul");
    f.op("f32x4.sub");
    f.set(r);
  }
  f.f32x4(exp2Coefficients[0]);
  for (const c of exp2Coefficients.slice(1)) horner(f, target, r, c);
  // p·r² + r + 1
  f.get(r);
  f.get(r);
  f.op("f32x4.mul");
  f.op("f32x4.mul");
  f.get(r);
  f.op("f32x4.add");
  f.f32x4(1);
  f.op("f32x4.add");
  f.get(n);
  f.op("i32x4.trunc_sat_f32x4_s");
  f.i32(23);
  f.op("i32x4.shl");
  f.op("i32x4.add");
}

/** 1 / (1 + e⁻ˣ) */
function emitSigmoid(f: Func, target: Target, x: Local): void {
  const negative = temp(f, "negative");
  f.get(x);
  f.op("f32x4.neg");
  f.set(negative);
  f.f32x4(1);
  emitExp(f, target, negative);
  f.f32x4(1);
  f.op("f32x4.add");
  f.op("f32x4.div");
}

/** tanh(x) = 1 − 2 / (e²ˣ + 1) */
function emitTanh(f: Func, target: Target, x: Local): void {
  const twice = temp(f, "twice");
  f.get(x);
  f.get(x);
  f.op("f32x4.add");
  f.set(twice);
  f.f32x4(1);
  f.f32x4(2);
  emitExp(f, target, twice);
  f.f32x4(1);
  f.op("f32x4.add");
  f.op("f32x4.div");
  f.op("f32x4.sub");
}

/** clamp(αx + β, 0, 1) */
function emitHardGate(f: Func, x: Local, alpha: number, beta: number): void {
  f.get(x);
  f.f32x4(alpha);
  f.op("f32x4.mul");
  f.f32x4(beta);
  f.op("f32x4.add");
  f.f32x4(0);
  f.op("f32x4.pmax");
  f.f32x4(1);
  f.op("f32x4.pmin");
}

/** Replaces the value in `x` by its activation. */
export function emitActivation(f: Func, target: Target, activation: Activation, x: Local): void {
  switch (activation.kind) {
    case "relu":
      f.get(x);
      f.f32x4(0);
      f.op("f32x4.pmax");
      break;
    case "leakyRelu":
      // max(x,0) + slope·min(x,0) equals x or x·slope exactly, one of the terms being 0.
      f.get(x);
      f.f32x4(0);
      f.op("f32x4.pmax");
      f.get(x);
      f.f32x4(0);
      f.op("f32x4.pmin");
      f.f32x4(activation.slope);
      f.op("f32x4.mul");
      f.op("f32x4.add");
      break;
    case "clip":
      f.get(x);
      f.f32x4(activation.min);
      f.op("f32x4.pmax");
      f.f32x4(activation.max);
      f.op("f32x4.pmin");
      break;
    case "sigmoid":
      emitSigmoid(f, target, x);
      break;
    case "swish":
      f.get(x);
      emitSigmoid(f, target, x);
      f.op("f32x4.mul");
      break;
    case "hardSigmoid":
      emitHardGate(f, x, activation.alpha, activation.beta);
      break;
    case "hardSwish":
      f.get(x);
      emitHardGate(f, x, activation.alpha, activation.beta);
      f.op("f32x4.mul");
      break;
    case "tanh":
      emitTanh(f, target, x);
      break;
    case "mish": {
      // x·tanh(ln(1+e)) = x·(e² + 2e) / (e² + 2e + 2), e = eˣ; for x ≥ 20 the quotient is 1 in float32.
      const e = temp(f, "e");
      f.get(x);
      f.f32x4(20);
      f.op("f32x4.pmin");
      f.set(e);
      emitExp(f, target, e);
      f.tee(e);
      f.get(e);
      f.f32x4(2);
      f.op("f32x4.add");
      f.op("f32x4.mul");
      f.set(e);
      f.get(x);
      f.get(e);
      f.get(e);
      f.f32x4(2);
      f.op("f32x4.add");
      f.op("f32x4.div");
      f.op("f32x4.mul");
      break;
    }
    case "gelu": {
      // The tanh form, as ncnn's fast GELU: 0.5x(1 + tanh(√(2/π)(x + 0.044715x³))).
      const inner = temp(f, "inner");
      f.get(x);
      f.get(x);
      f.op("f32x4.mul");
      f.f32x4(0.044715);
      f.op("f32x4.mul");
      f.f32x4(1);
      f.op("f32x4.add");
      f.get(x);
      f.op("f32x4.mul");
      f.f32x4(0.79788452);
      f.op("f32x4.mul");
      f.set(inner);
      f.get(x);
      f.f32x4(0.5);
      f.op("f32x4.mul");
      emitTanh(f, target, inner);
      f.f32x4(1);
      f.op("f32x4.add");
      f.op("f32x4.mul");
      break;
    }
  }
  f.set(x);
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
