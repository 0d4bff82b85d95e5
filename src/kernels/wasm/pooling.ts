/** Max and average pooling over pictures; windows are clipped to the input, no border is needed. */
import { type Expression, f32x4, i8x16, i32, select, set, tee, v128 } from "../../wasm/expressions.ts";
import { addTo, type Func, type FuncRef, forRange, type Local, type Module } from "../../wasm/index.ts";
import { type EpilogueSpec, emitEpilogue } from "./_epilogue.ts";
import { epiloguePointers, kernelParams } from "./_params.ts";
import { temp } from "./_temp.ts";
import { walk } from "./_walk.ts";
import type { Target } from "./spec.ts";

export interface PoolingSpec {
  readonly kind: "pooling";
  readonly operator: "max" | "average";
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
    const step = spec.input === "i8" ? 4 : 1;
    const pointers = epiloguePointers(f, spec.epilogue);
    const body = ([constants, ...outputs]: readonly Local[], vectors: number): void => {
      const value = temp(f, "value");
      reduceWindow(f, spec, window, channel, value);
      if (spec.input === "i8") {
        f.get(outputs[0]);
        f.get(value);
        if (vectors === 4) f.op("v128.store");
        else f.op("v128.store32_lane", { lane: 0 });
      } else {
        if (spec.operator === "average") set(f, value, f32x4.div(value, divisor));
        emitEpilogue(f, target, spec.epilogue, { constants, outputs }, [[value]]);
      }
      addTo(f, channel, vectors * 4 * size);
    };
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

/** value = reduction of the window's vectors at byte offset `channel`. */
function reduceWindow(f: Func, spec: PoolingSpec, window: Window, channel: Local, value: Local): void {
  const [ky, kx, a] = [temp(f, "ky", "i32"), temp(f, "kx", "i32"), temp(f, "a", "i32")];
  const x = v128.load(a);
  let start = f32x4.of(0);
  let next = f32x4.add(value, x);
  if (spec.operator === "max" && spec.input === "f32") {
    start = f32x4.of(-3.4028234663852886e38);
    next = f32x4.pmax(value, x);
  } else if (spec.operator === "max") {
    const lowest = spec.zeroPoint ? Math.max(0, spec.zeroPoint - 127) : -127;
    start = () => f.i8x16(lowest);
    next = spec.zeroPoint ? i8x16.max_u(value, x) : i8x16.max_s(value, x);
  }
  set(f, value, start);
  forRange(f, ky, window.y0, window.y1, 1, () => {
    const row = i32.add(f.params.input, i32.mul(ky, spec.rowBytes));
    const pixel = i32.add(row, i32.mul(window.x0, spec.pixelBytes));
    set(f, a, i32.add(pixel, channel));
    forRange(f, kx, window.x0, window.x1, 1, () => {
      set(f, value, next);
      addTo(f, a, spec.pixelBytes);
    });
  });
}
