/** How a picture of any size comes to lie in the input: what `detect/letterbox.ts` works out for `place`, worked out in wasm. */
import { address, type Expression, f64, i32, select, set } from "../../wasm/expressions.ts";
import {
  addTo,
  type Func,
  type FuncRef,
  forRange,
  type GlobalRef,
  type Local,
  type Module,
} from "../../wasm/index.ts";
import { type PlaceSpec, placeColumnBytes, placeColumns, placeLineBytes } from "./place.ts";

export interface FitSpec {
  readonly resize: "letterbox" | "stretch" | "crop";
  /** Letterbox: the picture lies at the left top. */
  readonly corner: boolean;
  /** Of the input. */
  readonly width: number;
  readonly height: number;
  readonly place: Omit<PlaceSpec, "pixelBytes">;
  /** Addresses, as `place` takes them. */
  readonly columns: number;
  readonly lines: number;
  readonly upper: number;
  readonly lower: number;
  readonly tables: number;
  readonly outputs: readonly number[];
}

/** Where the picture lies, `input = source·scale + pad`, and its size; doubles. */
export interface PictureGlobals {
  readonly padX: GlobalRef;
  readonly padY: GlobalRef;
  readonly scaleX: GlobalRef;
  readonly scaleY: GlobalRef;
  readonly width: GlobalRef;
  readonly height: GlobalRef;
}

/** Weights of the lines of a resized picture are parts of it. */
const whole = 2048;

/**
 * Emits `(source, width, height, channels)`: makes the input picture of the bytes at `source`. `places` are the kernels for three and for four
 * bytes a pixel.
 */
export function emitFit(
  m: Module,
  name: string,
  spec: FitSpec,
  globals: PictureGlobals,
  places: Readonly<Record<3 | 4, FuncRef>>,
): FuncRef {
  const params = { source: "i32", width: "i32", height: "i32", channels: "i32" } as const;
  return m.func(name, { params, results: [] }, (f) => {
    const { source, width, height, channels } = f.params;
    const across = axis(f, "X", width, spec.width);
    const down = axis(f, "Y", height, spec.height);
    emitTransform(f, spec, across, down);
    for (const { size, source: side, pad, scale } of [
      {
        ...across,
        size: globals.width,
        pad: [globals.padX, across.pad],
        scale: [globals.scaleX, across.scale],
      },
      { ...down, size: globals.height, pad: [globals.padY, down.pad], scale: [globals.scaleY, down.scale] },
    ] as const) {
      f64.convert_i32_s(side)(f);
      f.setGlobal(size);
      for (const [global, local] of [pad, scale]) {
        f.get(local);
        f.setGlobal(global);
      }
    }
    const taps = tapLocals(f);
    emitColumns(f, spec, across, channels, taps);
    emitLines(f, spec, down, taps);
    const rowBytes = i32.mul(width, channels);
    const call = (place: FuncRef): void => {
      const { columns, lines, upper, lower, tables, outputs } = spec;
      f.get(source);
      rowBytes(f);
      for (const arg of [0, columns, lines, upper, lower, tables]) f.i32(arg);
      f.get(across.first);
      f.get(across.inner);
      for (const arg of [...outputs, 0, spec.height]) f.i32(arg);
      f.call(place);
    };
    i32.eq(channels, 3)(f);
    f.if(
      () => call(places[3]),
      () => call(places[4]),
    );
  });
}

/** One side of the picture. */
interface Axis {
  /** Of the picture, and of the input, in pixels. */
  readonly source: Local;
  readonly side: number;
  /** The part that is shown: where it begins, and its extent. */
  readonly cut: Local;
  readonly shown: Local;
  /** Where it begins in the input, and its extent there. */
  readonly first: Local;
  readonly inner: Local;
  readonly scale: Local;
  readonly pad: Local;
}

function axis(f: Func, name: string, source: Local, side: number): Axis {
  const whole = (n: string): Local => f.local("i32", n + name);
  return {
    ...{
      source,
      side,
      cut: whole("cut"),
      shown: whole("shown"),
      first: whole("first"),
      inner: whole("inner"),
    },
    ...{ scale: f.local("f64", `scale${name}`), pad: f.local("f64", `pad${name}`) },
  };
}

const ratioOf = ({ side, source }: Axis): Expression => f64.div(side, f64.convert_i32_s(source));

function emitTransform(f: Func, { resize, corner }: FitSpec, across: Axis, down: Axis): void {
  const both = [across, down];
  for (const { cut, shown, source, first } of both) {
    set(f, cut, 0);
    set(f, first, 0);
    set(f, shown, source);
  }
  const ratio = f.local("f64", "ratio");
  if (resize === "stretch") {
    for (const side of both) {
      set(f, side.inner, side.side);
      set(f, side.scale, ratioOf(side));
      set(f, side.pad, f64.of(0));
    }
    return;
  }
  if (resize === "crop") {
    set(f, ratio, f64.max(ratioOf(across), ratioOf(down)));
    for (const side of both) {
      const extent = f64.floor(f64.add(f64.div(side.side, ratio), 1e-9));
      set(f, side.shown, i32.trunc_f64_s(f64.max(extent, 1)));
      set(f, side.inner, side.side);
      set(f, side.scale, f64.div(side.side, f64.convert_i32_s(side.shown)));
      set(f, side.cut, i32.shr_s(i32.sub(side.source, side.shown), 1));
      set(f, side.pad, f64.sub(0, f64.mul(f64.convert_i32_s(side.cut), side.scale)));
    }
    return;
  }
  set(f, ratio, f64.min(ratioOf(down), ratioOf(across)));
  for (const side of both) {
    const extent = f64.mul(f64.convert_i32_s(side.source), ratio);
    const rounded = corner ? f64.floor(f64.add(extent, 1e-9)) : f64.nearest(extent);
    set(f, side.inner, i32.trunc_f64_s(f64.max(rounded, 1)));
    if (!corner) {
      const border = f64.convert_i32_s(i32.sub(side.side, side.inner));
      const before = f64.nearest(f64.sub(f64.div(border, 2), 0.1));
      set(f, side.first, i32.trunc_f64_s(f64.max(before, 0)));
    }
    set(f, side.scale, f64.div(f64.convert_i32_s(side.inner), f64.convert_i32_s(side.source)));
    set(f, side.pad, f64.convert_i32_s(side.first));
  }
}

/** The two lines that a line of the resized picture is made of, and their weights. */
interface Taps {
  readonly position: Local;
  readonly part: Local;
  readonly from: Local;
  readonly next: Local;
  readonly a: Local;
  readonly b: Local;
}

function tapLocals(f: Func): Taps {
  const whole = (n: string): Local => f.local("i32", n);
  return {
    ...{ position: f.local("f64", "position"), part: f.local("f64", "part") },
    ...{ from: whole("from"), next: whole("next"), a: whole("a"), b: whole("b") },
  };
}

/** Sets the taps of line `i`, in the part that is shown. */
function emitTaps(
  f: Func,
  { shown, inner }: Axis,
  i: Local,
  { position, part, from, next, a, b }: Taps,
): void {
  const ratio = f64.div(f64.convert_i32_s(shown), f64.convert_i32_s(inner));
  const middle = f64.sub(f64.mul(f64.add(f64.convert_i32_s(i), 0.5), ratio), 0.5);
  set(f, position, f64.fround(middle));
  set(f, from, i32.trunc_f64_s(f64.floor(position)));
  set(f, part, f64.fround(f64.sub(position, f64.floor(position))));
  i32.lt_s(from, 0)(f);
  f.if(() => {
    set(f, from, 0);
    set(f, part, f64.of(0));
  });
  const last = i32.sub(shown, 1);
  i32.lt_s(from, last)(f);
  f.op("i32.eqz");
  f.if(() => {
    set(f, from, select(i32.sub(shown, 2), 0, i32.gt_s(shown, 2)));
    set(f, part, f64.of(1));
  });
  set(f, next, select(i32.add(from, 1), last, i32.lt_s(from, last)));
  const weight = (of: Expression): Expression =>
    i32.trunc_f64_s(f64.fround(f64.add(f64.mul(of, whole), 0.5)));
  set(f, a, weight(f64.fround(f64.sub(1, part))));
  set(
    f,
    b,
    weight((g) => g.get(part)),
  );
}

function emitColumns(f: Func, spec: FitSpec, side: Axis, channels: Local, taps: Taps): void {
  const [x, at] = [f.local("i32", "x"), f.local("i32", "at")];
  set(f, at, spec.columns);
  // Those behind the last are read too.
  f.i32(spec.columns);
  f.i32(0);
  f.i32(placeColumns(spec.width) * placeColumnBytes);
  f.op("memory.fill");
  forRange(f, x, i32.of(0), side.inner, 1, () => {
    emitTaps(f, side, x, taps);
    const { from, next, a, b } = taps;
    // A single source line is the first and the second at once; the kernel reads the one behind it.
    i32.eq(from, next)(f);
    f.if(() => {
      set(f, a, i32.add(a, b));
      set(f, b, 0);
    });
    f.get(at);
    i32.mul(i32.add(from, side.cut), channels)(f);
    f.op("i32.store");
    f.get(at);
    i32.or(a, i32.shl(b, 16))(f);
    f.op("i32.store", { offset: 4 });
    addTo(f, at, placeColumnBytes);
  });
}

function emitLines(f: Func, spec: FitSpec, side: Axis, taps: Taps): void {
  const [y, i, at] = [f.local("i32", "y"), f.local("i32", "i"), f.local("i32", "line")];
  const { from, next, a, b } = taps;
  forRange(f, y, 0, spec.height, 1, () => {
    set(f, at, address(spec.lines, y, placeLineBytes));
    set(f, i, i32.sub(y, side.first));
    i32.lt_u(i, side.inner)(f);
    f.if(
      () => {
        emitTaps(f, side, i, taps);
        set(f, from, i32.add(from, side.cut));
        set(f, next, i32.add(next, side.cut));
      },
      () => {
        for (const local of [from, next]) set(f, local, -1);
        for (const local of [a, b]) set(f, local, 0);
      },
    );
    for (const [place, local] of [from, next, a, b].entries()) {
      f.get(at);
      f.get(local);
      f.op("i32.store", { offset: place * 4 });
    }
  });
}
