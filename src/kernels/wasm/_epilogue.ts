/**
 * The end of every kernel that computes in float32: bias, dequantization, activation, residual, and the stores in one or
 * more representations. Constants per channel lie in memory in groups of four channels, `[group][vector][4]` float32, the
 * vectors being those that `epilogueVectors` lists.
 */

import { unbounded } from "../../base/activation.ts";
import {
  type Expression,
  f32x4,
  i8x16,
  i16x8,
  i32,
  i32x4,
  type Operand,
  set,
  store,
  tee,
  v128,
} from "../../wasm/expressions.ts";
import type { Func, Local } from "../../wasm/index.ts";
import { type EpilogueShape, type EpilogueVector, epilogueVectors } from "../epilogue.ts";
import { arithmetic, emitActivation, emitMaddOnce } from "./_math.ts";
import type { Numbers } from "./_numbers.ts";
import { temp } from "./_temp.ts";
import { type EpilogueStep, lowestAfter, type StoreSpec, type Target } from "./spec.ts";

export interface EpilogueSpec extends EpilogueShape {
  /** i32: whether acc·scale + bias is rounded once, as native convolutions do, or after each operation. */
  readonly roundOnce: boolean;
  /** Results times the scale of any store are known to fit 32 bits as integers. */
  readonly fits: boolean;
  readonly steps: readonly EpilogueStep[];
  readonly stores: readonly StoreSpec[];
}

/** Bytes of constants for each group of four channels. */
export function epilogueGroupBytes(spec: EpilogueSpec): number {
  return epilogueVectors(spec).length * 16;
}

/** Constant `vector` of channel group `group`, relative to pointer `at`. */
function constantVector(spec: EpilogueSpec, at: Local, vector: EpilogueVector, group: number): Expression {
  const index = epilogueVectors(spec).indexOf(vector);
  return v128.load(at, group * epilogueGroupBytes(spec) + index * 16);
}

/** The starting value of the accumulators of `group`. */
export function accumulatorStart(spec: EpilogueSpec, at: Local, group: number): Expression {
  if (spec.accumulator === "f32") return constantVector(spec, at, "bias", group);
  if (spec.correction) return constantVector(spec, at, "correction", group);
  return (f) => f.i32x4(0);
}

export interface EpiloguePointers {
  /** Constants of the first channel group of this block. */
  readonly constants: Local;
  /** One address per store: channel group 0 of this block at pixel 0 of this tile. */
  readonly outputs: readonly Local[];
  /** Address of the residual at the same place. */
  readonly residual?: Local;
  /** Strides and limits, where the spec has none. */
  readonly numbers?: Numbers;
}

/** Where the tile's pixel p is behind a pointer, with the strides of that name: a pointer, and bytes from there. */
function pixelAt(
  f: Func,
  { numbers }: EpiloguePointers,
  pointer: Local,
  name: string,
  pixelBytes: number,
  p: number,
): [Local, number] {
  if (!numbers || p === 0) return [pointer, p * pixelBytes];
  const own = temp(f, `${name} pixel`, "i32");
  set(f, own, i32.add(pointer, i32.mul(numbers.of(`${name}.pixelBytes`), p)));
  return [own, 0];
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
  if (spec.accumulator === "i32") {
    values[0].forEach((_, group) => emitDequantize(f, target, spec, at, group, values));
  }
  spec.steps.forEach((_, i) => emitStep(f, target, spec, i, at, values));
  spec.stores.forEach(({ dtype, pixelBytes }, i) => {
    if (dtype === "i8") {
      emitQuantizedStore(f, target, spec, at, i, values);
      return;
    }
    values.forEach((pixel, p) => {
      const [address, offset] = pixelAt(f, at, at.outputs[i], `store${i}`, pixelBytes, p);
      pixel.forEach((v, group) => {
        store(f, address, v, offset + group * 16);
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
  set(f, scale, constantVector(spec, at.constants, "scale", group));
  set(f, bias, constantVector(spec, at.constants, "bias", group));
  for (const pixel of values) {
    const v = pixel[group];
    const float = i32x4.convert_to_f32x4_s(v);
    if (spec.roundOnce) {
      set(f, v, float);
      set(f, v, () => emitMaddOnce(f, target, v, scale, bias));
    } else set(f, v, f32x4.add(f32x4.mul(float, scale), bias));
  }
}

/**
 * One step for all values: a step after the other, and of a pixel all groups one after the other, so that nothing is read from
 * memory between the groups of a pixel but what they need themselves: V8 does not join instructions across that.
 */
function emitStep(
  f: Func,
  target: Target,
  spec: EpilogueSpec,
  index: number,
  at: EpiloguePointers,
  values: readonly (readonly Local[])[],
): void {
  const step = spec.steps[index];
  if (step.kind === "scale") {
    const [factor, shift] = [temp(f, "factor"), temp(f, "shift")];
    for (let group = 0; group < values[0].length; group++) {
      set(f, factor, constantVector(spec, at.constants, `factor${index}`, group));
      set(f, shift, constantVector(spec, at.constants, `shift${index}`, group));
      for (const { [group]: v } of values) set(f, v, () => emitMaddOnce(f, target, v, factor, shift));
    }
    return;
  }
  values.forEach((pixel, p) => {
    const [residual, offset] =
      step.kind === "residual" ? pixelAt(f, at, at.residual!, "residual", step.pixelBytes, p) : [];
    pixel.forEach((v, group) => {
      if (step.kind === "activation") {
        if (at.numbers && step.activation.kind === "clip") emitClip(f, at.numbers, index, step.activation, v);
        else emitActivation(f, target, step.activation, v);
      } else if (step.kind === "scalar") set(f, v, arithmetic(step.operator, v, f32x4.of(step.value)));
      else set(f, v, f32x4.add(v, v128.load(residual!, offset! + group * 16)));
    });
  });
}

/** A clip whose bounds lie in memory. */
function emitClip(
  f: Func,
  numbers: Numbers,
  step: number,
  { min, max }: Readonly<Record<"min" | "max", number>>,
  v: Local,
): void {
  if (min > -unbounded) set(f, v, f32x4.pmax(v, numbers.splat(`step${step}.min`)));
  if (max < unbounded) set(f, v, f32x4.pmin(v, numbers.splat(`step${step}.max`)));
}

/**
 * q = clamp(trunc(x·s + copysign(0.5, x·s)), least, most), stored as bytes: rounding half away from zero; where nothing below 0
 * is stored clamp(trunc(x·s + 0.5), …), which is the same of all that is not negative. Bytes are clamped, many at once. Before
 * that narrowing saturates, and truncation does downwards, in every lowering; upwards it may not, so that floats which could be
 * too large are cut off first.
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
  const { pixelBytes } = store;
  const scaled = temp(f, "scaled");
  const isPositive = store.least >= 0 || lowestAfter(spec.steps) >= 0;
  const scales = values[0].map((_, group) => {
    const scale = temp(f, `requantize${group}`);
    set(f, scale, constantVector(spec, at.constants, `requantize${index}`, group));
    return scale;
  });
  const quantize = (v: Local, scale: Local): Expression => {
    const product = f32x4.mul(v, scale);
    const signedHalf = target.signSelect
      ? i32x4.relaxed_laneselect(f32x4.of(-0.5), f32x4.of(0.5), scaled)
      : v128.or(v128.and(scaled, -2147483648), f32x4.of(0.5));
    const rounded = isPositive ? f32x4.add(product, 0.5) : f32x4.add(tee(scaled, product), signedHalf);
    const safe = spec.fits ? rounded : f32x4.pmin(rounded, 127);
    return target.relaxed ? i32x4.relaxed_trunc_f32x4_s(safe) : i32x4.trunc_sat_f32x4_s(safe);
  };
  const pixels = values.map((pixel) => pixel.map((v, group) => quantize(v, scales[group])));
  // Pixels of four bytes lie side by side: the whole tile is one run.
  const isOneRun = !at.numbers && pixelBytes === 4 && scales.length === 1;
  const runs = isOneRun ? [pixels.flat()] : pixels;
  const parts = runs.flatMap((run, r) =>
    Array.from({ length: Math.ceil(run.length / 4) }, (_, i) => ({
      address: () => {
        const [pointer, offset] = pixelAt(f, at, at.outputs[index], `store${index}`, pixelBytes, r);
        return [pointer, offset + i * 16] as const;
      },
      groups: run.slice(i * 4, i * 4 + 4),
    })),
  );
  const limits: readonly [Operand | undefined, Operand | undefined] = at.numbers
    ? [at.numbers.splatByte(`store${index}.limits`, 0), at.numbers.splatByte(`store${index}.limits`, 1)]
    : [store.least > -128 ? store.least : undefined, store.most < 127 ? store.most : undefined];
  for (const vector of sharedVectors(parts)) emitByteStore(f, vector, limits, store);
}

/** Up to four groups of four bytes that lie side by side. */
interface ByteRun {
  /** Pushes nothing: a pointer, and bytes from there. */
  address(): readonly [Local, number];
  readonly groups: readonly Expression[];
}

/** Runs of one or two groups share the 16 bytes of a vector with others of their length. */
function sharedVectors(runs: readonly ByteRun[]): ByteRun[][] {
  const vectors: ByteRun[][] = [];
  for (const run of runs) {
    const last = vectors.at(-1);
    const length = run.groups.length;
    const fits = length < 3 && last?.[0].groups.length === length && (last.length + 1) * length <= 4;
    if (fits) last.push(run);
    else vectors.push([run]);
  }
  return vectors;
}

/** Narrows up to four i32x4 to bytes, clamps them, adds the zero point and stores them, run by run. */
function emitByteStore(
  f: Func,
  runs: readonly ByteRun[],
  [least, most]: readonly [Operand | undefined, Operand | undefined],
  { zeroPoint }: StoreSpec,
): void {
  const bytes = temp(f, "bytes");
  const groups = runs.flatMap((run) => run.groups);
  const pair = (first: number): Expression => {
    if (first + 1 < groups.length) return i16x8.narrow_i32x4_s(groups[first], groups[first + 1]);
    const only = temp(f, "q");
    return i16x8.narrow_i32x4_s(tee(only, groups[first]), only);
  };
  const low = temp(f, "low");
  let narrowed =
    groups.length > 2 ? i8x16.narrow_i16x8_s(pair(0), pair(2)) : i8x16.narrow_i16x8_s(tee(low, pair(0)), low);
  if (least !== undefined) narrowed = i8x16.max_s(narrowed, least);
  if (most !== undefined) narrowed = i8x16.min_s(narrowed, most);
  set(f, bytes, zeroPoint ? i8x16.add(narrowed, (zeroPoint << 24) >> 24) : narrowed);
  type Store = "v128.store32_lane" | "v128.store64_lane";
  const storeLane = (op: Store, address: Local, offset: number, lane: number): void => {
    f.get(address);
    f.get(bytes);
    f.op(op, { offset, lane });
  };
  runs.forEach((run, r) => {
    const { length } = run.groups;
    const [address, offset] = run.address();
    if (length === 1) storeLane("v128.store32_lane", address, offset, r);
    if (length === 2) storeLane("v128.store64_lane", address, offset, r);
    if (length === 3) {
      storeLane("v128.store64_lane", address, offset, 0);
      storeLane("v128.store32_lane", address, offset + 8, 2);
    }
    if (length === 4) store(f, address, bytes, offset);
  });
}
