/** What the functions of most kernels have in common: parameters, and the pointers of their last part, the epilogue. */
import type { Func } from "../../wasm/index.ts";
import { type EpilogueSpec, epilogueGroupBytes } from "./_epilogue.ts";
import type { WalkPointer } from "./_walk.ts";
import type { StoreSpec } from "./spec.ts";

/** Parameters: the kernel's own, an address for each representation that it writes, and the range of its work. */
export function kernelParams(own: readonly string[], stores: readonly StoreSpec[]): Record<string, "i32"> {
  const names = [...own, ...stores.map((_, i) => `out${i}`), "begin", "end"];
  return Object.fromEntries(names.map((name) => [name, "i32"]));
}

/** Bytes of a vector of four channels. */
export function vectorBytes({ dtype }: StoreSpec): number {
  return dtype === "f32" ? 16 : 4;
}

/** Pointers of a walk to the epilogue's constants (parameter `constants`) and to all that it writes, in this order. */
export function epiloguePointers(f: Func, epilogue: EpilogueSpec): WalkPointer[] {
  return [
    { base: f.params.constants, pixelBytes: 0, rowBytes: 0, vectorBytes: epilogueGroupBytes(epilogue) },
    ...epilogue.stores.map((store, i) => ({
      base: f.params[`out${i}`],
      pixelBytes: store.pixelBytes,
      rowBytes: store.rowBytes,
      vectorBytes: vectorBytes(store),
    })),
  ];
}
