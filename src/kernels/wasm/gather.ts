/** Channels from several pictures into one: as they are, enlarged by repetition, or into a frame. */
import { address, i32, set, tee } from "../../wasm/expressions.ts";
import {
  addTo,
  type Func,
  type FuncRef,
  forRange,
  type Local,
  type Module,
  whileLoop,
} from "../../wasm/index.ts";
import { kernelParams } from "./_params.ts";
import { temp } from "./_temp.ts";

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
  const sources = 1 + Math.max(...spec.runs.map((run) => run.source));
  const own = Array.from({ length: sources }, (_, i) => `source${i}`);
  return m.func(name, { params: kernelParams([...own, "out"], []), results: [] }, (f) => {
    const [y, x, from, to] = ["y", "x", "from", "to"].map((n) => f.local("i32", n));
    const inputRow = f.local("i32", "inputRow");
    const { frame } = spec;
    forRange(f, y, f.params.begin, f.params.end, 1, () => {
      if (!frame) {
        copyRuns(f, spec, { y, x, from, to }, y);
        return;
      }
      set(f, to, address(f.params.out, y, spec.outRowBytes));
      f.get(to);
      f.i32(frame.fill);
      f.i32(spec.width * spec.outPixelBytes);
      f.op("memory.fill");
      // Rows above the frame give a negative number, which is large without its sign, unless it is divided to 0.
      const row = i32.div_s(tee(inputRow, i32.sub(y, frame.top)), frame.stepY);
      const isWhole = i32.eqz(i32.rem_s(inputRow, frame.stepY));
      i32.and(i32.lt_u(row, frame.inputRows), isWhole)(f);
      f.if(() => {
        set(f, inputRow, i32.div_s(inputRow, frame.stepY));
        copyRuns(f, spec, { y, x, from, to }, inputRow);
      });
    });
  });
}

/** The same without frame, of runs that lie in memory: one kernel for all. */
export interface SharedGatherSpec {
  readonly kind: "sharedGather";
  readonly scaleY: number;
  readonly scaleX: number;
}

/** Words of a run: where it begins in pixel 0, bytes of a row and of a pixel there; bytes from the output's pixel, and of the run. */
const runBytes = 20;

/** Emits `(table, runs, out, width, outPixelBytes, outRowBytes, begin, end)` for output rows [begin, end). */
export function emitSharedGather(m: Module, name: string, { scaleY, scaleX }: SharedGatherSpec): FuncRef {
  const own = ["table", "runs", "out", "width", "outPixelBytes", "outRowBytes"];
  return m.func(name, { params: kernelParams(own, []), results: [] }, (f) => {
    const p = f.params;
    const names = ["y", "x", "run", "from", "to", "row", "pixelBytes", "bytes", "i"];
    const [y, x, run, from, to, row, pixelBytes, bytes, i] = names.map((n) => f.local("i32", n));
    const move = (load: "i32.load" | "i32.load8_u", store: "i32.store" | "i32.store8", width: number): void =>
      whileLoop(
        f,
        () => i32.le_s(i32.add(i, width), bytes)(f),
        () => {
          i32.add(to, i)(f);
          i32.add(from, i)(f);
          f.op(load, { align: 0 });
          f.op(store, { align: 0 });
          addTo(f, i, width);
        },
      );
    forRange(f, y, p.begin, p.end, 1, () => {
      const end = address(p.table, p.runs, runBytes);
      forRange(f, run, p.table, end, runBytes, () => {
        const inputRow = scaleY > 1 ? i32.div_u(y, scaleY) : y;
        set(f, row, i32.add(i32.load(run), i32.mul(inputRow, i32.load(run, 4))));
        set(f, pixelBytes, i32.load(run, 8));
        set(f, bytes, i32.load(run, 16));
        set(f, to, i32.add(i32.add(p.out, i32.mul(y, p.outRowBytes)), i32.load(run, 12)));
        forRange(f, x, 0, p.width, 1, () => {
          const column = scaleX > 1 ? i32.div_u(x, scaleX) : x;
          set(f, from, i32.add(row, i32.mul(column, pixelBytes)));
          set(f, i, 0);
          move("i32.load", "i32.store", 4);
          move("i32.load8_u", "i32.store8", 1);
          set(f, to, i32.add(to, p.outPixelBytes));
        });
      });
    });
  });
}

/** Output row y, from the row `source` before scaling. */
function copyRuns(
  f: Func,
  spec: GatherSpec,
  { y, x, from, to }: Record<"y" | "x" | "from" | "to", Local>,
  source: Local,
): void {
  const { scaleX, scaleY, frame, outPixelBytes } = spec;
  const size = spec.dtype === "f32" ? 4 : 1;
  for (const run of spec.runs) {
    set(f, to, address(f.params.out, y, spec.outRowBytes));
    addTo(f, to, run.to * size + (frame?.left ?? 0) * outPixelBytes);
    const rowStart = temp(f, "rowStart", "i32");
    const row = scaleY > 1 ? i32.div_u(source, scaleY) : source;
    set(f, rowStart, address(f.params[`source${run.source}`], row, run.rowBytes));
    addTo(f, rowStart, run.from * size);
    forRange(f, x, 0, frame?.inputWidth ?? spec.width, 1, () => {
      const column = scaleX > 1 ? i32.div_u(x, scaleX) : x;
      set(f, from, address(rowStart, column, run.pixelBytes));
      emitMove(f, from, to, run.length * size);
      addTo(f, to, outPixelBytes * (frame?.stepX ?? 1));
    });
  }
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
