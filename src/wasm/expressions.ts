/**
 * Expressions over the assembler, so that a kernel reads like what it computes:
 *
 * ```ts
 * set(f, sum, f32x4.add(sum, f32x4.mul(v128.load(a), 0.5)));
 * ```
 * Operands are pushed from left to right, and then comes the instruction: the order of the text is the order of the code.
 */
import type { Func } from "./function.ts";
import { type I32Source, pushI32 } from "./helpers.ts";
import type { ImmediateOf, OpName } from "./opcodes.ts";
import type { Local } from "./types.ts";

/** Code that pushes one value. */
export type Expression = (f: Func) => void;

/** A variable, an expression, or a number: a constant of the instruction's type, the same in every lane. */
export type Operand = Local | Expression | number;

type Push = (f: Func, operand: Operand) => void;

const pusher =
  (constant: (f: Func, value: number) => void): Push =>
  (f, operand) => {
    if (typeof operand === "number") constant(f, operand);
    else if (typeof operand === "function") operand(f);
    else f.get(operand);
  };

/** Instructions without immediates. */
type PlainOp = { [N in OpName]: ImmediateOf<N> extends [] ? N : never }[OpName];

const unary =
  (push: Push, name: PlainOp) =>
  (a: Operand): Expression =>
  (f) => {
    push(f, a);
    f.op(name);
  };
const binary =
  (push: Push, name: PlainOp) =>
  (a: Operand, b: Operand): Expression =>
  (f) => {
    push(f, a);
    push(f, b);
    f.op(name);
  };
const ternary =
  (push: Push, name: PlainOp) =>
  (a: Operand, b: Operand, c: Operand): Expression =>
  (f) => {
    push(f, a);
    push(f, b);
    push(f, c);
    f.op(name);
  };

const floats = pusher((f, value) => f.f32x4(value));
const words = pusher((f, value) => f.i32x4(value));
const halves = pusher((f, value) => f.i16x8(value));
const bytes = pusher((f, value) => f.i8x16(value));
const doubles = pusher((f, value) => f.f64(value));

/** Sixteen of the bytes of two vectors. */
const shuffled =
  (lanes: readonly number[]) =>
  (a: Operand, b: Operand): Expression =>
  (f) => {
    bytes(f, a);
    bytes(f, b);
    f.op("i8x16.shuffle", { lanes });
  };

/** Every lane by the same number of bits. */
const shifted =
  (push: Push, name: PlainOp) =>
  (a: Operand, bits: number): Expression =>
  (f) => {
    push(f, a);
    f.i32(bits);
    f.op(name);
  };

/** Four float32. */
export const f32x4 = {
  of:
    (value: number): Expression =>
    (f) =>
      f.f32x4(value),
  add: binary(floats, "f32x4.add"),
  sub: binary(floats, "f32x4.sub"),
  mul: binary(floats, "f32x4.mul"),
  div: binary(floats, "f32x4.div"),
  max: binary(floats, "f32x4.max"),
  min: binary(floats, "f32x4.min"),
  /** a < b ? b : a, and the other way round. */
  pmax: binary(floats, "f32x4.pmax"),
  pmin: binary(floats, "f32x4.pmin"),
  abs: unary(floats, "f32x4.abs"),
  sqrt: unary(floats, "f32x4.sqrt"),
  neg: unary(floats, "f32x4.neg"),
  nearest: unary(floats, "f32x4.nearest"),
  /** All ones where it holds, else zeros. */
  lt: binary(floats, "f32x4.lt"),
  gt: binary(floats, "f32x4.gt"),
  /** a·b + c, rounded once or twice, as the machine likes. */
  relaxed_madd: ternary(floats, "f32x4.relaxed_madd"),
} as const;

/** Four int32. */
export const i32x4 = {
  add: binary(words, "i32x4.add"),
  sub: binary(words, "i32x4.sub"),
  mul: binary(words, "i32x4.mul"),
  dot_i16x8_s: binary(words, "i32x4.dot_i16x8_s"),
  extadd_pairwise_i16x8_s: unary(words, "i32x4.extadd_pairwise_i16x8_s"),
  /** Products of the lower, or the upper, four int16. */
  extmul_low_i16x8_s: binary(halves, "i32x4.extmul_low_i16x8_s"),
  extmul_high_i16x8_s: binary(halves, "i32x4.extmul_high_i16x8_s"),
  convert_to_f32x4_s: unary(words, "f32x4.convert_i32x4_s"),
  trunc_sat_f32x4_s: unary(floats, "i32x4.trunc_sat_f32x4_s"),
  relaxed_trunc_f32x4_s: unary(floats, "i32x4.relaxed_trunc_f32x4_s"),
  /** a where the mask is ones, b where it is zeros; by bits or by lanes, as the machine likes. */
  relaxed_laneselect: ternary(words, "i32x4.relaxed_laneselect"),
  shl: shifted(words, "i32x4.shl"),
  shr_u: shifted(words, "i32x4.shr_u"),
  shr_s: shifted(words, "i32x4.shr_s"),
  /** The sign of each lane, a bit each. */
  bitmask: unary(words, "i32x4.bitmask"),
} as const;

/** Eight int16. */
export const i16x8 = {
  of:
    (value: number): Expression =>
    (f) =>
      f.i16x8(value),
  add: binary(halves, "i16x8.add"),
  sub: binary(halves, "i16x8.sub"),
  mul: binary(halves, "i16x8.mul"),
  shr_u: shifted(halves, "i16x8.shr_u"),
  shl: shifted(halves, "i16x8.shl"),
  narrow_i32x4_s: binary(words, "i16x8.narrow_i32x4_s"),
  /** a0 b0 a1 b1 a2 b2 a3 b3 */
  interleaveLow: shuffled([0, 1, 16, 17, 2, 3, 18, 19, 4, 5, 20, 21, 6, 7, 22, 23]),
  /** The upper int16 of the four int32 of a, then those of b. */
  upperHalves: shuffled([2, 3, 6, 7, 10, 11, 14, 15, 18, 19, 22, 23, 26, 27, 30, 31]),
} as const;

/** Sixteen bytes. */
export const i8x16 = {
  add: binary(bytes, "i8x16.add"),
  max_s: binary(bytes, "i8x16.max_s"),
  min_s: binary(bytes, "i8x16.min_s"),
  max_u: binary(bytes, "i8x16.max_u"),
  narrow_i16x8_s: binary(halves, "i8x16.narrow_i16x8_s"),
  narrow_i16x8_u: binary(halves, "i8x16.narrow_i16x8_u"),
  /** Bytes of a by the indices in b; 0 where one is above 15. */
  swizzle: binary(bytes, "i8x16.swizzle"),
  /** Bytes 0..15 of a and 16..31 of b, in any order. */
  shuffle: shuffled,
  /** a0 b0 a1 b1 … a7 b7 */
  interleaveLow: shuffled([0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23]),
} as const;

/** Addresses and counters. */
export const i32 = {
  of:
    (value: number): Expression =>
    (f) =>
      f.i32(value),
  add: binary(pushI32, "i32.add"),
  sub: binary(pushI32, "i32.sub"),
  mul: binary(pushI32, "i32.mul"),
  div_s: binary(pushI32, "i32.div_s"),
  div_u: binary(pushI32, "i32.div_u"),
  rem_s: binary(pushI32, "i32.rem_s"),
  rem_u: binary(pushI32, "i32.rem_u"),
  and: binary(pushI32, "i32.and"),
  or: binary(pushI32, "i32.or"),
  shr_u: binary(pushI32, "i32.shr_u"),
  shr_s: binary(pushI32, "i32.shr_s"),
  shl: binary(pushI32, "i32.shl"),
  eqz: unary(pushI32, "i32.eqz"),
  popcnt: unary(pushI32, "i32.popcnt"),
  /** How many of the lowest bits are zeros. */
  ctz: unary(pushI32, "i32.ctz"),
  lt_s: binary(pushI32, "i32.lt_s"),
  gt_s: binary(pushI32, "i32.gt_s"),
  lt_u: binary(pushI32, "i32.lt_u"),
  le_s: binary(pushI32, "i32.le_s"),
  eq: binary(pushI32, "i32.eq"),
  ne: binary(pushI32, "i32.ne"),
  /** Towards 0. */
  trunc_f64_s: unary(doubles, "i32.trunc_sat_f64_s"),
  load:
    (address: I32Source, offset = 0): Expression =>
    (f) => {
      pushI32(f, address);
      f.op("i32.load", { offset });
    },
} as const;

/** A number in double precision. */
export const f64 = {
  of:
    (value: number): Expression =>
    (f) =>
      f.f64(value),
  add: binary(doubles, "f64.add"),
  sub: binary(doubles, "f64.sub"),
  mul: binary(doubles, "f64.mul"),
  div: binary(doubles, "f64.div"),
  min: binary(doubles, "f64.min"),
  max: binary(doubles, "f64.max"),
  abs: unary(doubles, "f64.abs"),
  sqrt: unary(doubles, "f64.sqrt"),
  floor: unary(doubles, "f64.floor"),
  ceil: unary(doubles, "f64.ceil"),
  trunc: unary(doubles, "f64.trunc"),
  /** Halves to even. */
  nearest: unary(doubles, "f64.nearest"),
  copysign: binary(doubles, "f64.copysign"),
  neg: unary(doubles, "f64.neg"),
  gt: binary(doubles, "f64.gt"),
  lt: binary(doubles, "f64.lt"),
  ge: binary(doubles, "f64.ge"),
  eq: binary(doubles, "f64.eq"),
  ne: binary(doubles, "f64.ne"),
  convert_i32_s: unary(pushI32, "f64.convert_i32_s"),
  /** Rounded to a float. */
  fround:
    (a: Operand): Expression =>
    (f) => {
      doubles(f, a);
      f.op("f32.demote_f64");
      f.op("f64.promote_f32");
    },
  /** A float in memory. */
  loadFloat:
    (at: I32Source, offset = 0): Expression =>
    (f) => {
      pushI32(f, at);
      f.op("f32.load", { offset });
      f.op("f64.promote_f32");
    },
  load:
    (at: I32Source, offset = 0): Expression =>
    (f) => {
      pushI32(f, at);
      f.op("f64.load", { offset });
    },
} as const;

/** base + index·bytes */
export const address = (base: I32Source, index: I32Source, bytes: number): Expression =>
  i32.add(base, i32.mul(index, bytes));

const vectorLoad =
  (
    name:
      | "v128.load"
      | "v128.load32_splat"
      | "v128.load32_zero"
      | "v128.load64_zero"
      | "v128.load8x8_s"
      | "v128.load8x8_u",
  ) =>
  (at: I32Source, offset = 0, align?: number): Expression =>
  (f) => {
    pushI32(f, at);
    f.op(name, { offset, align });
  };

/** Vectors of any type; `align` is log2 of bytes, where an address is known to be less aligned than usual. */
export const v128 = {
  load: vectorLoad("v128.load"),
  /** A word in every lane. */
  load32_splat: vectorLoad("v128.load32_splat"),
  /** A word in the first lane, zeros in the others. */
  load32_zero: vectorLoad("v128.load32_zero"),
  /** Two words, and zeros. */
  load64_zero: vectorLoad("v128.load64_zero"),
  /** Eight bytes, each widened to 16 bits. */
  load8x8_s: vectorLoad("v128.load8x8_s"),
  load8x8_u: vectorLoad("v128.load8x8_u"),
  and: binary(words, "v128.and"),
  or: binary(words, "v128.or"),
  /** Whether any bit is set. */
  any_true: unary(words, "v128.any_true"),
} as const;

/** local = value; a number is an i32. */
export function set(f: Func, local: Local, value: I32Source): void {
  pushI32(f, value);
  f.set(local);
}

/** local = value, and the value. */
export function tee(local: Local, value: I32Source): Expression {
  return (f) => {
    pushI32(f, value);
    f.tee(local);
  };
}

/** Stores a vector. */
export function store(f: Func, address: I32Source, value: I32Source, offset = 0): void {
  pushI32(f, address);
  pushI32(f, value);
  f.op("v128.store", { offset });
}

/** condition ? a : b, all three being worked out. */
export function select(a: I32Source, b: I32Source, condition: I32Source): Expression {
  return (f) => {
    pushI32(f, a);
    pushI32(f, b);
    pushI32(f, condition);
    f.select();
  };
}
