/** Softmax over the channels of every pixel: e^(x − max) / Σ e^(x − max). */
import { type Expression, f32x4, i32, set, store, v128 } from "../../wasm/expressions.ts";
import { addTo, type Func, type FuncRef, forRange, type Local, type Module } from "../../wasm/index.ts";
import { emitExp, reduceLanes } from "./_math.ts";
import { walk } from "./_walk.ts";
import type { Target } from "./spec.ts";

export interface SoftmaxSpec {
  readonly kind: "softmax";
  readonly rows: number;
  readonly width: number;
  readonly channels: number;
  /** Input and output strides; the output is float32. */
  readonly pixelBytes: number;
  readonly rowBytes: number;
  readonly outPixelBytes: number;
  readonly outRowBytes: number;
}

/** Emits `(input, out, begin, end)` for rows [begin, end). */
export function emitSoftmax(m: Module, name: string, spec: SoftmaxSpec, target: Target): FuncRef {
  const params = { input: "i32", out: "i32", begin: "i32", end: "i32" } as const;
  return m.func(name, { params, results: [] }, (f) => {
    const [a, o, i] = [f.local("i32", "a"), f.local("i32", "o"), f.local("i32", "i")];
    const [maximum, sum, x] = [f.local("v128", "maximum"), f.local("v128", "sum"), f.local("v128", "x")];
    const pointers = [
      { base: f.params.input, pixelBytes: spec.pixelBytes, rowBytes: spec.rowBytes, vectorBytes: 0 },
      { base: f.params.out, pixelBytes: spec.outPixelBytes, rowBytes: spec.outRowBytes, vectorBytes: 0 },
    ];
    walk(f, { width: spec.width, vectors: 1 }, pointers, ([input, out]) => {
      set(f, a, input);
      set(f, maximum, f32x4.of(-1e30));
      eachVector(f, spec, { a, i, x }, () => set(f, maximum, f32x4.pmax(maximum, x)));
      reduceLanes(f, maximum, "f32x4.max");
      set(f, a, input);
      set(f, o, out);
      set(f, sum, f32x4.of(0));
      // Slots beyond the end add e^−87, which is nothing next to the 1 of the maximum.
      eachVector(f, spec, { a, i, x }, () => {
        set(f, x, f32x4.sub(x, maximum));
        set(f, x, () => emitExp(f, target, x));
        store(f, o, x);
        addTo(f, o, 16);
        set(f, sum, f32x4.add(sum, x));
      });
      reduceLanes(f, sum, "f32x4.add");
      set(f, o, out);
      forRange(f, i, i32.of(0), i32.of(Math.ceil(spec.channels / 4)), 1, () => {
        store(f, o, f32x4.div(v128.load(o), sum));
        addTo(f, o, 16);
      });
    });
  });
}

/** `body` for each vector from `a` on, loaded to `x`; slots beyond the last channel count as −∞ (big and negative). */
function eachVector(
  f: Func,
  { channels }: SoftmaxSpec,
  { a, i, x }: { a: Local; i: Local; x: Local },
  body: () => void,
): void {
  const rest = channels % 4;
  const full = Math.floor(channels / 4);
  const one = (vector: Expression): void => {
    set(f, x, vector);
    body();
    addTo(f, a, 16);
  };
  if (full > 0) forRange(f, i, i32.of(0), i32.of(full), 1, () => one(v128.load(a)));
  if (!rest) return;
  one(() => {
    v128.load(a)(f);
    f.f32x4(-1e30);
    f.v128(laneMask(rest));
    f.op("v128.bitselect");
  });
}

/** Ones in the first `lanes` lanes. */
function laneMask(lanes: number): Uint8Array {
  return Uint8Array.from({ length: 16 }, (_, i) => (i < lanes * 4 ? 255 : 0));
}
