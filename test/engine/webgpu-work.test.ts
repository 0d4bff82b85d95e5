/** Work of the webgpu backend, counted from plans with the tiles of hardware: no adapter is needed. */
import { describe, expect, it } from "vitest";
import { makePlan } from "../../src/engine/webgpu/plan.ts";
import type { Work } from "../../src/engine/webgpu/records.ts";
import { chooseTile, extentsOf } from "../../src/engine/webgpu/tiles.ts";
import { readNcnn } from "../../src/formats/ncnn/index.ts";
import type { Graph } from "../../src/ir/graph.ts";
import type { Shape } from "../../src/ir/tensor.ts";
import type { Storage } from "../../src/kernels/webgpu/index.ts";
import { dataBytes, dataText, describeDataIf } from "../data.ts";
import { shuffleNet } from "./_layers.ts";
import { gpuNetworks } from "./gpu-networks.ts";
import { graphOf } from "./graph-of.ts";

function workOf(graph: Graph, shapes: Record<string, Shape>, storage: Storage = "f32"): Work {
  return makePlan(graph, shapes, graph.outputs, {
    target: { storage, fusedMadd: true, dot: true, subgroups: true, dearBarriers: false },
    tileFor: (step) => chooseTile(extentsOf(step), false),
  }).work;
}

describe("work on webgpu", () => {
  it("is what can be counted by hand", () => {
    const text = "Convolution a 1 1 x b 0=8 1=1 5=1\nConvolution c 1 1 b y 0=8 1=1 5=1";
    const shapes = { x: [4, 16, 16] };
    const whole = workOf(graphOf(text, shapes), shapes);
    const [plane, weights] = [256, (4 * 8 + 8 + 8 * 8 + 8) * 4];
    expect(whole).toMatchObject({
      // The input is brought into groups, the output out of them.
      ...{ steps: 4, dispatches: 4 },
      leastBytes: (4 + 8 + 8 + 8 + 8 + 8) * plane * 4 + weights,
      leastMacs: plane * (4 * 8 + 8 * 8),
      ...{ fetchedBytes: 8 * plane * 4, outputBytes: 8 * plane * 4 },
    });
    expect(whole.bytes).toBeGreaterThan((4 * 3 + 8 * 5) * plane * 4 + weights);
    const half = workOf(graphOf(text, shapes), shapes, "f16");
    expect(half.leastBytes * 2).toBe(whole.leastBytes + 16 * 4);
    expect([half.macs, half.fetchedBytes * 2]).toEqual([whole.macs, whole.fetchedBytes]);
  });

  it.each(gpuNetworks)("%s: a dispatch a step, and nothing else is read back", (_, text, shapes) => {
    const work = workOf(graphOf(text, shapes), shapes);
    expect(work.dispatches).toBeLessThanOrEqual(work.steps);
    expect(work.fetchedBytes).toBeLessThanOrEqual(work.outputBytes);
    expect(work.macs).toBeGreaterThanOrEqual(work.leastMacs);
  });

  it("of a ShuffleNet is little more than it needs", () => {
    const shapes = { x: [16, 32, 32] };
    const work = workOf(graphOf(shuffleNet(32, 4), shapes), shapes);
    expect(work.macs / work.leastMacs).toBeLessThan(1.5);
    expect(work.bytes / work.leastBytes).toBeLessThan(1.5);
  });
});

describeDataIf(true, "work of real networks on webgpu", () => {
  it.each([
    ["FastestDet", 352, 1.39, 1.2],
    ["yolov5ss", 320, 1.3, 1.15],
    ["yolov5ss", 640, 1.3, 1.15],
    ["yolov5ss-int8", 320, 1.3, 1.15],
  ])("%s at %d", (model, size, bytes, macs) => {
    const graph = readNcnn(dataText(`models/${model}.param`), dataBytes(`models/${model}.bin`));
    const work = workOf(graph, { [graph.inputs[0]]: [3, size, size] });
    expect(work.dispatches).toBeLessThanOrEqual(work.steps);
    expect(work.fetchedBytes).toBeLessThanOrEqual(work.outputBytes);
    expect(work.bytes / work.leastBytes).toBeLessThan(bytes);
    expect(work.macs / work.leastMacs).toBeLessThan(macs);
  });
});
