/** The wasm backend: a network becomes one WebAssembly module (docs/engine.md). */
import { UnsupportedError } from "../../base/errors.ts";
import { features } from "../../wasm/index.ts";
import type { Backend } from "../backend.ts";
import { describePlan, profileProgram } from "./profile.ts";
import { Program } from "./program.ts";
import { detectTarget, enableWideVectors } from "./target.ts";

export const wasm = {
  name: "wasm",
  available: () => features().simd,
  prepare: ({ wideVectors }) => {
    if (!features().simd) {
      throw new UnsupportedError(
        "this runtime has no WebAssembly SIMD (Node 16.4, Chrome 91, Firefox 89, Safari 16.4 and newer do); use the reference backend",
      );
    }
    if (wideVectors && !enableWideVectors()) {
      throw new UnsupportedError("wideVectors: only Node 24 and newer has the switch for it");
    }
  },
  compile: async (graph, shapes, outputs, { threads = 1, modules }, source) => {
    const program = await Program.make(graph, shapes, outputs, detectTarget(threads), source, modules);
    return {
      run: (inputs, lent) => program.run(inputs, lent),
      ...(source && { look: (pixels, read) => read(program.look(pixels)) }),
      profile: (inputs, loops) => profileProgram(program, inputs, loops),
      plan: () => describePlan(program.plan),
      memoryBytes: program.memory.buffer.byteLength,
      close: () => program.close(),
    };
  },
} as const satisfies Backend;
