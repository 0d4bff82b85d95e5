/** Boxes that are turned about their middle: what `detect/rotated.ts` computes, for detections. */
import { type Expression, f64, set } from "../../wasm/expressions.ts";
import type { Func, FuncRef, Local, Module } from "../../wasm/index.ts";
import type { Doubles } from "./_double.ts";
import { clamped, type PlacedPicture, storeFloat, toPicture } from "./_placed.ts";

/** x and y of the middle, and the covariance a, b, c, as doubles. */
export const spreadBytes = 40;

const square = (x: Local): Expression => f64.mul(x, x);
const doubles = (f: Func, names: readonly string[]): Local[] => names.map((name) => f.local("f64", name));

/** The middle of the box whose corners lie at `box`, and its extent. */
const middle = (box: Local, axis: number): Expression =>
  f64.div(f64.add(f64.load(box, axis * 8), f64.load(box, axis * 8 + 16)), 2);
const extent = (box: Local, axis: number): Expression =>
  f64.sub(f64.load(box, axis * 8 + 16), f64.load(box, axis * 8));

/** Emits `(box, to, angle)`: the normal distribution that stands for the box. */
export function emitSpread(m: Module, double: Doubles): FuncRef {
  double.prepare(["sin", "cos"]);
  const params = { box: "i32", to: "i32", angle: "f64" } as const;
  return m.func("spread", { params, results: [] }, (f) => {
    const { box, to, angle } = f.params;
    const [sin, cos, across, down] = doubles(f, ["sin", "cos", "across", "down"]);
    set(f, sin, double.sin(angle));
    set(f, cos, double.cos(angle));
    set(f, across, extent(box, 0));
    set(f, down, extent(box, 1));
    set(f, across, f64.div(square(across), 12));
    set(f, down, f64.div(square(down), 12));
    const numbers = [
      middle(box, 0),
      middle(box, 1),
      f64.add(f64.mul(across, square(cos)), f64.mul(down, square(sin))),
      f64.add(f64.mul(across, square(sin)), f64.mul(down, square(cos))),
      f64.mul(f64.mul(f64.sub(across, down), cos), sin),
    ];
    numbers.forEach((number, i) => {
      f.get(to);
      number(f);
      f.op("f64.store", { offset: i * 8 });
    });
  });
}

/** Keeps quotients of nothing finite. */
const epsilon = 1e-7;

/** How much two candidates are alike, 0..1; `offset`: where their distributions lie. */
export function isAlike(f: Func, double: Doubles, p: Local, q: Local, offset: number): Expression {
  const names = ["a", "b", "c", "dx", "dy", "determinant", "apart", "distance"];
  const [a, b, c, dx, dy, determinant, apart, distance] = doubles(f, names);
  const of = (box: Local, i: number): Expression => f64.load(box, offset + i * 8);
  const own = (box: Local): Expression =>
    f64.max(f64.sub(f64.mul(of(box, 2), of(box, 3)), f64.mul(of(box, 4), of(box, 4))), 0);
  return (g) => {
    set(g, dx, f64.sub(of(q, 0), of(p, 0)));
    set(g, dy, f64.sub(of(p, 1), of(q, 1)));
    [a, b, c].forEach((sum, i) => set(g, sum, f64.add(of(p, 2 + i), of(q, 2 + i))));
    set(g, determinant, f64.sub(f64.mul(a, b), square(c)));
    const along = f64.add(f64.mul(a, square(dy)), f64.mul(b, square(dx)));
    const crossed = f64.mul(f64.mul(c, dx), dy);
    set(g, apart, f64.div(f64.div(along, f64.add(determinant, epsilon)), 4));
    set(g, apart, f64.add(apart, f64.div(f64.div(crossed, f64.add(determinant, epsilon)), 2)));
    const root = f64.sqrt(f64.mul(own(p), own(q)));
    const ratio = f64.div(determinant, f64.add(f64.mul(4, root), epsilon));
    set(g, distance, f64.add(apart, f64.div(double.log(f64.add(ratio, epsilon)), 2)));
    set(g, distance, f64.min(f64.max(distance, epsilon), 100));
    f64.sub(1, f64.sqrt(f64.add(f64.sub(1, double.exp(f64.neg(distance))), epsilon)))(g);
  };
}

export interface TurnedBox {
  /** Address of the candidate, and where its angle is. */
  readonly best: Local;
  readonly angle: number;
  /** Address of the detection, and where the turned box goes. */
  readonly to: Local;
  readonly at: number;
  /** Left, top, right, bottom of the upright box about it. */
  readonly box: readonly Local[];
}

/** Writes the turned box in pixels of the picture: x and y of its middle, width, height, angle; works out the upright one. */
export function emitTurnedBox(
  f: Func,
  double: Doubles,
  { best, to, at, angle: angleAt, box }: TurnedBox,
  picture: PlacedPicture,
): void {
  const [x, y, width, height] = doubles(f, ["x", "y", "wide", "high"]);
  const [angle, sin, cos, sx, sy] = doubles(f, ["angle", "sin", "cos", "sx", "sy"]);
  const turn = (): void => {
    set(f, sin, double.sin(angle));
    set(f, cos, double.cos(angle));
  };
  set(f, x, toPicture(picture, 0, middle(best, 0)));
  set(f, y, toPicture(picture, 1, middle(best, 1)));
  set(f, width, extent(best, 0));
  set(f, height, extent(best, 1));
  set(f, angle, f64.load(best, angleAt));
  set(f, sx, f64.div(1, picture.scaleX));
  set(f, sy, f64.div(1, picture.scaleY));
  turn();
  f64.eq(sx, sy)(f);
  f.if(
    () => {
      set(f, width, f64.mul(width, sx));
      set(f, height, f64.mul(height, sx));
    },
    () => {
      // How far the side along the x axis turns, by the sine and cosine of that; it has a direction where it has a length.
      f64.gt(width, 0)(f);
      f.if(() => {
        const across = f64.mul(f64.mul(sin, cos), f64.sub(sy, sx));
        const along = f64.add(f64.mul(square(cos), sx), f64.mul(square(sin), sy));
        set(f, angle, f64.add(angle, double.atan(f64.div(across, along))));
      });
      const long = (a: Expression, b: Expression): Expression =>
        f64.sqrt(f64.add(f64.mul(a, a), f64.mul(b, b)));
      set(f, width, f64.mul(f64.abs(width), long(f64.mul(cos, sx), f64.mul(sin, sy))));
      set(f, height, f64.mul(f64.abs(height), long(f64.mul(sin, sx), f64.mul(cos, sy))));
      turn();
    },
  );
  [x, y, width, height, angle].forEach((number, i) => storeFloat(f, to, number, at + i * 4));
  emitAbout(f, { x, y, width, height, sin, cos }, box, picture);
}

type Turned = Readonly<Record<"x" | "y" | "width" | "height" | "sin" | "cos", Local>>;

/** The least upright box about a turned one, in the picture. */
function emitAbout(f: Func, turned: Turned, box: readonly Local[], picture: PlacedPicture): void {
  const { x, y, width, height, sin, cos } = turned;
  const at = f.local("f64", "corner");
  set(f, box[0], picture.width);
  set(f, box[1], picture.height);
  set(f, box[2], f64.of(0));
  set(f, box[3], f64.of(0));
  for (const [across, down] of [
    [-1, -1],
    [1, -1],
    [1, 1],
    [-1, 1],
  ]) {
    const [wide, high] = [f64.mul(across, width), f64.mul(down, height)];
    const places = [
      f64.add(x, f64.div(f64.sub(f64.mul(wide, cos), f64.mul(high, sin)), 2)),
      f64.add(y, f64.div(f64.add(f64.mul(wide, sin), f64.mul(high, cos)), 2)),
    ];
    places.forEach((place, axis) => {
      set(f, at, clamped(picture, axis, place));
      set(f, box[axis], f64.min(box[axis], at));
      set(f, box[axis + 2], f64.max(box[axis + 2], at));
    });
  }
}
