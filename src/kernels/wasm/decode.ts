/** Boxes from a network's outputs, as formulas tell (`base/formula.ts`); a level's rows are gone through one by one, in double precision. */
import type { BoxFormulas, Formula } from "../../base/formula.ts";
import { address, type Expression, f64, i32, type Operand, set } from "../../wasm/expressions.ts";
import {
  type Func,
  type FuncRef,
  forRange,
  type Local,
  type Module,
  type ValueType,
} from "../../wasm/index.ts";
import { type DoubleFunction, Doubles } from "./_double.ts";

/** Numbers of a row that lie `strideBytes` apart. */
const run = { at: "i32", count: "i32", strideBytes: "i32" } as const;

/** What the levels of one module share. */
export class Decoder {
  private readonly m: Module;
  private readonly doubles: Doubles;
  private readonly best: FuncRef;
  /** `(left, top, right, bottom, score, class)` */
  private readonly append: FuncRef;
  private softmaxFunction: FuncRef | undefined;
  private meanFunction: FuncRef | undefined;

  constructor(m: Module, append: FuncRef) {
    this.m = m;
    this.append = append;
    this.doubles = new Doubles(m);
    this.best = emitBest(m);
  }

  /** Emits `(base of each view's blob…, confidence)`: appends the boxes of a level. */
  level(name: string, level: BoxFormulas): FuncRef {
    this.prepare(level);
    const { rows, columns, views, classes, most, score, box, every } = level;
    const bases = views.map((_, i) => `view${i}`);
    const params: Record<string, ValueType> = {
      ...Object.fromEntries(bases.map((base) => [base, "i32"])),
      confidence: "f64",
    };
    return this.m.func(name, { params, results: [] }, (f) => {
      const [row, k] = [f.local("i32", "row"), f.local("i32", "class")];
      const at = views.map((_, i) => f.local("i32", `at${i}`));
      const value = f.local("f64", "value");
      const found = f.local("f64", "score");
      const corners = box.map((_, i) => f.local("f64", `corner${i}`));
      const cell: Cell = {
        column: f64.convert_i32_s(i32.rem_u(row, columns)),
        row: f64.convert_i32_s(i32.div_u(row, columns)),
        ...{ value, level, at },
      };
      const of = (formula: Formula): Expression => this.expression(formula, cell);
      const own = classes.from * views[classes.view].valueStride * 4;
      const step = views[classes.view].valueStride * 4;
      const classAt: Expression = address(i32.add(at[classes.view], own), k, step);
      const take = (): void => {
        set(f, value, f64.loadFloat(classAt));
        set(f, found, of(score));
        f64.gt(found, f.params.confidence)(f);
        f.if(() => {
          box.forEach((corner, i) => set(f, corners[i], of(corner)));
          const sum = corners
            .map(
              (c): Expression =>
                (g) =>
                  g.get(c),
            )
            .reduce((a, b) => f64.add(a, b));
          f64.eq(f64.sub(sum, sum), f64.sub(sum, sum))(f);
          f.if(() => {
            for (const corner of corners) f.get(corner);
            f.get(found);
            f.get(k);
            f.call(this.append);
          });
        });
      };
      forRange(f, row, 0, rows, 1, () => {
        views.forEach((view, i) => {
          set(f, at[i], address(i32.add(f.params[`view${i}`], view.first * 4), row, view.rowStride * 4));
        });
        const look = (): void => {
          if (every) {
            forRange(f, k, 0, classes.count, 1, take);
            return;
          }
          i32.add(at[classes.view], own)(f);
          f.i32(classes.count);
          f.i32(step);
          f.call(this.best);
          f.set(k);
          i32.lt_s(k, 0)(f);
          f.op("i32.eqz");
          f.if(take);
        };
        if (most === undefined) look();
        else {
          f64.gt(of(most), f.params.confidence)(f);
          f.if(look);
        }
      });
    });
  }

  /** Bodies of functions do not nest: those that are called come first. */
  private prepare({ most = 0, score, box }: BoxFormulas): void {
    for (const formula of [most, score, ...box]) {
      for (const part of partsOf(formula)) {
        if (part === "softmax") this.softmaxFunction ??= emitSoftmax(this.m, this.doubles);
        else if (typeof part === "object" && "mean" in part)
          this.meanFunction ??= emitMean(this.m, this.doubles);
        else if (Array.isArray(part) && calls.has(part[0])) this.doubles.prepare([part[0] as DoubleFunction]);
      }
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
    if (formula === "softmax") {
      const { view, from, count } = level.classes;
      const [local, offset] = placeOf(view, from);
      return (f) => {
        i32.add(local, offset)(f);
        f.i32(count);
        f.i32(level.views[view].valueStride * 4);
        f.get(cell.value);
        f.call(this.softmaxFunction!);
      };
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
        return this.doubles[formula[0]](a);
      case "pow":
        return this.doubles.pow(a, b);
      default:
        return f64[formula[0]](a, b);
    }
  }
}

const calls = new Set<string>(["sigmoid", "exp", "tanh", "pow"]);

/** A formula and all that it is made of. */
function partsOf(formula: Formula): Formula[] {
  if (!Array.isArray(formula)) return [formula];
  return [formula, ...(formula.slice(1) as Formula[]).flatMap(partsOf)];
}

/** The row that is looked at. */
interface Cell {
  readonly column: Expression;
  readonly row: Expression;
  /** Of the class that is looked at. */
  readonly value: Local;
  readonly level: BoxFormulas;
  /** Where the row begins in each view. */
  readonly at: readonly Local[];
}

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

/** Bytes of a candidate: left, top, right, bottom, score as doubles, class, and whether it is still to be looked at. */
export const candidateBytes = 48;
/** Bytes of a detection: x, y, width, height, score as floats, and the class. */
export const detectionBytes = 24;

export interface CandidateList {
  readonly address: number;
  /** More are not kept. */
  readonly most: number;
  /** Word that counts them; those beyond `most` too. */
  readonly count: number;
}

/** Emits `(left, top, right, bottom, score, class)`. */
export function emitAppend(m: Module, { address: list, most, count }: CandidateList): FuncRef {
  const numbers = ["left", "top", "right", "bottom", "score"] as const;
  const params: Record<string, ValueType> = {
    ...Object.fromEntries(numbers.map((name) => [name, "f64"])),
    class: "i32",
  };
  return m.func("append", { params, results: [] }, (f) => {
    const [n, at] = [f.local("i32", "n"), f.local("i32", "at")];
    set(f, n, i32.load(count));
    i32.lt_s(n, most)(f);
    f.if(() => {
      set(f, at, address(list, n, candidateBytes));
      numbers.forEach((name, i) => {
        f.get(at);
        f.get(f.params[name]);
        f.op("f64.store", { offset: i * 8 });
      });
      f.get(at);
      f.get(f.params.class);
      f.op("i32.store", { offset: 40 });
      f.get(at);
      f.i32(1);
      f.op("i32.store", { offset: 44 });
    });
    f.i32(count);
    i32.add(n, 1)(f);
    f.op("i32.store");
  });
}

/** Where the picture lies in the input: expressions of doubles. */
export interface PlacedPicture {
  readonly padX: Expression;
  readonly padY: Expression;
  readonly scaleX: Expression;
  readonly scaleY: Expression;
  readonly width: Expression;
  readonly height: Expression;
}

/**
 * Emits `(iou, most) → count`: the best candidates, each without those of its class that overlap it by more than `iou`, as detections at
 * `out`, in pixels of the picture, cut off at its border; those outside are left out, but count among `most`.
 */
export function emitSuppress(m: Module, list: CandidateList, out: number, picture: PlacedPicture): FuncRef {
  return m.func("suppress", { params: { iou: "f64", most: "i32" }, results: ["i32"] }, (f) => {
    const local = (n: string): Local => f.local("i32", n);
    const [kept, written, j, at, best, end, to] = ["kept", "written", "j", "at", "best", "end", "to"].map(
      local,
    );
    const score = f.local("f64", "score");
    const box = ["x0", "y0", "x1", "y1"].map((n) => f.local("f64", n));
    set(f, end, address(list.address, i32.load(list.count), candidateBytes));
    const alive: Expression = i32.load(at, 44);
    const forCandidates = (body: () => void): void =>
      forRange(f, at, i32.of(list.address), end, candidateBytes, () => {
        alive(f);
        f.if(body);
      });
    f.block((done) => {
      forRange(f, kept, 0, f.params.most, 1, () => {
        set(f, best, 0);
        set(f, score, f64.of(Number.NEGATIVE_INFINITY));
        forCandidates(() => {
          f64.gt(f64.load(at, 32), score)(f);
          f.if(() => {
            set(f, score, f64.load(at, 32));
            set(f, best, at);
          });
        });
        i32.eqz(best)(f);
        f.brIf(done);
        f.get(best);
        f.i32(0);
        f.op("i32.store", { offset: 44 });
        forCandidates(() => {
          i32.eq(i32.load(at, 40), i32.load(best, 40))(f);
          f.if(() => {
            f64.gt(overlap(f, at, best), f.params.iou)(f);
            f.if(() => {
              f.get(at);
              f.i32(0);
              f.op("i32.store", { offset: 44 });
            });
          });
        });
        emitDetection(f, { best, to, written, box, out }, picture);
      });
    });
    set(f, j, written);
    f.get(j);
  });
}

/** Intersection over union; 0 where both are empty. */
function overlap(f: Func, a: Local, b: Local): Expression {
  const [width, height, shared] = ["width", "height", "shared"].map((n) => f.local("f64", n));
  const side = (low: number): Expression =>
    f64.sub(
      f64.min(f64.load(a, low + 16), f64.load(b, low + 16)),
      f64.max(f64.load(a, low), f64.load(b, low)),
    );
  const area = (of: Local): Expression =>
    f64.mul(f64.sub(f64.load(of, 16), f64.load(of, 0)), f64.sub(f64.load(of, 24), f64.load(of, 8)));
  return (g) => {
    set(g, width, side(0));
    set(g, height, side(8));
    set(g, shared, f64.mul(width, height));
    i32.and(f64.gt(width, 0), f64.gt(height, 0))(g);
    g.if(
      () => f64.div(shared, f64.sub(f64.add(area(a), area(b)), shared))(g),
      () => g.f64(0),
      ["f64"],
    );
  };
}

interface Writing {
  readonly best: Local;
  readonly to: Local;
  readonly written: Local;
  readonly box: readonly Local[];
  readonly out: number;
}

function emitDetection(f: Func, { best, to, written, box, out }: Writing, picture: PlacedPicture): void {
  const { padX, padY, scaleX, scaleY, width, height } = picture;
  box.forEach((corner, i) => {
    const [pad, scale, limit] = i % 2 ? [padY, scaleY, height] : [padX, scaleX, width];
    const place = f64.div(f64.sub(f64.load(best, i * 8), pad), scale);
    set(f, corner, f64.min(f64.max(place, 0), limit));
  });
  const sides = [f64.sub(box[2], box[0]), f64.sub(box[3], box[1])];
  i32.and(f64.gt(sides[0], 0), f64.gt(sides[1], 0))(f);
  f.if(() => {
    set(f, to, address(out, written, detectionBytes));
    const push = (c: Operand): Expression => f64.add(c, 0);
    [push(box[0]), push(box[1]), ...sides, f64.load(best, 32)].forEach((value, i) => {
      f.get(to);
      value(f);
      f.op("f32.demote_f64");
      f.op("f32.store", { offset: i * 4 });
    });
    f.get(to);
    i32.load(best, 40)(f);
    f.op("i32.store", { offset: 20 });
    set(f, written, i32.add(written, 1));
  });
}
