/** LRN across the channels of every pixel. */
import { type Expression, f32x4, set, store, tee, v128 } from "../../wasm/expressions.ts";
import { addTo, type FuncRef, type Local, type Module } from "../../wasm/index.ts";
import { eachVector, type NormSpec, normalizedWalk } from "./_normalize.ts";
import { kernelParams } from "./_params.ts";
import { temp } from "./_temp.ts";
import type { Target } from "./spec.ts";

/** x·(bias + factor·Σx²)^−¾, the sum over `size` channels around each. */
export interface LrnSpec extends NormSpec {
  readonly kind: "lrn";
  /** At most 2·`lrnMargin` + 1: half of the window has to fit the margin. */
  readonly size: number;
  readonly factor: number;
  readonly bias: number;
}

/** Channels of zeros on each side of the squares in scratch memory. */
const lrnMargin = 4;
export function lrnScratchBytes(channels: number): number {
  return (channels + 2 * lrnMargin) * 4;
}

/** Emits `(input, scratch, constants, out0…, begin, end)` for rows [begin, end). */
export function emitLrn(m: Module, name: string, spec: LrnSpec, target: Target): FuncRef {
  const params = kernelParams(["input", "scratch", "constants"], spec.epilogue.stores);
  return m.func(name, { params, results: [] }, (f) => {
    const to = temp(f, "to", "i32");
    const x = temp(f, "x");
    for (const edge of [0, lrnMargin + spec.channels]) store(f, f.params.scratch, f32x4.of(0), edge * 4);
    const squares = (row: Local, column: Local): void => {
      set(f, to, f.params.scratch);
      eachVector(f, spec, row, column, (a) => {
        store(f, to, f32x4.mul(tee(x, v128.load(a)), x), lrnMargin * 4);
        addTo(f, to, 16);
      });
    };
    const scratch = { base: f.params.scratch, pixelBytes: 0, rowBytes: 0, vectorBytes: 16 };
    const root = temp(f, "root");
    normalizedWalk(f, spec, target, scratch, squares, (input, window, value) => {
      const first = lrnMargin - Math.floor(spec.size / 2);
      const square = (k: number): Expression => v128.load(window, (first + k) * 4, 2);
      let sum = square(0);
      for (let k = 1; k < spec.size; k++) sum = f32x4.add(sum, square(k));
      // s^¾ = √s·√√s
      const s = f32x4.add(f32x4.mul(sum, spec.factor), spec.bias);
      const power = f32x4.mul(tee(root, f32x4.sqrt(s)), f32x4.sqrt(root));
      set(f, value, f32x4.div(v128.load(input), power));
    });
  });
}
