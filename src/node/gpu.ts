/** WebGPU in Node: the package `webgpu` (Dawn), which is optional. */
import { provideGpu } from "../steps.ts";

let found: Promise<GPU | undefined> | undefined;

async function dawn(): Promise<GPU | undefined> {
  try {
    const { create } = await import("webgpu");
    return create([]);
  } catch {
    return undefined;
  }
}

/** Lets the webgpu backend find it, when it is asked for. */
export function provideNodeGpu(): void {
  provideGpu(() => {
    found ??= dawn();
    return found;
  });
}
