/**
 * WebGPU in tests: through the package `webgpu`, on Chromium's software adapter where there is no other. `NCNNKIT_TEST_WEBGPU=1 npx vitest run
 * test/engine` runs the whole operator suite on it too (an hour on the software adapter); `webgpu.test.ts` a part of it always.
 */
import { existsSync } from "node:fs";
import { expect } from "vitest";
import { createSession, type SessionOptions } from "../../src/engine/session.ts";
import { findAdapter } from "../../src/engine/webgpu/adapter.ts";
import { acquireDevice } from "../../src/engine/webgpu/device.ts";
import type { Graph } from "../../src/ir/graph.ts";
import type { Tensor } from "../../src/ir/tensor.ts";
import { provideNodeGpu } from "../../src/node/gpu.ts";

const software = "/usr/lib/chromium/vk_swiftshader_icd.json";
if (!process.env.VK_DRIVER_FILES && existsSync(software)) process.env.VK_DRIVER_FILES = software;
provideNodeGpu();

export const hasGpu = (await findAdapter()) !== undefined;
if (!hasGpu) console.warn("no WebGPU adapter: tests of the webgpu backend are skipped");

/** Whether the whole operator suite runs on it. */
export const onGpu = hasGpu && process.env.NCNNKIT_TEST_WEBGPU === "1";

// Kept open, so that pipelines outlast the networks of single tests.
if (hasGpu) await acquireDevice();

export async function runOnGpu(
  graph: Graph,
  inputs: Record<string, Tensor>,
  outputs: readonly string[] = graph.outputs,
  options: SessionOptions = {},
): Promise<Record<string, Tensor>> {
  const session = await createSession(graph, { ...options, backend: "webgpu" });
  expect(session.fallback).toBeUndefined();
  try {
    const first = await session.run(inputs, outputs);
    const second = await session.run(inputs, outputs);
    for (const blob of outputs) expect(second[blob], `run 2, ${blob}`).toEqual(first[blob]);
    return first;
  } finally {
    session.close();
  }
}

/** |found − expected| over the largest number expected; integers have to be equal. */
export function expectLike(found: Tensor, expected: Tensor, what: string, tolerance = 1e-4): void {
  expect(found.shape, what).toEqual(expected.shape);
  expect(found.data.constructor, what).toBe(expected.data.constructor);
  let most = 1e-3;
  for (const x of expected.data) if (Math.abs(x) < 1e30) most = Math.max(most, Math.abs(x));
  const allowed = expected.data instanceof Int8Array ? 0 : tolerance * most;
  for (const [i, x] of expected.data.entries()) {
    if (Object.is(x, found.data[i]) || Math.abs(x) >= 1e30 || Number.isNaN(x)) continue;
    const error = Math.abs(x - found.data[i]);
    if (!(error <= allowed)) {
      expect.fail(`${what}: element ${i} is ${found.data[i]} for ${x}, more than ${allowed} away`);
    }
  }
}
