/** What this browser can do, found out once. */

export interface Capabilities {
  readonly camera: boolean;
  /** Shared memory, and so threads, are allowed: the host sent (or the service worker added) isolation headers. */
  readonly isolated: boolean;
  /** Logical processors. */
  readonly cores: number;
  /** What the page cannot do without and this browser lacks, in words; empty when all is well. */
  readonly missing: readonly string[];
}

/** `i8x16.popcnt (i8x16.splat (i32.const 0))`: valid only where WebAssembly has 128-bit SIMD. */
const simdModule = Uint8Array.of(
  ...[0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0],
  ...[10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11],
);

function findMissing(): string[] {
  const missing: string[] = [];
  if (typeof WebAssembly !== "object") missing.push("WebAssembly");
  else if (!WebAssembly.validate(simdModule)) missing.push("WebAssembly SIMD");
  if (typeof Worker !== "function") missing.push("workers");
  if (typeof OffscreenCanvas !== "function") missing.push("OffscreenCanvas");
  if (typeof createImageBitmap !== "function") missing.push("createImageBitmap");
  return missing;
}

export const capabilities: Capabilities = Object.freeze({
  camera: typeof navigator.mediaDevices?.getUserMedia === "function",
  isolated: globalThis.crossOriginIsolated === true,
  cores: navigator.hardwareConcurrency || 1,
  missing: findMissing(),
});

/** More threads than this rarely pay on phones, whose other cores are slow. */
const usefulThreads = 4;

/** Numbers of threads to offer, and the one to begin with. */
export function threadChoices(): { choices: number[]; initial: number } {
  const most = capabilities.isolated ? Math.min(capabilities.cores, 8) : 1;
  const choices = Array.from({ length: most }, (_, i) => i + 1);
  return { choices, initial: Math.min(most, usefulThreads) };
}
