/** Channels from several pictures into one: as they are, enlarged by repetition, or into a frame. */
import { addTo, type Func, type FuncRef, forRange, type Local, type Module } from "../../wasm/index.ts";
import { setAddress } from "./_address.ts";
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
