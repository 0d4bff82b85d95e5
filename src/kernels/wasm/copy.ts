/**
 * Kernels that move data: network input to pictures, channel gathers, strided copies to dense tensors, nearest resize,
 * borders.
 */
import { addTo, type Func, type FuncRef, forRange, type Local, type Module } from "../../wasm/index.ts";
import { type EpilogueSpec, emitEpilogue, epilogueGroupBytes } from "./_epilogue.ts";
import { temp } from "./_temp.ts";
import type { Target } from "./spec.ts";

/** local = base + index·bytes */
function setAddress(f: Func, local: Local, base: Local, index: Local, bytes: number): void {
  f.get(base);
  f.get(index);
  f.i32(bytes);
  f.op("i32.mul");
  f.op("i32.add");
  f.set(local);
}

/** Planes `[channels][rows][width]` float32 (ncnn's layout) to a picture, quantized where a store asks for it. */
export interface ImportSpec {
  readonly kind: "import";
  readonly channels: number;
  readonly rows: number;
  readonly width: number;
  readonly epilogue: EpilogueSpec;
}

/** Emits `(planes, constants, out0…, begin, end)` for rows [begin, end). Reads up to 12 bytes beyond the last plane. */
export function emitImport(m: Module, name: string, spec: ImportSpec, target: Target): FuncRef {
  const params: Record<string, "i32"> = { planes: "i32", constants: "i32" };
  spec.epilogue.stores.forEach((_, i) => {
    params[`out${i}`] = "i32";
  });
  params.begin = "i32";
  params.end = "i32";
  const planeBytes = spec.rows * spec.width * 4;
  return m.func(name, { params, results: [] }, (f) => {
    const y = f.local("i32", "y");
    const a = f.local("i32", "a");
    const constants = f.local("i32", "e");
    const outputs = spec.epilogue.stores.map((_, i) => f.local("i32", `o${i}`));
    const rowStarts = spec.epilogue.stores.map((_, i) => f.local("i32", `row${i}`));
    const tile = (group: number, pixels: number): void => {
      const plane = (c: number): Local => temp(f, `plane${c}`);
      for (let c = 0; c < 4; c++) {
        const channel = group * 4 + c;
        if (channel < spec.channels) {
          f.get(a);
          f.op("v128.load", { offset: channel * planeBytes });
        } else f.f32x4(0);
        f.set(plane(c));
      }
      transpose4(f, [0, 1, 2, 3].map(plane));
      const values = Array.from({ length: pixels }, (_, p) => [plane(p)]);
      emitEpilogue(f, target, spec.epilogue, { constants, outputs }, values);
      addTo(f, a, pixels * 4);
      spec.epilogue.stores.forEach((store, i) => addTo(f, outputs[i], pixels * store.pixelBytes));
    };
    forRange(
      f,
      y,
      () => f.get(f.params.begin),
      f.params.end,
      1,
      () => {
        spec.epilogue.stores.forEach((store, i) =>
          setAddress(f, rowStarts[i], f.params[`out${i}`], y, store.rowBytes),
        );
        f.get(f.params.constants);
        f.set(constants);
        for (let group = 0; group < Math.ceil(spec.channels / 4); group++) {
          setAddress(f, a, f.params.planes, y, spec.width * 4);
          spec.epilogue.stores.forEach((store, i) => {
            f.get(rowStarts[i]);
            f.i32(group * (store.dtype === "f32" ? 16 : 4));
            f.op("i32.add");
            f.set(outputs[i]);
          });
          const tiles = Math.floor(spec.width / 4);
          if (tiles > 0) {
            forRange(
              f,
              temp(f, "tile", "i32"),
              () => f.i32(0),
              () => f.i32(tiles),
              1,
              () => tile(group, 4),
            );
          }
          if (spec.width % 4) tile(group, spec.width % 4);
          addTo(f, constants, epilogueGroupBytes(spec.epilogue));
        }
      },
    );
  });
}

/** Transposes the 4×4 floats in four locals. */
function transpose4(f: Func, rows: readonly Local[]): void {
  const lanes = (...floats: number[]): number[] =>
    floats.flatMap((lane) => [0, 1, 2, 3].map((b) => lane * 4 + b));
  const pairs = [temp(f, "t0"), temp(f, "t1"), temp(f, "t2"), temp(f, "t3")];
  const shuffle = (a: Local, b: Local, pattern: number[], to: Local): void => {
    f.get(a);
    f.get(b);
    f.op("i8x16.shuffle", { lanes: pattern });
    f.set(to);
  };
  shuffle(rows[0], rows[1], lanes(0, 4, 1, 5), pairs[0]);
  shuffle(rows[0], rows[1], lanes(2, 6, 3, 7), pairs[1]);
  shuffle(rows[2], rows[3], lanes(0, 4, 1, 5), pairs[2]);
  shuffle(rows[2], rows[3], lanes(2, 6, 3, 7), pairs[3]);
  shuffle(pairs[0], pairs[2], lanes(0, 1, 4, 5), rows[0]);
  shuffle(pairs[0], pairs[2], lanes(2, 3, 6, 7), rows[1]);
  shuffle(pairs[1], pairs[3], lanes(0, 1, 4, 5), rows[2]);
  shuffle(pairs[1], pairs[3], lanes(2, 3, 6, 7), rows[3]);
}

/** Copies runs of channels of every pixel, as they are, possibly enlarging by whole factors (nearest) or into a frame. */
export interface GatherSpec {
  readonly kind: "gather";
  readonly dtype: "f32" | "i8";
  readonly rows: number;
  readonly width: number;
  /** Output pixel (y, x) reads input pixel (⌊y/scaleY⌋, ⌊x/scaleX⌋). */
  readonly scaleY: number;
  readonly scaleX: number;
  readonly runs: readonly GatherRun[];
  readonly outPixelBytes: number;
  readonly outRowBytes: number;
  /**
   * Input pixel (y, x) goes to (top + stepY·y, left + stepX·x); all else, channels that no run fills too, is the byte
   * `fill`.
   */
  readonly frame?: {
    readonly top: number;
    readonly left: number;
    readonly stepY: number;
    readonly stepX: number;
    readonly inputRows: number;
    readonly inputWidth: number;
    readonly fill: number;
  };
}
export interface GatherRun {
  /** Which of the source pointers. */
  readonly source: number;
  /** Slots. */
  readonly from: number;
  readonly to: number;
  readonly length: number;
  readonly pixelBytes: number;
  readonly rowBytes: number;
}

/** Emits `(source0…, out, begin, end)` for output rows [begin, end). */
export function emitGather(m: Module, name: string, spec: GatherSpec): FuncRef {
  const params: Record<string, "i32"> = {};
  const sources = 1 + Math.max(...spec.runs.map((run) => run.source));
  for (let i = 0; i < sources; i++) params[`source${i}`] = "i32";
  params.out = "i32";
  params.begin = "i32";
  params.end = "i32";
  const size = spec.dtype === "f32" ? 4 : 1;
  return m.func(name, { params, results: [] }, (f) => {
    const y = f.local("i32", "y");
    const x = f.local("i32", "x");
    const from = f.local("i32", "from");
    const to = f.local("i32", "to");
    const inputRow = f.local("i32", "inputRow");
    /** One output row, from the row `source` before scaling. */
    const copyRuns = (source: Local): void => {
      for (const run of spec.runs) {
        setAddress(f, to, f.params.out, y, spec.outRowBytes);
        addTo(f, to, run.to * size + (spec.frame?.left ?? 0) * spec.outPixelBytes);
        const rowStart = temp(f, "rowStart", "i32");
        f.get(f.params[`source${run.source}`]);
        f.get(source);
        if (spec.scaleY > 1) {
          f.i32(spec.scaleY);
          f.op("i32.div_u");
        }
        f.i32(run.rowBytes);
        f.op("i32.mul");
        f.op("i32.add");
        f.set(rowStart);
        addTo(f, rowStart, run.from * size);
        forRange(f, x, 0, spec.frame?.inputWidth ?? spec.width, 1, () => {
          f.get(rowStart);
          f.get(x);
          if (spec.scaleX > 1) {
            f.i32(spec.scaleX);
            f.op("i32.div_u");
          }
          f.i32(run.pixelBytes);
          f.op("i32.mul");
          f.op("i32.add");
          f.set(from);
          emitMove(f, from, to, run.length * size);
          addTo(f, to, spec.outPixelBytes * (spec.frame?.stepX ?? 1));
        });
      }
    };
    const { frame } = spec;
    forRange(f, y, f.params.begin, f.params.end, 1, () => {
      if (!frame) {
        copyRuns(y);
        return;
      }
      setAddress(f, to, f.params.out, y, spec.outRowBytes);
      f.get(to);
      f.i32(frame.fill);
      f.i32(spec.width * spec.outPixelBytes);
      f.op("memory.fill");
      f.get(y);
      f.i32(frame.top);
      f.op("i32.sub");
      f.tee(inputRow);
      f.i32(frame.stepY);
      f.op("i32.div_s");
      f.i32(frame.inputRows);
      f.op("i32.lt_u");
      // Rows above the frame give a negative number, which is large without its sign, unless it is divided to 0.
      f.get(inputRow);
      f.i32(frame.stepY);
      f.op("i32.rem_s");
      f.op("i32.eqz");
      f.op("i32.and");
      f.if(() => {
        f.get(inputRow);
        f.i32(frame.stepY);
        f.op("i32.div_s");
        f.set(inputRow);
        copyRuns(inputRow);
      });
    });
  });
}

/** Copies exactly `bytes` bytes, unrolled up to 256 at a time. */
function emitMove(f: Func, from: Local, to: Local, bytes: number): void {
  const chunk = 256;
  if (bytes > chunk) {
    f.get(to);
    f.get(from);
    f.i32(bytes);
    f.op("memory.copy");
    return;
  }
  let at = 0;
  const move = (
    load: "v128.load" | "i64.load" | "i32.load" | "i32.load16_u" | "i32.load8_u",
    width: number,
  ): void => {
    const store = {
      "v128.load": "v128.store",
      "i64.load": "i64.store",
      "i32.load": "i32.store",
      "i32.load16_u": "i32.store16",
      "i32.load8_u": "i32.store8",
    } as const;
    while (bytes - at >= width) {
      f.get(to);
      f.get(from);
      f.op(load, { offset: at, align: 0 });
      f.op(store[load], { offset: at, align: 0 });
      at += width;
    }
  };
  move("v128.load", 16);
  move("i64.load", 8);
  move("i32.load", 4);
  move("i32.load16_u", 2);
  move("i32.load8_u", 1);
}

/** Copies a strided float32 tensor of up to four axes to a dense one. Strides in elements. */
export interface StridedCopySpec {
  readonly kind: "stridedCopy";
  /** Outermost first; always four. */
  readonly shape: readonly [number, number, number, number];
  readonly strides: readonly [number, number, number, number];
}

/** Emits `(source, out, begin, end)`, a range of the flattened two outer axes. */
export function emitStridedCopy(m: Module, name: string, spec: StridedCopySpec): FuncRef {
  const params = { source: "i32", out: "i32", begin: "i32", end: "i32" } as const;
  const [, d1, d2, d3] = spec.shape;
  const [s0, s1, s2, s3] = spec.strides;
  return m.func(name, { params, results: [] }, (f) => {
    const outer = f.local("i32", "outer");
    const from = f.local("i32", "from");
    const to = f.local("i32", "to");
    const row = f.local("i32", "row");
    const i = f.local("i32", "i");
    setAddress(f, to, f.params.out, f.params.begin, d2 * d3 * 4);
    forRange(
      f,
      outer,
      () => f.get(f.params.begin),
      f.params.end,
      1,
      () => {
        f.get(f.params.source);
        f.get(outer);
        f.i32(d1);
        f.op("i32.div_u");
        f.i32(s0 * 4);
        f.op("i32.mul");
        f.op("i32.add");
        f.get(outer);
        f.i32(d1);
        f.op("i32.rem_u");
        f.i32(s1 * 4);
        f.op("i32.mul");
        f.op("i32.add");
        f.set(row);
        forRange(
          f,
          temp(f, "j", "i32"),
          () => f.i32(0),
          () => f.i32(d2),
          1,
          () => {
            f.get(row);
            f.set(from);
            emitLine(f, from, to, i, d3, s3);
            addTo(f, row, s2 * 4);
          },
        );
      },
    );
  });
}

/** Copies `count` floats that lie `stride` apart; moves both pointers on. */
function emitLine(f: Func, from: Local, to: Local, i: Local, count: number, stride: number): void {
  const vector = (): void => {
    f.get(to);
    if (stride === 1) {
      f.get(from);
      f.op("v128.load", { align: 2 });
    } else {
      f.get(from);
      f.op("v128.load32_zero");
      f.set(temp(f, "line"));
      for (let lane = 1; lane < 4; lane++) {
        f.get(from);
        f.get(temp(f, "line"));
        f.op("v128.load32_lane", { offset: lane * stride * 4, lane });
        f.set(temp(f, "line"));
      }
      f.get(temp(f, "line"));
    }
    f.op("v128.store", { align: 2 });
    addTo(f, from, 4 * stride * 4);
    addTo(f, to, 16);
  };
  const vectors = Math.floor(count / 4);
  if (vectors > 0)
    forRange(
      f,
      i,
      () => f.i32(0),
      () => f.i32(vectors),
      1,
      vector,
    );
  for (let rest = 0; rest < count % 4; rest++) {
    f.get(to);
    f.get(from);
    f.op("i32.load");
    f.op("i32.store");
    addTo(f, from, stride * 4);
    addTo(f, to, 4);
  }
}
