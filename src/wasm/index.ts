/** The WebAssembly assembler: opcode table, stack-checked function bodies, module encoder, feature probes. */
export { type Features, features, probeDot, probeMadd } from "./features.ts";
export { Func } from "./function.ts";
export { addTo, forRange, pushAddress, pushI32, whileLoop } from "./helpers.ts";
export { customSection, Module } from "./module.ts";
export type { ValueType } from "./opcodes.ts";
export { probeBytes } from "./probe.ts";
export type { FuncRef, GlobalRef, Local } from "./types.ts";
