/**
 * Functions of numbers in double precision, as fdlibm has them (below one unit in the last place), which is what JavaScript engines compute, and
 * what is made of them.
 */

import { type Expression, f64, i32, type Operand, set } from "../../wasm/expressions.ts";
import type { FuncRef, Module } from "../../wasm/index.ts";
import { circle, polynomial } from "./_circle.ts";

/** Each is emitted where it is asked for first. */
export class Doubles {
  private readonly m: Module;
  private readonly made = new Map<string, FuncRef>();

  constructor(m: Module) {
    this.m = m;
  }

  exp(x: Operand): Expression {
    return this.call("exp", x);
  }
  sigmoid(x: Operand): Expression {
    return this.call("sigmoid", x);
  }
  tanh(x: Operand): Expression {
    return this.call("tanh", x);
  }
  sin(x: Operand): Expression {
    return this.call("sin", x);
  }
  cos(x: Operand): Expression {
    return this.call("cos", x);
  }
  atan(x: Operand): Expression {
    return this.call("atan", x);
  }
  log(x: Operand): Expression {
    return this.call("log", x);
  }
  /** Of a number from 0 to 1. */
  pow(x: Operand, power: Operand): Expression {
    return (f) => {
      const fn = this.find("pow");
      pushDouble(x)(f);
      pushDouble(power)(f);
      f.call(fn);
    };
  }

  /** The functions that are called have to be there before the body of another begins. */
  prepare(names: Iterable<DoubleFunction>): void {
    for (const name of names) this.find(name);
  }

  private call(name: DoubleFunction, x: Operand): Expression {
    return (f) => {
      const fn = this.find(name);
      pushDouble(x)(f);
      f.call(fn);
    };
  }

  private find(name: DoubleFunction): FuncRef {
    const known = this.made.get(name);
    if (known) return known;
    const made = makers[name](this.m, (other) => this.find(other));
    this.made.set(name, made);
    return made;
  }
}

export type DoubleFunction = "exp" | "expm1" | "log" | "sigmoid" | "tanh" | "pow" | "sin" | "cos" | "atan";

const pushDouble =
  (x: Operand): Expression =>
  (f) => {
    if (typeof x === "number") f.f64(x);
    else if (typeof x === "function") x(f);
    else f.get(x);
  };

const one = { params: { x: "f64" }, results: ["f64"] } as const;
type Find = (name: DoubleFunction) => FuncRef;

const makers: Record<DoubleFunction, (m: Module, find: Find) => FuncRef> = {
  ...circle,
  exp: emitExp,
  log: emitLog,
  sigmoid: (m, find) => {
    const exp = find("exp");
    return m.func("sigmoid", one, (f) => {
      f.f64(1);
      f.f64(1);
      f64.neg(f.params.x)(f);
      f.call(exp);
      f.op("f64.add");
      f.op("f64.div");
    });
  },
  expm1: emitExpm1,
  tanh: (m, find) => emitTanh(m, find("expm1")),
  pow: (m, find) => {
    const [exp, log] = [find("exp"), find("log")];
    const signature = { params: { x: "f64", power: "f64" }, results: ["f64"] } as const;
    return m.func("pow", signature, (f) => {
      f.get(f.params.x);
      f.call(log);
      f.get(f.params.power);
      f.op("f64.mul");
      f.call(exp);
    });
  },
};

/** ln 2 in two parts, of which the first has zeros at its end: its products with whole numbers are exact. */
const ln2High = 0.6931471803691238;
const ln2Low = 1.9082149292705877e-10;

/** Coefficients of x·(eˣ + 1)/(eˣ − 1) − 2 in powers of x², from the lowest. */
const expTerms = [
  0.16666666666666602, -0.0027777777777015593, 6.613756321437934e-5, -1.6533902205465252e-6,
  4.1381367970572385e-8,
];

/** x = k·ln 2 + r, |r| ≤ ½·ln 2, and eʳ by a quotient of polynomials. */
function emitExp(m: Module): FuncRef {
  return m.func("exp", one, (f) => {
    const { x } = f.params;
    const [k, high, low, r, square, c] = ["k", "high", "low", "r", "square", "c"].map((n) =>
      f.local("f64", n),
    );
    const exponent = f.local("i32", "exponent");
    const finish = (value: Expression, condition: Expression): void => {
      condition(f);
      f.if(() => {
        value(f);
        f.return();
      });
    };
    finish((g) => g.get(x), f64.ne(x, x));
    finish(f64.of(Number.POSITIVE_INFINITY), f64.gt(x, 709.782712893384));
    finish(f64.of(0), f64.lt(x, -745.1332191019411));
    finish(f64.of(Math.E), f64.eq(x, 1));
    set(f, high, x);
    f64.gt((g) => {
      g.get(x);
      g.op("f64.abs");
    }, Math.LN2 / 2)(f);
    f.if(() => set(f, k, f64.trunc(f64.add(f64.mul(Math.LOG2E, x), f64.copysign(0.5, x)))));
    set(f, high, f64.sub(x, f64.mul(k, ln2High)));
    set(f, low, f64.mul(k, ln2Low));
    set(f, r, f64.sub(high, low));
    set(f, square, f64.mul(r, r));
    const sum = expTerms.reduceRight<Expression>(
      (rest, term) => f64.add(term, f64.mul(square, rest)),
      f64.of(0),
    );
    set(f, c, f64.sub(r, f64.mul(square, sum)));
    finish(f64.sub(1, f64.sub(f64.div(f64.mul(r, c), f64.sub(c, 2)), r)), f64.eq(k, 0));
    set(f, r, f64.sub(1, f64.sub(f64.sub(low, f64.div(f64.mul(r, c), f64.sub(2, c))), high)));
    // r·2ᵏ in two steps, so that each power of two is a normal number.
    set(f, exponent, i32.trunc_f64_s(k));
    const half = i32.shr_s(exponent, 1);
    f64.mul(f64.mul(r, powerOfTwo(half)), powerOfTwo(i32.sub(exponent, half)))(f);
  });
}

/** 2ᵏ, −1022 ≤ k ≤ 1023. */
const powerOfTwo =
  (k: Expression): Expression =>
  (f) => {
    i32.add(k, 1023)(f);
    f.op("i64.extend_i32_s");
    f.i64(52n);
    f.op("i64.shl");
    f.op("f64.reinterpret_i64");
  };

/** Coefficients of a quotient's part in powers of ½·x², from the lowest. */
const expm1Terms = [
  1, -0.03333333333333313, 0.0015873015872548146, -7.93650757867488e-5, 4.008217827329362e-6,
  -2.0109921818362437e-7,
];

/** eˣ − 1 of a number from −2 to 44: x = k·ln 2 + r, and eʳ − 1 by a quotient of polynomials. */
function emitExpm1(m: Module): FuncRef {
  return m.func("expm1", one, (f) => {
    const { x } = f.params;
    const names = ["k", "high", "low", "r", "half", "square", "quotient", "t", "e", "power"];
    const [k, high, low, r, half, square, quotient, t, e, power] = names.map((n) => f.local("f64", n));
    set(f, high, x);
    f64.gt(f64.abs(x), Math.LN2 / 2)(f);
    f.if(() => {
      f64.lt(f64.abs(x), 1.5 * Math.LN2)(f);
      f.if(
        () => set(f, k, f64.copysign(1, x)),
        () => set(f, k, f64.trunc(f64.add(f64.mul(Math.LOG2E, x), f64.copysign(0.5, x)))),
      );
      set(f, high, f64.sub(x, f64.mul(k, ln2High)));
      set(f, low, f64.mul(k, ln2Low));
    });
    set(f, r, f64.sub(high, low));
    set(f, low, f64.sub(f64.sub(high, r), low));
    set(f, half, f64.mul(0.5, r));
    set(f, square, f64.mul(r, half));
    set(f, quotient, polynomial(expm1Terms, square));
    set(f, t, f64.sub(3, f64.mul(quotient, half)));
    set(f, e, f64.mul(square, f64.div(f64.sub(quotient, t), f64.sub(6, f64.mul(r, t)))));
    const finish = (value: Expression, condition: Expression): void => {
      condition(f);
      f.if(() => {
        value(f);
        f.return();
      });
    };
    finish(f64.sub(r, f64.sub(f64.mul(r, e), square)), f64.eq(k, 0));
    set(f, e, f64.sub(f64.sub(f64.mul(r, f64.sub(e, low)), low), square));
    finish(f64.sub(f64.mul(0.5, f64.sub(r, e)), 0.5), f64.eq(k, -1));
    finish(f64.mul(-2, f64.sub(e, f64.add(r, 0.5))), i32.and(f64.eq(k, 1), f64.lt(r, -0.25)));
    finish(f64.add(1, f64.mul(2, f64.sub(r, e))), f64.eq(k, 1));
    set(f, power, powerOfTwo(i32.trunc_f64_s(k)));
    finish(f64.sub(f64.mul(f64.sub(1, f64.sub(e, r)), power), 1), i32.or(f64.lt(k, -1), f64.gt(k, 56)));
    finish(f64.mul(f64.sub(f64.sub(1, f64.div(1, power)), f64.sub(e, r)), power), f64.lt(k, 20));
    f64.mul(f64.add(f64.sub(r, f64.add(e, f64.div(1, power))), 1), power)(f);
  });
}

/** By e²ˣ − 1 of the size of x, or e⁻²ˣ − 1 where that is below 1. */
function emitTanh(m: Module, expm1: FuncRef): FuncRef {
  return m.func("tanh", one, (f) => {
    const { x } = f.params;
    const [size, t] = [f.local("f64", "size"), f.local("f64", "t")];
    set(f, size, f64.min(f64.abs(x), 22));
    f64.mul(size, f64.sub(f64.mul(4, f64.convert_i32_s(f64.ge(size, 1))), 2))(f);
    f.call(expm1);
    f.set(t);
    f64.ge(size, 1)(f);
    f.if(
      () => f64.sub(1, f64.div(2, f64.add(t, 2)))(f),
      () => f64.div(f64.neg(t), f64.add(t, 2))(f),
      ["f64"],
    );
    f.set(t);
    f64.copysign(t, x)(f);
  });
}

/** Coefficients of (ln(1 + f) − 2s)/s in powers of s², s = f/(2 + f), from the lowest. */
const logTerms = [
  0.6666666666666735, 0.3999999999940942, 0.2857142874366239, 0.22222198432149784, 0.1818357216161805,
  0.15313837699209373, 0.14798198605116586,
];

/** ln of a normal number above 0: x = 2ᵏ·(1 + f), √½ < 1 + f < √2. Of 0, −Infinity; of others below it, NaN. */
function emitLog(m: Module): FuncRef {
  return m.func("log", one, (f) => {
    const { x } = f.params;
    const bits = f.local("i64", "bits");
    const [k, part, s, square, rest, half] = ["k", "part", "s", "square", "rest", "half"].map((n) =>
      f.local("f64", n),
    );
    const isPositive = i32.and(f64.gt(x, 0), f64.lt(x, Number.POSITIVE_INFINITY));
    i32.eqz(isPositive)(f);
    f.if(() => {
      // ±0 and Infinity, and NaN of what is below.
      f64.sub(f64.sqrt(x), f64.div(1, f64.abs(x)))(f);
      f.return();
    });
    f.get(x);
    f.op("i64.reinterpret_f64");
    f.set(bits);
    f.get(bits);
    f.i64(52n);
    f.op("i64.shr_u");
    f.op("i32.wrap_i64");
    f.i32(1023);
    f.op("i32.sub");
    f.op("f64.convert_i32_s");
    f.set(k);
    f.get(bits);
    f.i64(2n ** 52n - 1n);
    f.op("i64.and");
    f.i64(1023n << 52n);
    f.op("i64.or");
    f.op("f64.reinterpret_i64");
    f.set(part);
    f64.gt(part, Math.SQRT2)(f);
    f.if(() => {
      set(f, part, f64.div(part, 2));
      set(f, k, f64.add(k, 1));
    });
    set(f, part, f64.sub(part, 1));
    set(f, s, f64.div(part, f64.add(2, part)));
    set(f, square, f64.mul(s, s));
    const sum = logTerms.reduceRight<Expression>(
      (more, term) => f64.add(term, f64.mul(square, more)),
      f64.of(0),
    );
    set(f, rest, f64.mul(square, sum));
    set(f, half, f64.mul(0.5, f64.mul(part, part)));
    const inner = f64.add(f64.mul(s, f64.add(half, rest)), f64.mul(k, ln2Low));
    f64.sub(f64.mul(k, ln2High), f64.sub(f64.sub(half, inner), part))(f);
  });
}
