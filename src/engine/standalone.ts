/** The other door to the engine: networks that are written out instead of run. */

export { type CompiledSource, createCompiledSession } from "./compiled.ts";
export { layoutOf } from "./wasm/detect.ts";
export { makeStandalone, type StandaloneOptions } from "./wasm/standalone.ts";
export { type DotMode, fileTarget } from "./wasm/target.ts";
