/** The int8 dot product of convolutions: one relaxed instruction, or for tests the same in exact ones. */
import type { Func, Local } from "../../wasm/index.ts";
import { temp } from "./_temp.ts";
import type { Target } from "./spec.ts";

/**
 * Pushes acc + w·a on the stack: four sums of four products, `w` signed bytes, `a` the bytes that the planner's mode allows.
 */
export function emitRelaxedDot(f: Func, target: Target, w: Local, a: Local, acc: Local): void {
  if (target.emulateDot) {
    emitExactDot(f, target.emulateDot, w, a, acc);
    return;
  }
  f.get(w);
  f.get(a);
  f.get(acc);
  f.op("i32x4.relaxed_dot_i8x16_i7x16_add_s");
}

/**
 * Pushes eight sums of two products as i16: products 2k and 2k+1. Exact if the planner has seen to it that each sum, and
 * those that are added to it, fit 16 bits.
 */
export function emitPairDot(f: Func, target: Target, w: Local, a: Local): void {
  if (!target.emulateDot) {
    f.get(w);
    f.get(a);
    f.op("i16x8.relaxed_dot_i8x16_i7x16_s");
    return;
  }
  const [low, high] = emitExactPairs(f, target.emulateDot, w, a);
  f.get(low);
  f.get(high);
  f.op("i16x8.narrow_i32x4_s");
}

const evenLanes = [0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27];

/** The sums of products 2k and 2k+1 as i32: of the low and of the high eight bytes. */
function emitExactPairs(
  f: Func,
  mode: NonNullable<Target["emulateDot"]>,
  w: Local,
  a: Local,
): [low: Local, high: Local] {
  const [operand, low, high] = ["dotOperand", "dotLow", "dotHigh"].map((name) => temp(f, name));
  f.get(a);
  if (mode === "i7") {
    // What the instruction makes of larger bytes is open: here it is surely wrong, and tests see it.
    f.i8x16(127);
    f.op("v128.and");
  }
  f.set(operand);
  const sign = mode === "unsigned" ? "u" : "s";
  for (const [half, pairs] of [
    ["low", low],
    ["high", high],
  ] as const) {
    f.get(w);
    f.op(`i16x8.extend_${half}_i8x16_s`);
    f.get(operand);
    f.op(`i16x8.extend_${half}_i8x16_${sign}`);
    f.op("i32x4.dot_i16x8_s");
    f.set(pairs);
  }
  return [low, high];
}

function emitExactDot(
  f: Func,
  mode: NonNullable<Target["emulateDot"]>,
  w: Local,
  a: Local,
  acc: Local,
): void {
  const [low, high] = emitExactPairs(f, mode, w, a);
  for (const offset of [0, 4]) {
    f.get(low);
    f.get(high);
    f.op("i8x16.shuffle", { lanes: evenLanes.map((lane) => lane + offset) });
  }
  f.op("i32x4.add");
  f.get(acc);
  f.op("i32x4.add");
}
