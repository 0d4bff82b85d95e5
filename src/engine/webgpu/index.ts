/** The WebGPU backend: a network becomes one command buffer (docs/engine.md). What computes is loaded when it is first used. */
import { UnsupportedError } from "../../base/errors.ts";
import type { Backend } from "../backend.ts";
import { findAdapter, noAdapter } from "./adapter.ts";

export const webgpu = {
  name: "webgpu",
  available: async () => (await findAdapter()) !== undefined,
  prepare: async () => {
    if (!(await findAdapter())) throw new UnsupportedError(noAdapter);
  },
  fallsBack: true,
  compile: async (graph, shapes, outputs, options, source) => {
    const { compile } = await import("./compile.ts");
    return compile(graph, shapes, outputs, options, source);
  },
} as const satisfies Backend;
