/** Max and average pooling over pictures; windows are clipped to the input, no border is needed. */
import { type Expression, f32x4, i8x16, i32, select, set, store, tee, v128 } from "../../wasm/expressions.ts";
import { addTo, type Func, type FuncRef, forRange, type Local, type Module } from "../../wasm/index.ts";
import type { PoolingOperator } from "../operators.ts";
import { type EpilogueSpec, emitEpilogue } from "./_epilogue.ts";
import { epiloguePointers, kernelParams } from "./_params.ts";
import { temp } from "./_temp.ts";
import { walk } from "./_walk.ts";
import type { Target } from "./spec.ts";

export interface PoolingSpec {
  readonly kind: "pooling";
  readonly operator: PoolingOperator;
  /** i8 works on the bytes as they are (max only) and writes the same representation. */
  readonly input: "f32" | "i8";
  /** i8 input and output are stored as q + zeroPoint; every window has a pixel where it is in 1..126. */
  readonly zeroPoint: number;
  readonly kernelH: number;
  readonly kernelW: number;
  readonly strideH: number;
  readonly strideW: number;
  readonly padTop: number;
  readonly padLeft: number;
  readonly inputRows: number;
  readonly inputWidth: number;
  readonly rows: number;
  readonly width: number;
  readonly vectors: number;
  readonly pixelBytes: number;
  readonly rowBytes: number;
  /**
   * average: cells that count in the divisor: those inside the input widened by this many on the far sides (padding that
   * is counted), or all of the kernel.
   */
  readonly divisor: "kernel" | "inside";
  readonly epilogue: EpilogueSpec;
}

/** Columns of wider windows are looped over. */
const mostUnrolled = 9;
/** Vectors of channels that are reduced together: of large windows, which leave the first cache, whole lines of it. */
const blockVectors = ({ kernelW }: PoolingSpec): number => (kernelW > mostUnrolled ? 8 : 4);

/** Emits `(input, constants, out0…, begin, end)` for output rows [begin, end). */
export function emitPooling(m: Module, name: string, spec: PoolingSpec, target: Target): FuncRef {
  const params = kernelParams(["input", "constants"], spec.epilogue.stores);
  return m.func(name, { params, results: [] }, (f) => {
    const [y0, y1, x0, x1] = ["y0", "y1", "x0", "x1"].map((n) => f.local("i32", n));
    const window = { y0, y1, x0, x1 };
    const channel = f.local("i32", "channel");
    const divisor = f.local("v128", "divisor");
    const size = spec.input === "f32" ? 4 : 1;
    const atPixel = (y: Local, x: Local): void => {
      clip(f, y0, y1, y, {
        stride: spec.strideH,
        pad: spec.padTop,
        kernel: spec.kernelH,
        end: spec.inputRows,
      });
      clip(f, x0, x1, x, {
        stride: spec.strideW,
        pad: spec.padLeft,
        kernel: spec.kernelW,
        end: spec.inputWidth,
      });
      set(f, channel, 0);
      if (spec.operator === "average") set(f, divisor, cells(spec, window));
    };
    const lanes = spec.input === "f32" ? 4 : 16;
    const pointers = epiloguePointers(f, spec.epilogue);
    const body = ([constants, ...outputs]: readonly Local[], vectors: number): void => {
      const count = Math.ceil((vectors * 4) / lanes);
      const values = Array.from({ length: count }, (_, i) => temp(f, `value${i}`));
      reduceWindow(f, spec, window, channel, values);
      if (spec.input === "i8")
        values.forEach((value, i) => storeBytes(f, outputs[0], value, i * 16, vectors - i * 4));
      else {
        if (spec.operator === "average") for (const value of values) set(f, value, f32x4.div(value, divisor));
        emitEpilogue(f, target, spec.epilogue, { constants, outputs }, [values]);
      }
      addTo(f, channel, vectors * 4 * size);
    };
    const step = (blockVectors(spec) * lanes) / 4;
    walk(f, { width: spec.width, vectors: spec.vectors, step }, pointers, body, atPixel);
  });
}

interface Window {
  readonly y0: Local;
  readonly y1: Local;
  readonly x0: Local;
  readonly x1: Local;
}

/** The part inside 0..end of the window of output `index`: from max(index·stride − pad, 0) to min(… + kernel, end). */
function clip(
  f: Func,
  from: Local,
  to: Local,
  index: Local,
  { stride, pad, kernel, end }: Record<"stride" | "pad" | "kernel" | "end", number>,
): void {
  set(f, to, i32.add(tee(from, i32.sub(i32.mul(index, stride), pad)), kernel));
  set(f, to, select(to, end, i32.lt_s(to, end)));
  set(f, from, select(from, 0, i32.gt_s(from, 0)));
}

/** By how many cells a window's sum is divided. */
function cells({ divisor, kernelH, kernelW }: PoolingSpec, { y0, y1, x0, x1 }: Window): Expression {
  if (divisor === "kernel") return f32x4.of(kernelH * kernelW);
  return (f) => {
    i32.mul(i32.sub(y1, y0), i32.sub(x1, x0))(f);
    f.op("f32.convert_i32_s");
    f.op("f32x4.splat");
  };
}

/** Stores the first bytes of a vector, four for each of `groups`, at most all. */
function storeBytes(f: Func, address: Local, value: Local, offset: number, groups: number): void {
  const lane = (op: "v128.store32_lane" | "v128.store64_lane", at: number, index: number): void => {
    f.get(address);
    f.get(value);
    f.op(op, { offset: offset + at, lane: index });
  };
  if (groups >= 4) {
    store(f, address, value, offset);
    return;
  }
  if (groups >= 2) lane("v128.store64_lane", 0, 0);
  if (groups !== 2) lane("v128.store32_lane", groups === 3 ? 8 : 0, groups - 1);
}

/** values = reductions of the window's vectors at byte offset `channel` and behind it. */
function reduceWindow(
  f: Func,
  spec: PoolingSpec,
  { x0, x1, y0, y1 }: Window,
  channel: Local,
  values: readonly Local[],
): void {
  const [ky, kx, a] = [temp(f, "ky", "i32"), temp(f, "kx", "i32"), temp(f, "a", "i32")];
  const { start, next } = reduction(spec);
  for (const value of values) set(f, value, start);
  const takeColumn = (offset: number): void =>
    values.forEach((value, i) => set(f, value, next(value, v128.load(a, offset + i * 16))));
  forRange(f, ky, y0, y1, 1, () => {
    const row = i32.add(f.params.input, i32.mul(ky, spec.rowBytes));
    const pixel = i32.add(row, i32.mul(x0, spec.pixelBytes));
    set(f, a, i32.add(pixel, channel));
    const takeEach = (): void =>
      forRange(f, kx, x0, x1, 1, () => {
        takeColumn(0);
        addTo(f, a, spec.pixelBytes);
      });
    if (spec.kernelW > mostUnrolled) {
      takeEach();
      return;
    }
    // Nearly all windows have all of their columns.
    i32.lt_s(i32.sub(x1, x0), spec.kernelW)(f);
    f.if(takeEach, () => {
      for (let column = 0; column < spec.kernelW; column++) takeColumn(column * spec.pixelBytes);
    });
  });
}

const floatReductions = {
  max: { start: f32x4.of(-3.4028234663852886e38), next: f32x4.pmax },
  average: { start: f32x4.of(0), next: f32x4.add },
  greatest: { start: f32x4.of(Number.NEGATIVE_INFINITY), next: f32x4.max },
  least: { start: f32x4.of(Number.POSITIVE_INFINITY), next: f32x4.min },
} as const;

/** What a reduction begins with, and how it goes on. */
function reduction({ operator, input, zeroPoint }: PoolingSpec): {
  start: Expression;
  next: (value: Local, x: Expression) => Expression;
} {
  if (input === "f32") return floatReductions[operator];
  const lowest = zeroPoint ? Math.max(0, zeroPoint - 127) : -127;
  return { start: (f) => f.i8x16(lowest), next: zeroPoint ? i8x16.max_u : i8x16.max_s };
}
