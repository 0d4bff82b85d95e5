/** What becomes of boxes that were found: overlapping ones are dropped, and the others are written as detections. */
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
import { emitSpread, emitTurnedBox, isAlike, spreadBytes } from "./_turned.ts";

/**
 * Of a candidate: left, top, right, bottom, score as doubles, class, state, row and level; where boxes are turned, the angle, and what
 * `emitSpread` makes of it.
 */
const places = { score: 32, class: 40, state: 44, row: 48, level: 52, angle: 56, spread: 64 } as const;
export const candidateBytes = (turned: boolean): number =>
  turned ? places.spread + spreadBytes : places.angle;

/** Of a candidate that has been looked at; of one that may be kept; of one that is dropped, but, being turned, drops others yet. */
const states = { done: 0, alive: 1, dropped: 2 } as const;

/** Bytes of a detection before what it has besides: x, y, width, height, score as floats, and the class. */
export const detectionBytes = 24;
/** Bytes behind them of a turned box: x and y of its middle, width, height, angle as floats; and of the pixels that a mask lies in. */
export const turnedBytes = 20;
export const windowBytes = 16;

export interface CandidateList {
  readonly address: number;
  /** More are not kept. */
  readonly most: number;
  /** Word that counts them; those beyond `most` too. */
  readonly count: number;
  /** Boxes are turned about their middle. */
  readonly turned: boolean;
}

/** Emits `(left, top, right, bottom, score, class, row, level)`, and behind them the angle of a turned box. */
export function emitAppend(m: Module, list: CandidateList, doubles: Doubles): FuncRef {
  const numbers = ["left", "top", "right", "bottom", "score"] as const;
  const words = ["class", "row", "level"] as const;
  const params: Record<string, ValueType> = {
    ...Object.fromEntries(numbers.map((name) => [name, "f64"])),
    ...Object.fromEntries(words.map((name) => [name, "i32"])),
    ...(list.turned && { angle: "f64" }),
  };
  const spread = list.turned ? emitSpread(m, doubles) : undefined;
  return m.func("append", { params, results: [] }, (f) => {
    const [n, at] = [f.local("i32", "n"), f.local("i32", "at")];
    set(f, n, i32.load(list.count));
    i32.lt_s(n, list.most)(f);
    f.if(() => {
      set(f, at, address(list.address, n, candidateBytes(list.turned)));
      const storeDouble = (name: string, offset: number): void => {
        f.get(at);
        f.get(f.params[name]);
        f.op("f64.store", { offset });
      };
      numbers.forEach((name, i) => storeDouble(name, i * 8));
      for (const word of words) storeWord(f, at, f.params[word], places[word]);
      storeWord(f, at, states.alive, places.state);
      if (!spread) return;
      storeDouble("angle", places.angle);
      f.get(at);
      i32.add(at, places.spread)(f);
      f.get(f.params.angle);
      f.call(spread);
    });
    f.i32(list.count);
    i32.add(n, 1)(f);
    f.op("i32.store");
  });
}

function storeWord(f: Func, at: Local, value: Local | number, offset: number): void {
  f.get(at);
  if (typeof value === "number") f.i32(value);
  else f.get(value);
  f.op("i32.store", { offset });
}

/** How detections are written. */
export interface DetectionList {
  readonly address: number;
  readonly bytes: number;
  /** What a detection has besides its box. */
  readonly has: "nothing" | "points" | "mask" | "turned box";
  /** There is no box: classes of the whole picture. */
  readonly whole: boolean;
  /** Pushes nothing: writes points or coefficients of a row of a level. */
  parts(f: Func, level: Expression, row: Expression, to: Expression): void;
}

/**
 * Emits `(iou, most) → count`: the best candidates, each without those of its class that overlap it by more than `iou`, as detections, in pixels of
 * the picture, cut off at its border; those outside are left out, but count among `most`. Of equal scores the first is better. Turned boxes
 * that were dropped drop others too.
 */
export function emitSuppress(
  m: Module,
  list: CandidateList,
  out: DetectionList,
  picture: PlacedPicture,
  doubles: Doubles,
): FuncRef {
  const bytes = candidateBytes(list.turned);
  if (list.turned) doubles.prepare(["exp", "log", "sin", "cos", "atan"]);
  return m.func("suppress", { params: { iou: "f64", most: "i32" }, results: ["i32"] }, (f) => {
    const [kept, written, at, best, end, state] = ["kept", "written", "at", "best", "end", "state"].map((n) =>
      f.local("i32", n),
    );
    const score = f.local("f64", "score");
    set(f, end, address(list.address, i32.load(list.count), bytes));
    const forCandidates = (body: () => void): void =>
      forRange(f, at, i32.of(list.address), end, bytes, () => {
        i32.load(at, places.state)(f);
        f.if(body);
      });
    const isLike = list.turned ? isAlike(f, doubles, at, best, places.spread) : overlap(f, at, best);
    f.block((done) => {
      f.loop((next) => {
        i32.lt_s(kept, f.params.most)(f);
        f.op("i32.eqz");
        f.brIf(done);
        set(f, best, 0);
        set(f, score, f64.of(Number.NEGATIVE_INFINITY));
        forCandidates(() => {
          f64.gt(f64.load(at, places.score), score)(f);
          f.if(() => {
            set(f, score, f64.load(at, places.score));
            set(f, best, at);
          });
        });
        i32.eqz(best)(f);
        f.brIf(done);
        set(f, state, i32.load(best, places.state));
        storeWord(f, best, states.done, places.state);
        forCandidates(() => {
          i32.eq(i32.load(at, places.class), i32.load(best, places.class))(f);
          f.if(() => {
            f64.gt(isLike, f.params.iou)(f);
            f.if(() => storeWord(f, at, list.turned ? states.dropped : states.done, places.state));
          });
        });
        i32.eq(state, states.alive)(f);
        f.if(() => {
          set(f, kept, i32.add(kept, 1));
          emitDetection(f, best, written, out, picture, doubles);
        });
        f.br(next);
      });
    });
    f.get(written);
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

/** Writes the candidate `best` as the detection of the number `written`, and counts it, if some of its box is in the picture. */
function emitDetection(
  f: Func,
  best: Local,
  written: Local,
  out: DetectionList,
  picture: PlacedPicture,
  doubles: Doubles,
): void {
  const to = f.local("i32", "to");
  const box = ["x0", "y0", "x1", "y1"].map((n) => f.local("f64", n));
  set(f, to, address(out.address, written, out.bytes));
  if (out.has === "turned box")
    emitTurnedBox(f, doubles, { best, to, at: detectionBytes, angle: places.angle, box }, picture);
  else {
    box.forEach((corner, i) => {
      const place = toPicture(picture, i % 2, f64.load(best, i * 8));
      set(f, corner, clamped(picture, i % 2, place));
    });
  }
  const sides = [f64.sub(box[2], box[0]), f64.sub(box[3], box[1])];
  if (out.whole) f.i32(1);
  else i32.and(f64.gt(sides[0], 0), f64.gt(sides[1], 0))(f);
  f.if(() => {
    [box[0], box[1], ...sides, f64.load(best, places.score)].forEach((value, i) =>
      storeFloat(f, to, value, i * 4),
    );
    f.get(to);
    i32.load(best, places.class)(f);
    f.op("i32.store", { offset: 20 });
    if (out.has === "mask") emitWindow(f, to, box);
    if (out.has === "mask" || out.has === "points") {
      const behind = detectionBytes + (out.has === "mask" ? windowBytes : 0);
      out.parts(f, i32.load(best, places.level), i32.load(best, places.row), i32.add(to, behind));
    }
    set(f, written, i32.add(written, 1));
  });
}

/** The pixels whose left top corner lies in the box: x, y, width, height. */
function emitWindow(f: Func, to: Local, [x0, y0, x1, y1]: readonly Local[]): void {
  const low = [x0, y0].map((at) => i32.trunc_f64_s(f64.ceil(at)));
  const extents = [
    [x0, x1],
    [y0, y1],
  ].map(([a, b], i) => i32.sub(i32.trunc_f64_s(f64.ceil(f64.add(a, f64.sub(b, a)))), low[i]));
  [...low, ...extents].forEach((word, i) => {
    f.get(to);
    word(f);
    f.op("i32.store", { offset: detectionBytes + i * 4 });
  });
}
