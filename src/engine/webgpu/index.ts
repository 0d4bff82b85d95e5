/** The WebGPU backend: a network becomes one command buffer (docs/engine.md). What computes is loaded when it is first used. */
import { UnsupportedError } from "../../base/errors.ts";
import type { Backend } from "../backend.ts";
import { findAdapter, isSoftware, nameOf, noAdapter } from "./adapter.ts";

export const webgpu = {
  name: "webgpu",
  available: async () => (await findAdapter()) !== undefined,
  prepare: async () => {
    if (!(await findAdapter())) throw new UnsupportedError(noAdapter);
  },
  fallsBack: true,
  slowBecause: async () => {
    const adapter = await findAdapter();
    return adapter && isSoftware(adapter)
      ? `the only WebGPU adapter (${nameOf(adapter)}) computes on the processor`
      : undefined;
  },
  compile: async (graph, shapes, outputs, options, source) => {
    const { compile } = await import("./compile.ts");
    return compile(graph, shapes, outputs, options, source);
  },
} as const satisfies Backend;
