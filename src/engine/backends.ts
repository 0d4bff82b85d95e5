/** The backends, the default first. What one does not run, `reference` does. */
import type { Backend } from "./backend.ts";
import { reference } from "./reference/index.ts";
import { wasm } from "./wasm/index.ts";
import { webgpu } from "./webgpu/index.ts";

export const backends = [wasm, webgpu, reference] as const satisfies readonly Backend[];

/** The name of what computes. */
export type BackendName = (typeof backends)[number]["name"];

/** Names of the backends, the default first. */
export const backendNames: readonly BackendName[] = backends.map(({ name }) => name);
