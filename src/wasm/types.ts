/** What functions, globals and tables are called by while a module is built, and how their types are written. */
import type { ByteWriter } from "../base/bytes.ts";
import { writeSigned, writeSigned64, writeUnsigned } from "./leb128.ts";
import { control, opcodes, type ValueType } from "./opcodes.ts";

export interface FuncType {
  readonly params: readonly ValueType[];
  readonly results: readonly ValueType[];
}

/** Parameter names and types, in order. */
export type Params = Readonly<Record<string, ValueType>>;

export interface Signature<P extends Params = Params> {
  readonly params: P;
  readonly results: readonly ValueType[];
  /** Exported under the function's name. */
  readonly export?: boolean;
}

/** A function that can be called; its body may follow later. */
export interface FuncRef<P extends Params = Params> {
  readonly module: object;
  readonly name: string;
  readonly index: number;
  readonly params: P;
  readonly type: FuncType;
}

export interface GlobalRef {
  readonly module: object;
  readonly index: number;
  readonly type: ValueType;
  readonly mutable: boolean;
}

export interface TableRef {
  readonly module: object;
  readonly index: number;
}

/** A parameter or variable of one function. */
export interface Local {
  readonly owner: object;
  readonly index: number;
  readonly type: ValueType;
  readonly name: string;
}

export const typeBytes: Readonly<Record<ValueType, number>> = {
  i32: 0x7f,
  i64: 0x7e,
  f32: 0x7d,
  f64: 0x7c,
  v128: 0x7b,
};

export function writeTypes(out: ByteWriter, types: readonly ValueType[]): void {
  writeUnsigned(out, types.length);
  for (const type of types) out.u8(typeBytes[type]);
}

const scratch = new DataView(new ArrayBuffer(8));
const scratchBytes = new Uint8Array(scratch.buffer);

/**
 * The value of a constant as it stands after the opcode: number for i32 (signed or unsigned), f32 and f64, bigint for i64,
 * 16 bytes for v128.
 */
export function writeConstant(out: ByteWriter, type: ValueType, value: number | bigint | Uint8Array): void {
  if (type === "i32" && typeof value === "number") {
    writeSigned(out, value > 0x7fffffff && value <= 0xffffffff ? value - 2 ** 32 : value);
  } else if (type === "i64" && typeof value === "bigint") {
    writeSigned64(out, value >= 2n ** 63n && value < 2n ** 64n ? value - 2n ** 64n : value);
  } else if (type === "f32" && typeof value === "number") {
    out.f32(value);
  } else if (type === "f64" && typeof value === "number") {
    scratch.setFloat64(0, value, true);
    out.raw(scratchBytes);
  } else if (type === "v128" && value instanceof Uint8Array && value.length === 16) {
    out.raw(value);
  } else {
    throw new Error(`${String(value)} is not a constant of type ${type}`);
  }
}

/** `T.const value; end`, as globals and element segments begin. */
export function writeConstantExpression(
  out: ByteWriter,
  type: ValueType,
  value: number | bigint | Uint8Array,
): void {
  const code = opcodes[`${type}.const`][0];
  if (code > 0xff) {
    out.u8(code >> 12);
    writeUnsigned(out, code & 0xfff);
  } else out.u8(code);
  writeConstant(out, type, value);
  out.u8(control.end);
}
