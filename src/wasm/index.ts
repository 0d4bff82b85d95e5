/** The WebAssembly assembler: opcode table, stack-checked function bodies, module encoder, feature probes. */
export {
  address,
  type Expression,
  f32x4,
  i8x16,
  i16x8,
  i32,
  i32x4,
  type Operand,
  select,
  set,
  store,
  tee,
  v128,
} from "./expressions.ts";
export { type Features, features, probeDot, probeMadd } from "./features.ts";
export { Func } from "./function.ts";
export { addTo, forRange, pushAddress, whileLoop } from "./helpers.ts";
export { Module } from "./module.ts";
export type { ValueType } from "./opcodes.ts";
export type { FuncRef, Local } from "./types.ts";
