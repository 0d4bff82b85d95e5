/** The self-test of the engine: it reaches every kind of kernel, and passes here. */
import { expect, test } from "vitest";
import { lower } from "../../src/engine/lower/index.ts";
import type { Step } from "../../src/engine/steps.ts";
import { kindOf } from "../../src/engine/wasm/steps/index.ts";
import { selfTest } from "../../src/open/self-test.ts";
import { kernelNetworks } from "../../src/zoo/kernels.ts";
import { synthesize } from "../../src/zoo/weights.ts";

/** Every kind of step; the compiler says when one is missing here. */
const kinds: Record<Step["kind"], true> = {
  ...{ convolution: true, depthwise: true, pooling: true, elementwise: true, resize: true, gather: true },
  ...{ import: true, copy: true, join: true, softmax: true, layerNorm: true, lrn: true, attention: true },
  reference: true,
};

test("its networks have every kind of step that has a kernel", () => {
  const found = new Set<string>();
  for (const { build } of kernelNetworks) {
    const graph = build();
    synthesize(graph);
    for (const { kind } of lower(graph, { data: [3, 13, 13] }, graph.outputs).steps) found.add(kind);
  }
  const wanted = (Object.keys(kinds) as Step["kind"][]).filter((kind) => kindOf({ kind }).emit);
  expect(wanted.filter((kind) => !found.has(kind))).toEqual([]);
});

test("it passes, and times products in float32 and int8", async () => {
  const { wrong, milliseconds } = await selfTest();
  expect(wrong).toBeUndefined();
  expect(milliseconds).toHaveLength(2);
  expect(milliseconds.every((ms) => ms > 0)).toBe(true);
});
