/** The function of a compiled file that makes detections of the network's outputs. */
import type { BoxFormulas } from "../../base/formula.ts";
import {
  type CandidateList,
  Decoder,
  type DetectionList,
  Doubles,
  detectionBytes,
  emitAppend,
  emitSuppress,
  type PictureGlobals,
  type PlacedPicture,
  turnedBytes,
  windowBytes,
} from "../../kernels/wasm/index.ts";
import { type Expression, i32 } from "../../wasm/expressions.ts";
import type { Func, GlobalRef, Module } from "../../wasm/index.ts";

/** What stands for each detection behind x, y, width, height, score and class; one of these at most. */
export interface DetectionLayout {
  /** From one detection to the next. */
  bytes: number;
  /** So many numbers for each: x, y, and how surely it is seen where there are three. The first is NaN where a detection has none. */
  points?: { count: number; values: number };
  /** x, y, width, height of the pixels in which the mask lies, and so many coefficients of the planes of a blob. */
  mask?: { count: number; prototypes: string; probabilities: boolean };
  /** x, y of the middle, width, height, angle. */
  turned?: boolean;
}

/** Nothing where the levels do not have the same. */
export function layoutOf(levels: readonly BoxFormulas[]): DetectionLayout | undefined {
  const all = levels.map(({ points, mask, angle }): Omit<DetectionLayout, "bytes"> => {
    if (angle !== undefined) return { turned: true };
    if (points) return { points: { count: points.count, values: points.seen === undefined ? 2 : 3 } };
    if (!mask) return {};
    const { count, prototypes, probabilities } = mask;
    return { mask: { count, prototypes, probabilities } };
  });
  const [first] = all;
  if (all.some((each) => JSON.stringify(each) !== JSON.stringify(first))) return undefined;
  const { points, mask, turned } = first;
  const more =
    (points ? points.count * points.values * 4 : 0) +
    (mask ? windowBytes + mask.count * 4 : 0) +
    (turned ? turnedBytes : 0);
  return { bytes: detectionBytes + more, ...first };
}

export interface DetectSpec {
  /** Of each size, with the addresses of what their views show. */
  readonly levels: readonly (readonly {
    readonly formulas: BoxFormulas;
    readonly addresses: readonly number[];
  }[])[];
  readonly layout: DetectionLayout;
  readonly candidates: CandidateList;
  /** Where detections go, and for how many there is room. */
  readonly out: number;
  readonly room: number;
  readonly suppress: boolean;
  /** The number of the size. */
  readonly current: GlobalRef;
  readonly globals: PictureGlobals;
}

/** `detect(confidence, iou, most) → count`, −1 where too many boxes pass; `detections` is their address. */
export function emitDetect(m: Module, spec: DetectSpec): void {
  const { levels, candidates, current } = spec;
  const doubles = new Doubles(m);
  const picture = placedBy(spec.globals);
  const decoder = new Decoder(m, emitAppend(m, candidates, doubles), doubles);
  const numbered = levels.flatMap((list, size) =>
    list.map((level, i) => ({ ...level, size, name: `${size}level${i}` })),
  );
  const find = numbered.map(({ formulas, name }, n) => decoder.level(`decode${name}`, n, formulas));
  const { points, mask, turned } = spec.layout;
  const parts =
    points || mask
      ? numbered.map(({ formulas, name }) => decoder.parts(`parts${name}`, formulas, picture))
      : [];
  const out: DetectionList = {
    ...{ address: spec.out, bytes: spec.layout.bytes },
    has: turned ? "turned box" : points ? "points" : mask ? "mask" : "nothing",
    whole: numbered.some(({ formulas }) => formulas.whole),
    parts: (f, level, row, to) =>
      parts.forEach((fn, n) => {
        i32.eq(level, n)(f);
        f.if(() => {
          for (const address of numbered[n].addresses) f.i32(address);
          row(f);
          to(f);
          f.call(fn);
        });
      }),
  };
  const suppress = emitSuppress(m, candidates, out, picture, doubles);
  m.global("i32", { init: spec.out, export: "detections" });
  const params = { confidence: "f64", iou: "f64", most: "i32" } as const;
  m.func("detect", { params, results: ["i32"], export: true }, (f) => {
    const { confidence, iou, most } = f.params;
    f.i32(candidates.count);
    f.i32(0);
    f.op("i32.store");
    levels.forEach((_, size) => {
      f.getGlobal(current);
      f.i32(size);
      f.op("i32.eq");
      f.if(() => {
        numbered.forEach((level, n) => {
          if (level.size !== size) return;
          for (const address of level.addresses) f.i32(address);
          f.get(confidence);
          f.call(find[n]);
        });
      });
    });
    i32.gt_s(i32.load(candidates.count), candidates.most)(f);
    f.if(() => {
      f.i32(-1);
      f.return();
    });
    if (spec.suppress) f.get(iou);
    else f.f64(1);
    // At most what there is room for.
    f.get(most);
    f.i32(spec.room);
    i32.lt_u(most, spec.room)(f);
    f.select();
    f.call(suppress);
  });
}

function placedBy(globals: PictureGlobals): PlacedPicture {
  const read =
    (global: GlobalRef): Expression =>
    (f: Func) =>
      f.getGlobal(global);
  const { padX, padY, scaleX, scaleY, width, height } = globals;
  return {
    ...{ padX: read(padX), padY: read(padY), scaleX: read(scaleX), scaleY: read(scaleY) },
    ...{ width: read(width), height: read(height) },
  };
}
