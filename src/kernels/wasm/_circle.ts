/** Sine, cosine and arctangent in double precision. */
import { type Expression, f64, i32, type Operand, set } from "../../wasm/expressions.ts";
import type { FuncRef, Module } from "../../wasm/index.ts";

const one = { params: { x: "f64" }, results: ["f64"] } as const;

/** ½·π in two parts, of which the first has zeros at its end: its products with whole numbers below 2²⁰ are exact. */
const quarterHigh = 1.5707963267341256;
const quarterLow = 6.077100506506192e-11;

/** Coefficients of (sin x − x)/x³ and of (cos x − 1 + ½·x²)/x⁴ in powers of x², |x| ≤ ¼·π, from the lowest. */
const sineTerms = [
  -0.16666666666666632, 0.00833333333332249, -0.0001984126982985795, 2.7557313707070068e-6,
  -2.5050760253406863e-8, 1.58969099521155e-10,
];
const cosineTerms = [
  0.0416666666666666, -0.001388888888887411, 2.480158728947673e-5, -2.7557314351390663e-7,
  2.087572321298175e-9, -1.1359647557788195e-11,
];

/** From the lowest term. */
export const polynomial = (terms: readonly number[], x: Operand): Expression =>
  terms
    .slice(0, -1)
    .reduceRight<Expression>(
      (rest, term) => f64.add(term, f64.mul(x, rest)),
      f64.of(terms[terms.length - 1]),
    );

/** x = n·½·π + r + low, |r| ≤ ¼·π: the sine or cosine of r, by the quarter that x is in. `first`: quarters that are added to x. */
const emitTurn =
  (name: string, first: number) =>
  (m: Module): FuncRef =>
    m.func(name, one, (f) => {
      const { x } = f.params;
      const [n, r, low, square, high] = ["n", "r", "low", "square", "high"].map((name) =>
        f.local("f64", name),
      );
      const quarter = f.local("i32", "quarter");
      set(f, n, f64.nearest(f64.mul(x, 2 / Math.PI)));
      set(f, high, f64.sub(x, f64.mul(n, quarterHigh)));
      set(f, low, f64.mul(n, quarterLow));
      set(f, r, f64.sub(high, low));
      set(f, low, f64.sub(f64.sub(high, r), low));
      set(f, square, f64.mul(r, r));
      set(f, quarter, i32.add(i32.trunc_f64_s(n), first));
      i32.and(quarter, 1)(f);
      f.if(() => {
        // 1 − ½·r² with what is lost of it.
        const half = f64.mul(0.5, square);
        set(f, high, f64.sub(1, half));
        const rest = f64.sub(
          f64.mul(square, f64.mul(square, polynomial(cosineTerms, square))),
          f64.mul(r, low),
        );
        f64.add(high, f64.add(f64.sub(f64.sub(1, high), half), rest))(f);
      }, () => {
        const cube = f64.mul(square, r);
        const [lowest, ...more] = sineTerms;
        set(f, high, polynomial(more, square));
        const inner = f64.sub(f64.mul(0.5, low), f64.mul(cube, high));
        f64.sub(r, f64.sub(f64.sub(f64.mul(square, inner), low), f64.mul(cube, lowest)))(f);
      }, ["f64"]);
      f.set(high);
      f64.neg(high)(f);
      f.get(high);
      i32.and(quarter, 2)(f);
      f.select();
    });

/** Coefficients of (x − atan x)/x³ in powers of x², from the lowest. */
const atanTerms = [
  0.3333333333333293, -0.19999999999876483, 0.14285714272503466, -0.11111110405462356, 0.09090887133436507,
  -0.0769187620504483, 0.06661073137387531, -0.058335701337905735, 0.049768779946159324,
  -0.036531572744216916, 0.016285820115365782,
];

/** Places from which the angle is measured where x is above the first number: `x → (x − place)/(1 + x·place)`. */
const anchors = [
  [0.4375, 0.5],
  [0.6875, 1],
  [1.1875, 1.5],
] as const;

function emitAtan(m: Module): FuncRef {
  return m.func("atan", one, (f) => {
    const { x } = f.params;
    const [size, t, base, square] = ["size", "t", "base", "square"].map((name) => f.local("f64", name));
    set(f, size, f64.abs(x));
    set(f, t, size);
    for (const [least, place] of anchors) {
      f64.gt(size, least)(f);
      f.if(() => {
        set(f, t, f64.div(f64.sub(size, place), f64.add(1, f64.mul(size, place))));
        set(f, base, f64.of(Math.atan(place)));
      });
    }
    f64.gt(size, 2.4375)(f);
    f.if(() => {
      set(f, t, f64.div(-1, size));
      set(f, base, f64.of(Math.PI / 2));
    });
    set(f, square, f64.mul(t, t));
    const angle = f64.add(base, f64.sub(t, f64.mul(t, f64.mul(square, polynomial(atanTerms, square)))));
    f64.copysign(angle, x)(f);
  });
}

export const circle: Readonly<Record<"sin" | "cos" | "atan", (m: Module) => FuncRef>> = {
  sin: emitTurn("sin", 0),
  cos: emitTurn("cos", 1),
  atan: emitAtan,
};
