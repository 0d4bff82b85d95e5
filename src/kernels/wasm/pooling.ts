/** Max and average pooling over pictures; windows are clipped to the input, no border is needed. */
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
    const channel = f.local("i32", "channel");
    const inverse = f.local("v128", "inverse");
    const size = spec.input === "f32" ? 4 : 1;
    const pointers = [...epiloguePointers(f, spec.epilogue)];
    const clip = (
      from: Local,
      to: Local,
      index: Local,
      stride: number,
      pad: number,
      k: number,
      n: number,
    ): void => {
      f.get(index);
      f.i32(stride);
      f.op("i32.mul");
      f.i32(pad);
      f.op("i32.sub");
      f.tee(from);
      f.i32(k);
      f.op("i32.add");
      f.set(to);
      // to = min(to, n); from = max(from, 0)
      f.get(to);
      f.i32(n);
      f.get(to);
      f.i32(n);
      f.op("i32.lt_s");
      f.select();
      f.set(to);
      f.get(from);
      f.i32(0);
      f.get(from);
      f.i32(0);
      f.op("i32.gt_s");
      f.select();
      f.set(from);
    };
    const atPixel = (y: Local, x: Local): void => {
      clip(y0, y1, y, spec.strideH, spec.padTop, spec.kernelH, spec.inputRows);
      clip(x0, x1, x, spec.strideW, spec.padLeft, spec.kernelW, spec.inputWidth);
      f.i32(0);
      f.set(channel);
      if (spec.operator === "average") {
        if (spec.divisor === "kernel") f.f32x4(spec.kernelH * spec.kernelW);
        else {
          for (const [from, to] of [
            [y0, y1],
            [x0, x1],
          ]) {
            f.get(to);
            f.get(from);
            f.op("i32.sub");
          }
          f.op("i32.mul");
          f.op("f32.convert_i32_s");
          f.op("f32x4.splat");
        }
        f.set(inverse);
      }
    };
    const step = spec.input === "i8" ? 4 : 1;
    walk(
      f,
      { width: spec.width, vectors: spec.vectors, step },
      pointers,
      (at, vectors) => {
        const value = temp(f, "value");
        sumWindow(f, spec, { y0, y1, x0, x1 }, channel, value);
        if (spec.input === "i8") {
          f.get(at[1]);
          f.get(value);
          if (vectors === 4) f.op("v128.store");
          else f.op("v128.store32_lane", { lane: 0 });
        } else {
          if (spec.operator === "average") {
            f.get(value);
            f.get(inverse);
            f.op("f32x4.div");
            f.set(value);
          }
          emitEpilogue(f, target, spec.epilogue, { constants: at[0], outputs: at.slice(1) }, [[value]]);
        }
        addTo(f, channel, vectors * 4 * size);
      },
      atPixel,
    );
  });
}

/** value = reduction of the window's vectors at byte offset `channel`. */
function sumWindow(
  f: Func,
  spec: PoolingSpec,
  window: { y0: Local; y1: Local; x0: Local; x1: Local },
  channel: Local,
  value: Local,
): void {
  const ky = temp(f, "ky", "i32");
  const kx = temp(f, "kx", "i32");
  const a = temp(f, "a", "i32");
  if (spec.operator === "average") f.f32x4(0);
  else if (spec.input === "f32") f.f32x4(-3.4028234663852886e38);
  else f.i8x16(spec.zeroPoint ? Math.max(0, spec.zeroPoint - 127) : -127);
  f.set(value);
  forRange(
    f,
    ky,
    () => f.get(window.y0),
    window.y1,
    1,
    () => {
      f.get(f.params.input);
      f.get(ky);
      f.i32(spec.rowBytes);
      f.op("i32.mul");
      f.op("i32.add");
      f.get(window.x0);
      f.i32(spec.pixelBytes);
      f.op("i32.mul");
      f.op("i32.add");
      f.get(channel);
      f.op("i32.add");
      f.set(a);
      forRange(
        f,
        kx,
        () => f.get(window.x0),
        window.x1,
        1,
        () => {
          f.get(value);
          f.get(a);
          f.op("v128.load");
          if (spec.operator === "average") f.op("f32x4.add");
          else if (spec.input === "f32") f.op("f32x4.pmax");
          else f.op(spec.zeroPoint ? "i8x16.max_u" : "i8x16.max_s");
          f.set(value);
          addTo(f, a, spec.pixelBytes);
        },
      );
    },
  );
}
