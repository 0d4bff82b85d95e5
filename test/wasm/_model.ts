/** What instructions should do, in plain JavaScript: lanes of whole numbers as BigInt, of floats as numbers. */
import type { Value } from "./_evaluate.ts";

type IntOp = (a: bigint, b: bigint, bits: number) => bigint;
const signed = (a: bigint, bits: number): bigint => BigInt.asIntN(bits, a);
const clamp = (x: bigint, low: bigint, high: bigint): bigint => (x < low ? low : x > high ? high : x);
const clampSigned = (x: bigint, bits: number): bigint =>
  clamp(x, -(1n << BigInt(bits - 1)), (1n << BigInt(bits - 1)) - 1n);
const clampUnsigned = (x: bigint, bits: number): bigint => clamp(x, 0n, (1n << BigInt(bits)) - 1n);
const ones = (a: bigint): number => [...a.toString(2)].filter((c) => c === "1").length;
const shift = (b: bigint, bits: number): bigint => b % BigInt(bits);
const rotate = (a: bigint, by: bigint, bits: number): bigint => (a << by) | (a >> (BigInt(bits) - by));

/** On unsigned lanes; the result is wrapped to the lane. */
const intOps: Record<string, IntOp> = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  div_u: (a, b) => a / b,
  div_s: (a, b, n) => signed(a, n) / signed(b, n),
  rem_u: (a, b) => a % b,
  rem_s: (a, b, n) => signed(a, n) % signed(b, n),
  and: (a, b) => a & b,
  or: (a, b) => a | b,
  xor: (a, b) => a ^ b,
  andnot: (a, b) => a & ~b,
  not: (a) => ~a,
  neg: (a) => -a,
  abs: (a, _, n) => (signed(a, n) < 0n ? -a : a),
  shl: (a, b, n) => a << shift(b, n),
  shr_u: (a, b, n) => a >> shift(b, n),
  shr_s: (a, b, n) => signed(a, n) >> shift(b, n),
  rotl: (a, b, n) => rotate(a, shift(b, n), n),
  rotr: (a, b, n) => rotate(a, BigInt(n) - shift(b, n), n),
  clz: (a, _, n) => BigInt(n - (a === 0n ? 0 : a.toString(2).length)),
  ctz: (a, _, n) => BigInt(a === 0n ? n : a.toString(2).length - 1 - a.toString(2).lastIndexOf("1")),
  popcnt: (a) => BigInt(ones(a)),
  min_u: (a, b) => (a - b < 0n ? a : b),
  max_u: (a, b) => (a - b > 0n ? a : b),
  min_s: (a, b, n) => (signed(a, n) < signed(b, n) ? a : b),
  max_s: (a, b, n) => (signed(a, n) > signed(b, n) ? a : b),
  add_sat_u: (a, b, n) => clampUnsigned(a + b, n),
  sub_sat_u: (a, b, n) => clampUnsigned(a - b, n),
  add_sat_s: (a, b, n) => clampSigned(signed(a, n) + signed(b, n), n),
  sub_sat_s: (a, b, n) => clampSigned(signed(a, n) - signed(b, n), n),
  avgr_u: (a, b) => (a + b + 1n) >> 1n,
  q15mulr_sat_s: (a, b, n) => clampSigned((signed(a, n) * signed(b, n) + 0x4000n) >> 15n, n),
  extend8_s: (a) => signed(a & 0xffn, 8),
  extend16_s: (a) => signed(a & 0xffffn, 16),
  extend32_s: (a) => signed(a & 0xffffffffn, 32),
};
const intCompare: Record<string, (a: bigint, b: bigint, bits: number) => boolean> = {
  eqz: (a) => a === 0n,
  eq: (a, b) => a === b,
  ne: (a, b) => a !== b,
  lt_u: (a, b) => a < b,
  gt_u: (a, b) => a > b,
  le_u: (a, b) => a <= b,
  ge_u: (a, b) => a >= b,
  lt_s: (a, b, n) => signed(a, n) < signed(b, n),
  gt_s: (a, b, n) => signed(a, n) > signed(b, n),
  le_s: (a, b, n) => signed(a, n) <= signed(b, n),
  ge_s: (a, b, n) => signed(a, n) >= signed(b, n),
};
const even = (x: number): number => {
  const floor = Math.floor(x);
  return x - floor === 0.5 ? 2 * Math.round(floor / 2) : Math.round(x);
};
const floatOps: Record<string, (a: number, b: number) => number> = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  div: (a, b) => a / b,
  min: Math.min,
  max: Math.max,
  pmin: (a, b) => (b - a < 0 ? b : a),
  pmax: (a, b) => (a - b < 0 ? b : a),
  relaxed_min: Math.min,
  relaxed_max: Math.max,
  copysign: (a, b) => (Object.is(Math.sign(b), -0) || b < 0 ? -Math.abs(a) : Math.abs(a)),
  abs: Math.abs,
  neg: (a) => -a,
  ceil: Math.ceil,
  floor: Math.floor,
  trunc: Math.trunc,
  nearest: even,
  sqrt: Math.sqrt,
};
const floatCompare: Record<string, (a: number, b: number) => boolean> = {
  eq: (a, b) => a === b,
  ne: (a, b) => a !== b,
  lt: (a, b) => a < b,
  gt: (a, b) => a > b,
  le: (a, b) => a <= b,
  ge: (a, b) => a >= b,
};

/** Unsigned lanes of `bits` bits, lane 0 first. */
export function lanesOf(bytes: Uint8Array, bits: number): bigint[] {
  return Array.from({ length: 128 / bits }, (_, i) => {
    const part = bytes.slice((i * bits) / 8, ((i + 1) * bits) / 8);
    return part.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
  });
}
export function fromLanes(lanes: readonly bigint[], bits: number): Uint8Array {
  const bytes = new Uint8Array(16);
  lanes.forEach((lane, i) => {
    for (let k = 0; k < bits / 8; k++) bytes[(i * bits) / 8 + k] = Number((lane >> BigInt(8 * k)) & 0xffn);
  });
  return bytes;
}

function floatLanes(bytes: Uint8Array, bits: number): number[] {
  const { buffer } = bytes.slice();
  return [...(bits === 32 ? new Float32Array(buffer) : new Float64Array(buffer))];
}
function fromFloats(lanes: readonly number[], bits: number): Uint8Array {
  return new Uint8Array((bits === 32 ? Float32Array.from(lanes) : Float64Array.from(lanes)).buffer);
}

function scalarInt(op: string, bits: number, [a, b = 0]: readonly Value[]): Value | undefined {
  const wrap = (x: Value): bigint => BigInt.asUintN(bits, BigInt(x as number | bigint));
  if (intCompare[op]) return Number(intCompare[op](wrap(a), wrap(b), bits));
  const result = intOps[op] && BigInt.asIntN(bits, intOps[op](wrap(a), wrap(b), bits));
  return bits === 32 && result !== undefined ? Number(result) : result;
}

function vectorInt(op: string, bits: number, [a, b]: readonly Value[]): Value | undefined {
  const x = lanesOf(a as Uint8Array, bits);
  if (op === "all_true") return Number(x.every((lane) => lane !== 0n));
  if (op === "bitmask") return x.reduce((mask, lane, i) => mask | (Number(lane >> BigInt(bits - 1)) << i), 0);
  const y = typeof b === "number" ? x.map(() => BigInt(b)) : b ? lanesOf(b as Uint8Array, bits) : x;
  if (intCompare[op])
    return fromLanes(
      x.map((lane, i) => (intCompare[op](lane, y[i], bits) ? -1n : 0n)),
      bits,
    );
  return (
    intOps[op] &&
    fromLanes(
      x.map((lane, i) => intOps[op](lane, y[i], bits)),
      bits,
    )
  );
}

function scalarFloat(op: string, bits: number, [a, b]: readonly number[]): Value | undefined {
  if (floatCompare[op]) return Number(floatCompare[op](a, b));
  const result = floatOps[op]?.(a, b);
  return bits === 32 && result !== undefined ? Math.fround(result) : result;
}

function vectorFloat(op: string, bits: number, [a, b = a]: readonly Uint8Array[]): Value | undefined {
  const [x, y] = [floatLanes(a, bits), floatLanes(b, bits)];
  if (floatCompare[op]) {
    return fromLanes(
      x.map((lane, i) => (floatCompare[op](lane, y[i]) ? -1n : 0n)),
      bits,
    );
  }
  return (
    floatOps[op] &&
    fromFloats(
      x.map((lane, i) => floatOps[op](lane, y[i])),
      bits,
    )
  );
}

/** The result of a lane-wise instruction, or undefined where this model does not know it. */
export function model(name: string, operands: readonly Value[]): Value | undefined {
  const [type, op] = name.split(".");
  if (type === "v128") return vectorInt(op, 64, operands);
  const match = /^([if])(\d+)(x\d+)?$/.exec(type);
  if (!match) return undefined;
  const bits = Number(match[2]);
  if (match[1] === "i") return match[3] ? vectorInt(op, bits, operands) : scalarInt(op, bits, operands);
  return match[3]
    ? vectorFloat(op, bits, operands as Uint8Array[])
    : scalarFloat(op, bits, operands as number[]);
}
