/** Normalisation along the channels of every pixel: LayerNorm, and LRN across channels. */
import { addTo, type Func, type FuncRef, forRange, type Local, type Module } from "../../wasm/index.ts";
import { type EpilogueSpec, emitEpilogue, epilogueGroupBytes } from "./_epilogue.ts";
import { reduceLanes } from "./_math.ts";
import { temp } from "./_temp.ts";
import { type WalkPointer, walk } from "./_walk.ts";
import type { Target } from "./spec.ts";

interface NormSpec {
  readonly rows: number;
  readonly width: number;
  /** A multiple of 4. */
  readonly channels: number;
  readonly pixelBytes: number;
  readonly rowBytes: number;
  readonly epilogue: EpilogueSpec;
}

/** (x − mean)/√(variance + eps)·gamma + beta. */
export interface LayerNormSpec extends NormSpec {
  readonly kind: "layerNorm";
  readonly eps: number;
}

/** x·(bias + factor·Σx²)^−¾, the sum over `size` channels around each. */
export interface LrnSpec extends NormSpec {
  readonly kind: "lrn";
  readonly size: number;
  readonly factor: number;
  readonly bias: number;
}

/** Channels of zeros on each side of the squares in scratch memory. */
const lrnMargin = 4;
/** Half of the window has to fit the margin. */
export const largestLrnSize = 2 * lrnMargin + 1;

export function lrnScratchBytes(channels: number): number {
  return (channels + 2 * lrnMargin) * 4;
}

/** Emits `(input, affine, constants, out0…, begin, end)` for rows [begin, end). Affine: `[vector][gamma, beta][4]`. */
export function emitLayerNorm(m: Module, name: string, spec: LayerNormSpec, target: Target): FuncRef {
  return m.func(name, { params: paramsOf(spec, "affine"), results: [] }, (f) => {
    const [mean, factor] = [f.local("v128", "mean"), f.local("v128", "factor")];
    const scaleBySize = (v: Local): void => {
      reduceLanes(f, v, "f32x4.add");
      f.get(v);
      f.f32x4(1 / spec.channels);
      f.op("f32x4.mul");
    };
    const difference = temp(f, "difference");
    const pushDifference = (address: Local): void => {
      f.get(address);
      f.op("v128.load");
      f.get(mean);
      f.op("f32x4.sub");
    };
    const statistics = (y: Local, x: Local): void => {
      f.f32x4(0);
      f.set(mean);
      eachVector(f, spec, y, x, (a) => {
        f.get(mean);
        f.get(a);
        f.op("v128.load");
        f.op("f32x4.add");
        f.set(mean);
      });
      scaleBySize(mean);
      f.set(mean);
      f.f32x4(0);
      f.set(factor);
      eachVector(f, spec, y, x, (a) => {
        pushDifference(a);
        f.tee(difference);
        f.get(difference);
        f.op("f32x4.mul");
        f.get(factor);
        f.op("f32x4.add");
        f.set(factor);
      });
      f.f32x4(1);
      scaleBySize(factor);
      f.f32x4(spec.eps);
      f.op("f32x4.add");
      f.op("f32x4.sqrt");
      f.op("f32x4.div");
      f.set(factor);
    };
    const affine = { base: f.params.affine, pixelBytes: 0, rowBytes: 0, vectorBytes: 32 };
    normalizedWalk(f, spec, target, affine, statistics, (input, weights, value) => {
      pushDifference(input);
      f.get(factor);
      f.op("f32x4.mul");
      f.get(weights);
      f.op("v128.load");
      f.op("f32x4.mul");
      f.get(weights);
      f.op("v128.load", { offset: 16 });
      f.op("f32x4.add");
      f.set(value);
    });
  });
}

/** Emits `(input, scratch, constants, out0…, begin, end)` for rows [begin, end). */
export function emitLrn(m: Module, name: string, spec: LrnSpec, target: Target): FuncRef {
  return m.func(name, { params: paramsOf(spec, "scratch"), results: [] }, (f) => {
    const to = temp(f, "to", "i32");
    const x = temp(f, "x");
    for (const edge of [0, lrnMargin + spec.channels]) {
      f.get(f.params.scratch);
      f.f32x4(0);
      f.op("v128.store", { offset: edge * 4 });
    }
    const squares = (row: Local, column: Local): void => {
      f.get(f.params.scratch);
      f.set(to);
      eachVector(f, spec, row, column, (a) => {
        f.get(to);
        f.get(a);
        f.op("v128.load");
        f.tee(x);
        f.get(x);
        f.op("f32x4.mul");
        f.op("v128.store", { offset: lrnMargin * 4 });
        addTo(f, to, 16);
      });
    };
    const scratch = { base: f.params.scratch, pixelBytes: 0, rowBytes: 0, vectorBytes: 16 };
    const root = temp(f, "root");
    normalizedWalk(f, spec, target, scratch, squares, (input, window, value) => {
      f.get(input);
      f.op("v128.load");
      for (let k = 0; k < spec.size; k++) {
        f.get(window);
        f.op("v128.load", { offset: (lrnMargin - Math.floor(spec.size / 2) + k) * 4, align: 2 });
        if (k > 0) f.op("f32x4.add");
      }
      f.f32x4(spec.factor);
      f.op("f32x4.mul");
      f.f32x4(spec.bias);
      f.op("f32x4.add");
      // s^¾ = √s·√√s
      f.op("f32x4.sqrt");
      f.tee(root);
      f.get(root);
      f.op("f32x4.sqrt");
      f.op("f32x4.mul");
      f.op("f32x4.div");
      f.set(value);
    });
  });
}

function paramsOf(spec: NormSpec, second: string): Record<string, "i32"> {
  const params: Record<string, "i32"> = { input: "i32", [second]: "i32", constants: "i32" };
  spec.epilogue.stores.forEach((_, i) => {
    params[`out${i}`] = "i32";
  });
  return { ...params, begin: "i32", end: "i32" };
}

/** Every pixel: `atPixel`, then for each vector `body` puts the result into the local that it is given. */
function normalizedWalk(
  f: Func,
  spec: NormSpec,
  target: Target,
  second: WalkPointer,
  atPixel: (y: Local, x: Local) => void,
  body: (input: Local, second: Local, value: Local) => void,
): void {
  const { pixelBytes, rowBytes, epilogue } = spec;
  const pointers: WalkPointer[] = [
    { base: f.params.input, pixelBytes, rowBytes, vectorBytes: 16 },
    second,
    { base: f.params.constants, pixelBytes: 0, rowBytes: 0, vectorBytes: epilogueGroupBytes(epilogue) },
    ...epilogue.stores.map((store, i) => ({
      base: f.params[`out${i}`],
      pixelBytes: store.pixelBytes,
      rowBytes: store.rowBytes,
      vectorBytes: store.dtype === "f32" ? 16 : 4,
    })),
  ];
  const value = temp(f, "value");
  const emit = (at: readonly Local[]): void => {
    body(at[0], at[1], value);
    emitEpilogue(f, target, epilogue, { constants: at[2], outputs: at.slice(3) }, [[value]]);
  };
  walk(f, { width: spec.width, vectors: spec.channels / 4 }, pointers, emit, atPixel);
}

/** Visits the addresses of the vectors of pixel (y, x) of the input. */
function eachVector(f: Func, spec: NormSpec, y: Local, x: Local, body: (address: Local) => void): void {
  const a = temp(f, "a", "i32");
  f.get(f.params.input);
  f.get(y);
  f.i32(spec.rowBytes);
  f.op("i32.mul");
  f.op("i32.add");
  f.get(x);
  f.i32(spec.pixelBytes);
  f.op("i32.mul");
  f.op("i32.add");
  f.set(a);
  forRange(f, temp(f, "i", "i32"), 0, spec.channels / 4, 1, () => {
    body(a);
    addTo(f, a, 16);
  });
}
