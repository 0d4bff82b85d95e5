/**
 * Random int8 networks: steps of every kind in front of int8 layers, on blobs with several readers, in any order. What a planner
 * can get wrong between layers (representations, orders of channels, scales, zero points, borders, reuse of memory) shows here as
 * a difference from the reference kernels, which are told nothing of all that. `NCNNKIT_FUZZ=1000` runs more of them.
 *
 * Some float kernels only come close to the reference (Softmax, means). Their blobs are compared with a tolerance, and the
 * reference goes on from the engine's numbers, so that everything behind them is compared bit for bit.
 */
import { describe, expect, it } from "vitest";
import { lower } from "../../src/engine/lower/index.ts";
import { runReference } from "../../src/engine/reference/index.ts";
import type { Step } from "../../src/engine/steps.ts";
import { makePlan } from "../../src/engine/wasm/plan.ts";
import type { Graph } from "../../src/ir/graph.ts";
import type { Shape } from "../../src/ir/tensor.ts";
import {
  expectClose,
  expectEqual,
  graphOf,
  int8Machines,
  largest,
  randomInputs,
  runEngine,
} from "./harness.ts";
import { Network } from "./random-network.ts";

/** Kinds of steps that were drawn, and those of which one was seen to write what an int8 reader wants. */
const drawn = new Set<Step["kind"]>();
const inFront = new Set<Step["kind"]>();

function count(graph: Graph, shapes: Record<string, Shape>): void {
  const { steps } = lower(graph, shapes, graph.outputs);
  for (const { kind } of steps) drawn.add(kind);
  for (const { dtype, first } of makePlan(graph, shapes, graph.outputs, int8Machines[0][1]).buffers) {
    if (dtype === "i8" && first >= 0) inFront.add(steps[first].kind);
  }
}

async function check(seed: number): Promise<void> {
  const { lines, blobs, close } = new Network(seed);
  const [{ name, channels, height, width }] = blobs;
  const shapes = { [name]: [channels, height, width] };
  const graph = graphOf(lines.join("\n"), shapes, { seed });
  const inputs = randomInputs(shapes, seed);
  count(graph, shapes);
  for (const [machine, target] of int8Machines) {
    const all = await runEngine(graph, inputs, target, [...new Set([...graph.outputs, ...close])]);
    const expected = runReference(graph, inputs, graph.outputs, (blob, value) => {
      if (!close.includes(blob)) return;
      const found = all.outputs[blob];
      const size = Math.max(1, largest(value));
      expectClose(found, value, () => 2e-5 * size, `${machine}, ${blob}`);
      value.data.set(found.data);
    });
    const { outputs } = await runEngine(graph, inputs, target);
    for (const blob of graph.outputs) {
      expectEqual(outputs[blob], expected[blob], `${machine}, ${blob}`);
      expectEqual(all.outputs[blob], expected[blob], `${machine}, ${blob}, all asked for`);
    }
  }
}

/** Every kind, and whether an int8 layer can be the one that reads it; the compiler says when one is missing here. */
const kinds: Record<Step["kind"], boolean> = {
  convolution: true,
  depthwise: true,
  pooling: true,
  elementwise: true,
  resize: true,
  gather: true,
  import: true,
  copy: true,
  join: true,
  softmax: true,
  layerNorm: true,
  lrn: true,
  // Always has a linear layer behind it, in float32.
  attention: false,
  reference: true,
};

describe("random int8 networks", () => {
  const networks = Number(process.env.NCNNKIT_FUZZ ?? 60);
  it.each(Array.from({ length: networks }, (_, i) => i + 1))("number %d", check);

  it.skipIf(networks < 60)("had steps of every kind in front of int8 layers", () => {
    const all = Object.keys(kinds) as Step["kind"][];
    expect(all.filter((kind) => !drawn.has(kind))).toEqual([]);
    expect(all.filter((kind) => kinds[kind] !== inFront.has(kind))).toEqual([]);
  });
});
