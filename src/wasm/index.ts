/** The WebAssembly assembler: opcode table, stack-checked function bodies, module encoder, feature probes. */
export type { Label } from "./_stack.ts";
export { type DotMode, type Features, features, type MaddMode, probeDot, probeMadd } from "./features.ts";
export { Func } from "./function.ts";
export { addTo, forRange, type I32Source, pushAddress, pushI32, whileLoop } from "./helpers.ts";
export { type GlobalOptions, type MemoryLimits, Module } from "./module.ts";
export type { MemoryAt, NumberType, OpName, ValueType } from "./opcodes.ts";
export type { FuncRef, FuncType, GlobalRef, Local, Params, Signature, TableRef } from "./types.ts";
