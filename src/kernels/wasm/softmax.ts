/** Softmax over the channels of every pixel: e^(x − max) / Σ e^(x − max). */
import { addTo, type FuncRef, forRange, type Module } from "../../wasm/index.ts";
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
  const vectors = Math.ceil(spec.channels / 4);
  const rest = spec.channels % 4;
  return m.func(name, { params, results: [] }, (f) => {
    const [a, o, i] = [f.local("i32", "a"), f.local("i32", "o"), f.local("i32", "i")];
    const [maximum, sum, x] = [f.local("v128", "maximum"), f.local("v128", "sum"), f.local("v128", "x")];
    const pointers = [
      { base: f.params.input, pixelBytes: spec.pixelBytes, rowBytes: spec.rowBytes, vectorBytes: 0 },
      { base: f.params.out, pixelBytes: spec.outPixelBytes, rowBytes: spec.outRowBytes, vectorBytes: 0 },
    ];
    /** `body` for each vector; slots beyond the last channel count as −∞ (big and negative). */
    const eachVector = (body: () => void): void => {
      const load = (masked: boolean): void => {
        f.get(a);
        f.op("v128.load");
        if (masked) {
          f.f32x4(-1e30);
          f.v128(laneMask(rest));
          f.op("v128.bitselect");
        }
        f.set(x);
        body();
        addTo(f, a, 16);
      };
      const full = rest ? vectors - 1 : vectors;
      if (full > 0)
        forRange(
          f,
          i,
          () => f.i32(0),
          () => f.i32(full),
          1,
          () => load(false),
        );
      if (rest) load(true);
    };
    walk(f, { width: spec.width, vectors: 1 }, pointers, ([input, out]) => {
      const restart = (): void => {
        f.get(input);
        f.set(a);
      };
      restart();
      f.f32x4(-1e30);
      f.set(maximum);
      eachVector(() => {
        f.get(maximum);
        f.get(x);
        f.op("f32x4.pmax");
        f.set(maximum);
      });
      reduceLanes(f, maximum, "f32x4.max");
      restart();
      f.get(out);
      f.set(o);
      f.f32x4(0);
      f.set(sum);
      eachVector(() => {
        f.get(x);
        f.get(maximum);
        f.op("f32x4.sub");
        f.set(x);
        emitExp(f, target, x);
        f.set(x);
        f.get(o);
        f.get(x);
        f.op("v128.store");
        addTo(f, o, 16);
        f.get(sum);
        f.get(x);
        f.op("f32x4.add");
        f.set(sum);
      });
      if (rest) {
        // The slots beyond the end added e^−87, which is nothing next to the 1 of the maximum.
      }
      reduceLanes(f, sum, "f32x4.add");
      f.get(out);
      f.set(o);
      forRange(
        f,
        i,
        () => f.i32(0),
        () => f.i32(vectors),
        1,
        () => {
          f.get(o);
          f.get(o);
          f.op("v128.load");
          f.get(sum);
          f.op("f32x4.div");
          f.op("v128.store");
          addTo(f, o, 16);
        },
      );
    });
  });
}

/** Ones in the first `lanes` lanes. */
function laneMask(lanes: number): Uint8Array {
  return Uint8Array.from({ length: 16 }, (_, i) => (i < lanes * 4 ? 255 : 0));
}
