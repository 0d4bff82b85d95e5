/**
 * The end of every kernel that computes in float32: bias, dequantization, activation, residual, and the stores in one or
 * more representations. Constants per channel lie in memory in groups of four channels, `[group][vector][4]` float32, the
 * vectors being those that `epilogueVectors` lists.
 */
import type { Func, Local } from "../../wasm/index.ts";
import { emitActivation, emitMaddOnce } from "./_math.ts";
import { temp } from "./_temp.ts";
import { type EpilogueStep, lowestAfter, type StoreSpec, type Target } from "./spec.ts";

export interface EpilogueSpec {
  /**
   * `f32`: accumulators begin at the bias and are finished sums; `i32`: they are dequantized, acc·scale + bias;
   * `none`: the kernel has no constants of its own (pooling, resize).
   */
  readonly accumulator: "f32" | "i32" | "none";
  /** i32: whether acc·scale + bias is rounded once, as native convolutions do, or after each operation. */
  readonly roundOnce: boolean;
  /** i32 only: the accumulators begin at a correction vector instead of 0. */
  readonly correction: boolean;
  readonly steps: readonly EpilogueStep[];
  readonly stores: readonly StoreSpec[];
}

export type EpilogueVector = "bias" | "scale" | "correction" | `requantize${number}`;

/** The constant vectors of a group of four channels, in memory order. `requantizeN` belongs to store N. */
export function epilogueVectors(spec: EpilogueSpec): EpilogueVector[] {
  const vectors: EpilogueVector[] = [];
  if (spec.accumulator === "i32") vectors.push("scale", "bias");
  if (spec.accumulator === "f32") vectors.push("bias");
  if (spec.correction) vectors.push("correction");
  spec.stores.forEach((store, i) => {
    if (store.dtype === "i8") vectors.push(`requantize${i}`);
  });
  return vectors;
}

/** Bytes of constants for each group of four channels. */
export function epilogueGroupBytes(spec: EpilogueSpec): number {
  return epilogueVectors(spec).length * 16;
}

/** Pushes constant `vector` of channel group `group` (relative to pointer `e`). */
export function loadConstant(
  f: Func,
  spec: EpilogueSpec,
  e: Local,
  vector: EpilogueVector,
  group: number,
): void {
  const index = epilogueVectors(spec).indexOf(vector);
  f.get(e);
  f.op("v128.load", { offset: group * epilogueGroupBytes(spec) + index * 16 });
}

/** Puts the starting value of the accumulators of `group` on the stack. */
export function emitAccumulatorStart(f: Func, spec: EpilogueSpec, e: Local, group: number): void {
  if (spec.accumulator === "f32") loadConstant(f, spec, e, "bias", group);
  else if (spec.correction) loadConstant(f, spec, e, "correction", group);
  else f.i32x4(0);
}

export interface EpiloguePointers {
  /** Constants of the first channel group of this block. */
  readonly constants: Local;
  /** One address per store: channel group 0 of this block at pixel 0 of this tile. */
  readonly outputs: readonly Local[];
  /** Address of the residual at the same place. */
  readonly residual?: Local;
}

/**
 * Finishes a tile: `values[p][g]` holds channel group g of the block at the tile's pixel p. Each constant is loaded once for
 * all pixels. Stores vectors of four channels, so up to three slots beyond the last channel are written (they belong to
 * the picture).
 */
export function emitEpilogue(
  f: Func,
  target: Target,
  spec: EpilogueSpec,
  at: EpiloguePointers,
  values: readonly (readonly Local[])[],
): void {
  const groups = values[0].length;
  // ReLU costs nothing where only bytes are stored: it is their lower limit.
  const isReluLast = isRelu(spec.steps.at(-1)) && spec.stores.every((store) => store.dtype === "i8");
  const steps = isReluLast ? spec.steps.slice(0, -1) : spec.steps;
  for (let group = 0; group < groups; group++) {
    if (spec.accumulator === "i32") emitDequantize(f, target, spec, at, group, values);
    values.forEach((pixel, p) => emitSteps(f, target, steps, at, p, group, pixel[group]));
  }
  spec.stores.forEach((store, i) => {
    if (store.dtype === "i8") {
      emitQuantizedStore(f, target, spec, at, i, values);
      return;
    }
    values.forEach((pixel, p) => {
      pixel.forEach((v, group) => {
        f.get(at.outputs[i]);
        f.get(v);
        f.op("v128.store", { offset: p * store.pixelBytes + group * 16 });
      });
    });
  });
}

/** values = float(values)·scale + bias, for one channel group of all pixels. */
function emitDequantize(
  f: Func,
  target: Target,
  spec: EpilogueSpec,
  at: EpiloguePointers,
  group: number,
  values: readonly (readonly Local[])[],
): void {
  const scale = temp(f, "scale");
  const bias = temp(f, "bias");
  loadConstant(f, spec, at.constants, "scale", group);
  f.set(scale);
  loadConstant(f, spec, at.constants, "bias", group);
  f.set(bias);
  for (const pixel of values) {
    const v = pixel[group];
    f.get(v);
    f.op("f32x4.convert_i32x4_s");
    if (spec.roundOnce) {
      f.set(v);
      emitMaddOnce(f, target, v, scale, bias);
    } else {
      f.get(scale);
      f.op("f32x4.mul");
      f.get(bias);
      f.op("f32x4.add");
    }
    f.set(v);
  }
}

const isRelu = (step: EpilogueStep | undefined): boolean =>
  step?.kind === "activation" && step.activation.kind === "relu";

function emitSteps(
  f: Func,
  target: Target,
  steps: readonly EpilogueStep[],
  at: EpiloguePointers,
  pixel: number,
  group: number,
  v: Local,
): void {
  for (const step of steps) {
    if (step.kind === "activation") emitActivation(f, target, step.activation, v);
    else {
      f.get(v);
      f.get(at.residual!);
      f.op("v128.load", { offset: pixel * step.pixelBytes + group * 16 });
      f.op("f32x4.add");
      f.set(v);
    }
  }
}

/**
 * q = clamp(trunc(x·s + copysign(0.5, x·s)), −127, 127), stored as bytes: rounding half away from zero; behind ReLU
 * clamp(trunc(x·s + 0.5), 0, 127), which is the same of all that is not negative, and 0 of the rest. The upper clamp is
 * done in float so that truncation cannot overflow upwards; downwards every lowering saturates to −128 or below, which
 * the narrowing and the final max turn into −127.
 */
function emitQuantizedStore(
  f: Func,
  target: Target,
  spec: EpilogueSpec,
  at: EpiloguePointers,
  index: number,
  values: readonly (readonly Local[])[],
): void {
  const store = spec.stores[index];
  const scaled = temp(f, "scaled");
  const scales = values[0].map((_, group) => {
    const scale = temp(f, `requantize${group}`);
    loadConstant(f, spec, at.constants, `requantize${index}`, group);
    f.set(scale);
    return scale;
  });
  const quantize = (v: Local, scale: Local, name: string): Local => {
    f.get(v);
    f.get(scale);
    f.op("f32x4.mul");
    if (lowestAfter(spec.steps) >= 0) {
      f.f32x4(0.5);
    } else {
      f.tee(scaled);
      f.get(scaled);
      f.i32x4(-2147483648);
      f.op("v128.and");
      f.f32x4(0.5);
      f.op("v128.or");
    }
    f.op("f32x4.add");
    f.f32x4(127);
    f.op("f32x4.pmin");
    f.op(target.relaxed ? "i32x4.relaxed_trunc_f32x4_s" : "i32x4.trunc_sat_f32x4_s");
    const q = temp(f, name);
    f.set(q);
    return q;
  };
  // Pixels of four bytes lie side by side: the whole tile is stored at once.
  const isOneRun = store.pixelBytes === 4 && values[0].length === 1;
  const runs = isOneRun ? [values.map(([v]) => v)] : values;
  runs.forEach((run, r) => {
    const quantized = run.map((v, i) => quantize(v, scales[isOneRun ? 0 : i], `q${i}`));
    const least = isRelu(spec.steps.at(-1)) ? 0 : -127;
    emitByteStore(f, at.outputs[index], r * store.pixelBytes, quantized, store.zeroPoint, least);
  });
}

/** Narrows up to four i32x4 to bytes, at least `least`, adds the zero point and stores 4 bytes for each. */
export function emitByteStore(
  f: Func,
  address: Local,
  offset: number,
  groups: readonly Local[],
  zeroPoint: number,
  least: number,
): void {
  const bytes = temp(f, "bytes");
  for (let g = 0; g < groups.length; g += 4) {
    const part = groups.slice(g, g + 4);
    const pick = (i: number): Local => part[Math.min(i, part.length - 1)];
    f.get(pick(0));
    f.get(pick(1));
    f.op("i16x8.narrow_i32x4_s");
    if (part.length > 2) {
      f.get(pick(2));
      f.get(pick(3));
      f.op("i16x8.narrow_i32x4_s");
    } else {
      f.get(pick(0));
    }
    f.op("i8x16.narrow_i16x8_s");
    f.i8x16(least);
    f.op("i8x16.max_s");
    if (zeroPoint) {
      f.i8x16((zeroPoint << 24) >> 24);
      f.op("i8x16.add");
    }
    f.set(bytes);
    const store = (op: "v128.store32_lane" | "v128.store64_lane", at: number, lane: number): void => {
      f.get(address);
      f.get(bytes);
      f.op(op, { offset: offset + g * 4 + at, lane });
    };
    if (part.length === 1) store("v128.store32_lane", 0, 0);
    if (part.length === 2) store("v128.store64_lane", 0, 0);
    if (part.length === 3) {
      store("v128.store64_lane", 0, 0);
      store("v128.store32_lane", 8, 2);
    }
    if (part.length === 4) {
      f.get(address);
      f.get(bytes);
      f.op("v128.store", { offset: offset + g * 4 });
    }
  }
}
