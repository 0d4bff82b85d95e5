/** Boxes from a network's outputs, as formulas tell (`base/formula.ts`); a level's rows are gone through one by one, in double precision. */
import type { BoxFormulas, Formula, PointFormulas } from "../../base/formula.ts";
import { address, type Expression, f64, i32, set } from "../../wasm/expressions.ts";
import {
  type Func,
  type FuncRef,
  forRange,
  type Local,
  type Module,
  type ValueType,
} from "../../wasm/index.ts";
import type { Doubles } from "./_double.ts";
import { clamped, type PlacedPicture, storeFloat, toPicture } from "./_placed.ts";

/** Numbers of a row that lie `strideBytes` apart. */
const run = { at: "i32", count: "i32", strideBytes: "i32" } as const;

/** What the levels of one module share. */
export class Decoder {
  private readonly m: Module;
  private readonly doubles: Doubles;
  private readonly best: FuncRef;
  private readonly append: FuncRef;
  private softmaxFunction: FuncRef | undefined;
  private rivalsFunction: FuncRef | undefined;
  private meanFunction: FuncRef | undefined;

  /** `append`: as `emitAppend` gives it, made with `doubles`. */
  constructor(m: Module, append: FuncRef, doubles: Doubles) {
    this.m = m;
    this.append = append;
    this.doubles = doubles;
    this.best = emitBest(m);
  }

  /** Emits `(base of each view's blob…, confidence)`: appends the boxes of a level, with its number. */
  level(name: string, number: number, level: BoxFormulas): FuncRef {
    const { most = 0, score, box, sound, angle = 0 } = level;
    this.prepare([most, score, sound, angle, ...box]);
    return this.m.func(name, { params: { ...baseParams(level), confidence: "f64" }, results: [] }, (f) => {
      const row = f.local("i32", "row");
      const cell = cellOf(f, level, row);
      forRange(f, row, 0, level.rows, 1, () => {
        emitRow(f, level, cell);
        const look = (): void => this.emitClasses(f, number, level, cell, row);
        if (level.most === undefined) {
          look();
          return;
        }
        f64.gt(this.expression(level.most, cell), f.params.confidence)(f);
        f.if(look);
      });
    });
  }

  /** Looks at the classes of a row. */
  private emitClasses(f: Func, number: number, level: BoxFormulas, cell: Cell, row: Local): void {
    const { classes, every, score } = level;
    const [k, value, found] = [f.local("i32", "class"), cell.value, f.local("f64", "score")];
    const step = level.views[classes.view].valueStride * 4;
    const own = i32.add(cell.at[classes.view], classes.from * step);
    const isFound = f64.gt(found, f.params.confidence);
    const scoreOf = (k: Local): void => {
      set(f, value, f64.loadFloat(address(own, k, step)));
      set(f, found, this.expression(score, cell));
    };
    const add = (): void => this.emitBox(f, level, cell, [found, k, row, i32.of(number)]);
    if (classes.numbered) {
      set(f, value, f64.loadFloat(own));
      set(f, k, i32.trunc_f64_s(f64.sub(f64.floor(f64.add(value, 0.5)), 1)));
      set(f, found, this.expression(score, cell));
      // The number of NaN is 0, which is no class.
      i32.and(i32.lt_u(k, classes.count), i32.and(f64.eq(value, value), isFound))(f);
      f.if(add);
      return;
    }
    if (every) {
      forRange(f, k, 0, classes.count, 1, () => {
        scoreOf(k);
        isFound(f);
        f.if(add);
      });
      return;
    }
    own(f);
    f.i32(classes.count);
    f.i32(step);
    f.call(this.best);
    f.set(k);
    i32.gt_s(k, -1)(f);
    f.if(() => {
      scoreOf(k);
      isFound(f);
      f.if(() => {
        this.emitFirst(f, level, cell, k, found, own);
        add();
      });
    });
  }

  /** The first class whose score, as a double, is that of the best: that of another may be no less, though its number is. */
  private emitFirst(
    f: Func,
    { score, classes, views }: BoxFormulas,
    cell: Cell,
    k: Local,
    found: Local,
    own: Expression,
  ): void {
    // Doubles of such numbers are different where they are.
    if (score === "class" || classes.byNumber) return;
    const [other, at, least] = [f.local("i32", "other"), f.local("i32", "earlier"), f.local("f64", "least")];
    const step = views[classes.view].valueStride * 4;
    // Products with a number cost nothing.
    const isSteep = partsOf(score).some((part) => part === "softmax" || part === "rivals" || isCall(part));
    if (isSteep) set(f, least, f64.min(f64.sub(cell.value, nearlyEqual), steep));
    else set(f, least, f64.of(Number.NEGATIVE_INFINITY));
    set(f, at, own);
    f.block((done) => {
      forRange(f, other, 0, k, 1, () => {
        set(f, cell.value, f64.loadFloat(at));
        f64.gt(cell.value, least)(f);
        f.if(() => {
          f64.ge(this.expression(score, cell), found)(f);
          f.if(() => {
            set(f, k, other);
            f.br(done);
          });
        });
        set(f, at, i32.add(at, step));
      });
    });
  }

  private emitBox(
    f: Func,
    { box, sound, angle }: BoxFormulas,
    cell: Cell,
    rest: readonly (Local | Expression)[],
  ): void {
    const sum = f.local("f64", "sum");
    set(f, sum, this.expression(sound, cell));
    f64.eq(sum, sum)(f);
    f.if(() => {
      for (const corner of box) this.expression(corner, cell)(f);
      for (const each of rest) {
        if (typeof each === "function") each(f);
        else f.get(each);
      }
      if (angle !== undefined) this.expression(angle, cell)(f);
      f.call(this.append);
    });
  }

  /**
   * Emits `(base of each view's blob…, row, to)`: writes the points or the mask's coefficients of a row, points in pixels of the picture. Where a
   * point is no number, the first is NaN.
   */
  parts(name: string, level: BoxFormulas, picture: PlacedPicture): FuncRef {
    const { points, mask } = level;
    if (points) this.prepare([...points.place, points.seen ?? 0]);
    const params = { ...baseParams(level), row: "i32", to: "i32" } as const;
    return this.m.func(name, { params, results: [] }, (f) => {
      const { row, to } = f.params as Record<"row" | "to", Local>;
      const cell = cellOf(f, level, row);
      emitRow(f, level, cell);
      if (points) this.emitPoints(f, points, cell, to, picture);
      if (!mask) return;
      const [k, at] = [f.local("i32", "k"), f.local("i32", "at")];
      const step = level.views[mask.view].valueStride * 4;
      set(f, at, i32.add(cell.at[mask.view], mask.from * step));
      forRange(f, k, 0, mask.count, 1, () => {
        address(to, k, 4)(f);
        address(at, k, step)(f);
        f.op("f32.load");
        f.op("f32.store");
      });
    });
  }

  private emitPoints(f: Func, points: PointFormulas, cell: Cell, to: Local, picture: PlacedPicture): void {
    const [i, at, first] = ["i", "at", "first"].map((n) => f.local("i32", n));
    const [x, y, seen] = ["x", "y", "seen"].map((n) => f.local("f64", n));
    const isBad = f.local("i32", "isBad");
    const step = cell.level.views[points.view].valueStride * 4;
    const own: Cell = { ...cell, point: { at, step } };
    set(f, first, to);
    set(f, at, i32.add(cell.at[points.view], points.from * step));
    forRange(f, i, 0, points.count, 1, () => {
      set(f, x, this.expression(points.place[0], own));
      set(f, y, this.expression(points.place[1], own));
      const sum = f64.add(x, y);
      set(f, isBad, i32.or(isBad, f64.ne(sum, sum)));
      set(f, x, toPicture(picture, 0, x));
      set(f, y, toPicture(picture, 1, y));
      if (points.seen !== undefined) {
        set(f, seen, this.expression(points.seen, own));
        f64.eq(seen, seen)(f);
        f.if(() => {
          set(f, x, clamped(picture, 0, x));
          set(f, y, clamped(picture, 1, y));
        });
      }
      const numbers = [x, y, ...(points.seen === undefined ? [] : [seen])];
      numbers.forEach((number, k) => storeFloat(f, to, number, k * 4));
      set(f, to, i32.add(to, numbers.length * 4));
      set(f, at, i32.add(at, points.step * step));
    });
    f.get(isBad);
    f.if(() => storeFloat(f, first, Number.NaN, 0));
  }

  /** Bodies of functions do not nest: those that are called come first. */
  private prepare(formulas: readonly Formula[]): void {
    for (const part of formulas.flatMap(partsOf)) {
      if (part === "softmax") this.softmaxFunction ??= emitSoftmax(this.m, this.doubles);
      else if (part === "rivals") this.rivalsFunction ??= emitRivals(this.m, this.doubles);
      else if (typeof part === "object" && "mean" in part)
        this.meanFunction ??= emitMean(this.m, this.doubles);
      else if (isCall(part)) this.doubles.prepare([part[0]]);
    }
  }

  private expression(formula: Formula, cell: Cell): Expression {
    if (typeof formula === "number") return f64.of(formula);
    if (formula === "column" || formula === "row") return cell[formula];
    if (formula === "class") return (f) => f.get(cell.value);
    const { at, level } = cell;
    const placeOf = (view: number, index: number): [Local, number] => [
      at[view],
      index * level.views[view].valueStride * 4,
    ];
    if (formula === "softmax" || formula === "rivals") {
      const { view, from, count } = level.classes;
      const fn = formula === "softmax" ? this.softmaxFunction! : this.rivalsFunction!;
      const [local, offset] = placeOf(view, from);
      return (f) => {
        i32.add(local, offset)(f);
        f.i32(count);
        f.i32(level.views[view].valueStride * 4);
        f.get(cell.value);
        f.call(fn);
      };
    }
    if ("point" in formula) {
      const { at, step } = cell.point!;
      return f64.loadFloat(at, formula.point * step);
    }
    if ("mean" in formula) {
      const [local, offset] = placeOf(formula.view, formula.mean);
      return (f) => {
        i32.add(local, offset)(f);
        f.i32(formula.count);
        f.i32(level.views[formula.view].valueStride * 4);
        f.call(this.meanFunction!);
      };
    }
    if ("value" in formula) return f64.loadFloat(...placeOf(formula.view, formula.value));
    const [a, b] = formula.slice(1).map((part) => this.expression(part as Formula, cell));
    switch (formula[0]) {
      case "sigmoid":
      case "exp":
      case "tanh":
      case "sin":
      case "cos":
        return this.doubles[formula[0]](a);
      case "pow":
        return this.doubles.pow(a, b);
      default:
        return f64[formula[0]](a, b);
    }
  }
}

/** Numbers that are farther apart have different scores, but for those above `steep`, where the sigmoid is nearly 1. */
const nearlyEqual = 1e-6;
const steep = 16;

const calls = new Set<string>(["sigmoid", "exp", "tanh", "pow", "sin", "cos"]);
const isCall = (part: Formula): part is readonly ["exp", Formula] =>
  Array.isArray(part) && calls.has(part[0]);

/** A formula and all that it is made of. */
function partsOf(formula: Formula): Formula[] {
  if (!Array.isArray(formula)) return [formula];
  return [formula, ...(formula.slice(1) as Formula[]).flatMap(partsOf)];
}

/** The row that is looked at. */
interface Cell {
  readonly index: Local;
  readonly column: Expression;
  readonly row: Expression;
  /** Of the class that is looked at. */
  readonly value: Local;
  readonly level: BoxFormulas;
  /** Where the row begins in each view. */
  readonly at: readonly Local[];
  /** Where the numbers of a point lie, and how far apart. */
  readonly point?: { readonly at: Local; readonly step: number };
}

/** One parameter for each view. */
const baseParams = ({ views }: BoxFormulas): Record<string, ValueType> =>
  Object.fromEntries(views.map((_, i) => [`view${i}`, "i32"]));

const cellOf = (f: Func, level: BoxFormulas, row: Local): Cell => ({
  column: f64.convert_i32_s(i32.rem_u(row, level.columns)),
  row: f64.convert_i32_s(i32.div_u(row, level.columns)),
  value: f.local("f64", "value"),
  at: level.views.map((_, i) => f.local("i32", `at${i}`)),
  level,
  index: row,
});

/** Goes to a row. */
const emitRow = (f: Func, { views }: BoxFormulas, { at, index }: Cell): void =>
  views.forEach((view, i) => {
    set(f, at[i], address(i32.add(f.params[`view${i}`], view.first * 4), index, view.rowStride * 4));
  });

/** `for each value of the run: body`, with the value, and its number. */
function forValues(f: Func, body: (value: Local, k: Local) => void): void {
  const { at, count, strideBytes } = f.params as Record<keyof typeof run, Local>;
  const [k, value] = [f.local("i32", "k"), f.local("f64", "each")];
  forRange(f, k, 0, count, 1, () => {
    set(f, value, f64.loadFloat(i32.add(at, i32.mul(k, strideBytes))));
    body(value, k);
  });
}

/** The first of the greatest values, −1 where there is none above −Infinity. */
function emitBest(m: Module): FuncRef {
  return m.func("best", { params: run, results: ["i32"] }, (f) => {
    const [found, most] = [f.local("i32", "found"), f.local("f64", "most")];
    set(f, found, -1);
    set(f, most, f64.of(Number.NEGATIVE_INFINITY));
    forValues(f, (value, k) => {
      f64.gt(value, most)(f);
      f.if(() => {
        set(f, most, value);
        set(f, found, k);
      });
    });
    f.get(found);
  });
}

function emitMost(f: Func, most: Local): void {
  set(f, most, f64.of(Number.NEGATIVE_INFINITY));
  forValues(f, (value) => set(f, most, f64.max(most, value)));
}

/** `(…, value)`: e to the power of the value, as a part of the sum over the run. */
function emitSoftmax(m: Module, doubles: Doubles): FuncRef {
  doubles.prepare(["exp"]);
  return m.func("softmax", { params: { ...run, value: "f64" }, results: ["f64"] }, (f) => {
    const [most, sum] = [f.local("f64", "most"), f.local("f64", "sum")];
    emitMost(f, most);
    forValues(f, (value) => set(f, sum, f64.add(sum, doubles.exp(f64.sub(value, most)))));
    f64.div(doubles.exp(f64.sub(f.params.value, most)), sum)(f);
  });
}

/** Σ k·softmax[k] */
function emitMean(m: Module, doubles: Doubles): FuncRef {
  doubles.prepare(["exp"]);
  return m.func("mean", { params: run, results: ["f64"] }, (f) => {
    const [most, sum, weighted, power] = ["most", "sum", "weighted", "power"].map((n) => f.local("f64", n));
    emitMost(f, most);
    forValues(f, (value, k) => {
      set(f, power, doubles.exp(f64.sub(value, most)));
      set(f, sum, f64.add(sum, power));
      set(f, weighted, f64.add(weighted, f64.mul(f64.convert_i32_s(k), power)));
    });
    f64.div(weighted, sum)(f);
  });
}

/** `(…, value)`: Σ exp(each − value) over the run. */
function emitRivals(m: Module, doubles: Doubles): FuncRef {
  doubles.prepare(["exp"]);
  return m.func("rivals", { params: { ...run, value: "f64" }, results: ["f64"] }, (f) => {
    const sum = f.local("f64", "sum");
    forValues(f, (value) => set(f, sum, f64.add(sum, doubles.exp(f64.sub(value, f.params.value)))));
    f.get(sum);
  });
}
