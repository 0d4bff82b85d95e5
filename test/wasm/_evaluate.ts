/** Runs one instruction of the table on constants. */
import { features, Module } from "../../src/wasm/index.ts";
import {
  type Immediate,
  type Instruction,
  instruction,
  type OpName,
  type ValueType,
} from "../../src/wasm/opcodes.ts";

export type Value = number | bigint | Uint8Array;

export const { relaxedSimd } = features();
export const isRelaxed = (name: string): boolean => name.includes("relaxed_");

export const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
export const memoryBytes = new Uint8Array(memory.buffer);
/** Vector results are passed through memory, out of the way of loads and stores. */
const resultAt = 4096;

export const defaults: Readonly<Record<ValueType, Value>> = {
  i32: 64,
  i64: 0x0102030405060708n,
  f32: 1.5,
  f64: 2.5,
  v128: Uint8Array.from({ length: 16 }, (_, i) => i * 17 + 3),
};

/** An immediate that the row accepts. */
export function defaultImmediate(row: Instruction): Immediate | undefined {
  const immediate: { -readonly [K in keyof Immediate]: Immediate[K] } = {};
  if (row.accessLog2 >= 0) immediate.offset = 16;
  if (row.laneCount) immediate.lane = row.laneCount - 1;
  if (row.shuffle) immediate.lanes = Array.from({ length: 16 }, (_, i) => 31 - 2 * i + (i % 2));
  if (row.constant) immediate.value = defaults[row.constant];
  return immediate;
}

/** The result of an instruction, undefined where it has none; scalars as JavaScript gets them (i32 and i64 signed). */
export function evaluate(name: string, operands: readonly Value[], immediate?: Immediate): Value | undefined {
  const row = instruction(name as OpName)!;
  const m = new Module();
  m.importMemory("env", "memory", { min: 1, max: 1, shared: true });
  const vector = row.results[0] === "v128";
  m.func("run", { params: {}, results: vector ? [] : row.results, export: true }, (f) => {
    const op = f.op.bind(f) as (name: string, immediate?: Immediate) => void;
    if (vector) f.i32(resultAt);
    row.operands.forEach((type, i) => {
      op(`${type}.const`, { value: operands[i] });
    });
    op(name, immediate ?? defaultImmediate(row));
    if (vector) f.op("v128.store");
  });
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(m.encode()), { env: { memory } });
  const result = (exports.run as () => Value | undefined)();
  return vector ? memoryBytes.slice(resultAt, resultAt + 16) : result;
}
