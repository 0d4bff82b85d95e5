/** The machine that is planned for. */
import type { DotKind, Target } from "../../kernels/wasm/index.ts";
import { type Features, features } from "../../wasm/index.ts";

/** How int8 dot products are done here; see `src/wasm/features.ts` for the behaviours. */
export type DotMode = "signed" | "unsigned" | "i7" | "i16";

export interface PlanTarget extends Target {
  readonly dot: DotMode;
  /** i7: the largest input for which sums of pairs may be used, see `chain` of the convolution kernel; 0: none. */
  readonly pairTop: number;
  readonly threads: number;
  /** Kernels read constant vectors from memory: V8 from 13 on builds each anew wherever it comes up. */
  readonly constantsInMemory: boolean;
  /** V8 is going to join instructions on vectors that lie side by side. */
  readonly wide: boolean;
  /** Little code and few constants, for files: what makes them larger and int8 layers faster is left out. */
  readonly compact?: boolean;
  /** Vectors become plain numbers (`wasm/_scalar.ts`). */
  readonly scalar?: boolean;
  /** Accumulator tiles of convolutions: pixels × vectors of four channels. */
  readonly tiles: Readonly<Record<DotKind, { readonly pixels: number; readonly vectors: number }>>;
}

/** Whether code is made for V8 to join. V8's switch is one for the whole process, and so is this. */
let areWide = false;

/**
 * Asks V8 to join pairs of 128-bit instructions into 256-bit ones (AVX2) in all modules compiled from now on in this process, and
 * plans for that. Returns whether the runtime has such a switch (Node 24 and newer; browsers do not offer it).
 */
export function enableWideVectors(): boolean {
  const { process } = globalThis as { process?: { getBuiltinModule?: (name: string) => unknown } };
  const v8 = process?.getBuiltinModule?.("node:v8") as
    | { setFlagsFromString(flags: string): void }
    | undefined;
  // V8 11 (Node 20) does not know it.
  if (v8 === undefined || !isNewCompiler(false)) return false;
  v8.setFlagsFromString("--experimental-wasm-revectorize");
  areWide = true;
  return true;
}

/** Whether `enableWideVectors` has been called here; a worker thread has to call it for itself. */
export const wideVectorsEnabled = (): boolean => areWide;

/** Accumulators, and what feeds them, that just fit the 15 vector registers that V8 ≥ 13 has to give on x86. */
const tiles: PlanTarget["tiles"] = {
  f32: { pixels: 6, vectors: 2 },
  relaxed: { pixels: 6, vectors: 2 },
  pairs: { pixels: 4, vectors: 2 },
  i16: { pixels: 4, vectors: 2 },
};
/** For older V8, whose register allocator spills with these; measured on 11.3. */
const smallTiles: PlanTarget["tiles"] = {
  f32: { pixels: 4, vectors: 2 },
  relaxed: { pixels: 4, vectors: 2 },
  pairs: { pixels: 3, vectors: 2 },
  i16: { pixels: 2, vectors: 2 },
};
/** For joined vectors: four vectors of channels make two of twice the width. */
export const wideTiles: PlanTarget["tiles"] = {
  f32: { pixels: 6, vectors: 4 },
  relaxed: { pixels: 4, vectors: 4 },
  pairs: { pixels: 4, vectors: 4 },
  i16: { pixels: 4, vectors: 4 },
};

/** V8 from 13 on. Node says its V8 version; browsers that have relaxed SIMD are taken for new. */
function isNewCompiler(relaxedSimd: boolean): boolean {
  const { process } = globalThis as { process?: { versions?: { v8?: string } } };
  const v8 = process?.versions?.v8;
  return v8 === undefined ? relaxedSimd : Number.parseInt(v8, 10) >= 13;
}

/** The largest second operand for which the dot product of pairs is exact, where sums fit 16 bits. */
function pairTop(mode: Features["pairDot"]): number {
  if (mode === "none") return 0;
  return mode === "saturating" || mode === "unsigned" ? 255 : 127;
}

/** The target of a file: of one kind of machines, or with `i16` and without relaxed instructions of all. */
export function fileTarget(dot: DotMode, threads: number, scalar = false): PlanTarget {
  const one = { pixels: 1, vectors: 1 };
  if (scalar)
    return { ...fileTarget(dot, threads), scalar, tiles: { f32: one, relaxed: one, pairs: one, i16: one } };
  const relaxed = dot !== "i16";
  return {
    ...{ relaxed, fusedMadd: relaxed, signSelect: relaxed && dot !== "signed", dot, threads },
    ...{ pairTop: dot === "i7" ? 255 : 0, constantsInMemory: true, wide: false, compact: true, tiles },
  };
}

/** The target that suits this machine. */
export function detectTarget(threads = 1): PlanTarget {
  const found = features();
  const isNew = isNewCompiler(found.relaxedSimd);
  const dot = found.dot === "none" ? "i16" : found.dot === "saturating" ? "i7" : found.dot;
  return {
    relaxed: found.relaxedSimd,
    fusedMadd: found.madd === "fused",
    signSelect: found.signSelect,
    dot,
    threads,
    pairTop: pairTop(found.pairDot),
    constantsInMemory: isNew,
    wide: areWide,
    tiles: areWide ? wideTiles : isNew ? tiles : smallTiles,
  };
}
