/** The webgpu backend: every kind of step against the reference kernels, real networks, and what becomes of devices and memory. */
import { afterAll, describe, expect, it } from "vitest";
import { runReference } from "../../src/engine/reference/index.ts";
import { createSession } from "../../src/engine/session.ts";
import type { ConvolutionStep } from "../../src/engine/steps.ts";
import { Program as WasmProgram } from "../../src/engine/wasm/program.ts";
import { provideGpu } from "../../src/engine/webgpu/adapter.ts";
import { acquireDevice } from "../../src/engine/webgpu/device.ts";
import { makePlan } from "../../src/engine/webgpu/plan.ts";
import { Program } from "../../src/engine/webgpu/program.ts";
import { candidates, chooseTile, extentsOf } from "../../src/engine/webgpu/tiles.ts";
import { readNcnn } from "../../src/formats/ncnn/index.ts";
import type { Shape } from "../../src/ir/tensor.ts";
import type { Tile } from "../../src/kernels/webgpu/index.ts";
import { provideNodeGpu } from "../../src/node/gpu.ts";
import { dataBytes, dataText, describeDataIf, goldenPicture, readNpy } from "../data.ts";
import { shuffleNet } from "./_layers.ts";
import { expectLike, hasGpu, runOnGpu } from "./gpu.ts";
import { gpuNetworks } from "./gpu-networks.ts";
import { graphOf, randomInputs } from "./graph-of.ts";
import { floatMachines } from "./harness.ts";
import { Network } from "./random-network.ts";

async function planned(text: string, shapes: Record<string, Shape>) {
  const graph = graphOf(text, shapes);
  const device = await acquireDevice();
  const target = { ...device.probed, storage: "f32" } as const;
  const plan = makePlan(graph, shapes, graph.outputs, {
    target,
    tileFor: (step) => chooseTile(extentsOf(step), true),
  });
  return { device, plan, target };
}

describe.skipIf(!hasGpu)("webgpu", () => {
  it.each(gpuNetworks)("%s", async (_, text, shapes) => {
    const graph = graphOf(text, shapes);
    const inputs = randomInputs(shapes);
    const expected = runReference(graph, inputs);
    const found = await runOnGpu(graph, inputs);
    for (const blob of graph.outputs) expectLike(found[blob], expected[blob], blob);
    if (text.includes(" 8=")) return;
    const half = await runOnGpu(graph, inputs, graph.outputs, { precision: "float16" });
    for (const blob of graph.outputs) expectLike(half[blob], expected[blob], `${blob} in float16`, 1e-2);
  });

  it.each([1, 2, 3, 4, 5, 6])("random int8 network %d", async (seed) => {
    const { lines, blobs, close } = new Network(seed);
    const [{ name, channels, height, width }] = blobs;
    const shapes = { [name]: [channels, height, width] };
    const graph = graphOf(lines.join("\n"), shapes, { seed });
    const inputs = randomInputs(shapes, seed);
    const asked = [...new Set([...graph.outputs, ...close])];
    const found = await runOnGpu(graph, inputs, asked);
    // Behind kernels that only come close, the reference goes on from the numbers found.
    const expected = runReference(graph, inputs, asked, (blob, value) => {
      if (!close.includes(blob)) return;
      expectLike(found[blob], value, blob);
      value.data.set(found[blob].data);
    });
    for (const blob of asked) expectLike(found[blob], expected[blob], blob);
  });

  it.each(["Swish", "Mish", "TanH", "GELU 0=1", "HardSwish 0=0.1666667 1=0.5"])(
    "bytes behind %s are those of wasm without fused multiply-adds",
    async (layer) => {
      const [type, ...params] = layer.split(" ");
      const lines = [
        "Convolution a 1 1 x b 0=16 1=1 5=1 8=2",
        `${type} c 1 1 b d ${params.join(" ")}`.trim(),
        "Convolution e 1 1 d y 0=24 1=3 4=1 5=1 8=2",
      ];
      const shapes = { x: [8, 20, 20] };
      const graph = graphOf(lines.join("\n"), shapes);
      const inputs = randomInputs(shapes);
      const program = await WasmProgram.make(graph, shapes, ["y"], { ...floatMachines[0][1] });
      const expected = program.run(inputs);
      expect((await runOnGpu(graph, inputs, ["y"])).y).toEqual(expected.y);
      program.close();
    },
  );

  it("is one dispatch a step, and reads back the heads alone", async () => {
    const shapes = { x: [3, 32, 32] };
    const { device, plan, target } = await planned(shuffleNet(10, 4), shapes);
    const program = await Program.make(device, plan, target);
    expect(program.steps.filter(({ call }) => call).length).toBe(plan.steps.length);
    const { y } = await program.run(randomInputs(shapes));
    expect(program.fetchedBytes).toBe(y.data.byteLength);
    program.close();
    device.release();
  });

  it("overlapping runs do not disturb each other, with layers in JavaScript neither", async () => {
    for (const text of ["Convolution a 1 1 x y 0=4 1=3 4=1 5=1", "CumulativeSum a 1 1 x y 0=0"]) {
      const shapes = { x: [3, 6, 6] };
      const graph = graphOf(text, shapes);
      const session = await createSession(graph, { backend: "webgpu" });
      const inputs = [1, 2, 3].map((seed) => randomInputs(shapes, seed));
      const found = await Promise.all(inputs.map((one) => session.run(one)));
      found.forEach(({ y }, i) => void expectLike(y, runReference(graph, inputs[i]).y, `run ${i}`));
      session.close();
    }
  });

  it("a lost device is replaced for the next run", async () => {
    const shapes = { x: [3, 6, 6] };
    const graph = graphOf("Convolution a 1 1 x y 0=4 1=3 4=1 5=1", shapes);
    const session = await createSession(graph, { backend: "webgpu" });
    const inputs = randomInputs(shapes);
    const { y } = await session.run(inputs);
    const device = await acquireDevice();
    device.gpu.destroy();
    await device.gpu.lost;
    await Promise.resolve();
    expect((await session.run(inputs)).y).toEqual(y);
    session.close();
    await acquireDevice();
  });

  it("a run that the device is lost under fails with the reason", async () => {
    const shapes = { x: [3, 6, 6] };
    const { device, plan, target } = await planned("Convolution a 1 1 x y 0=4 1=3 4=1 5=1", shapes);
    const program = await Program.make(device, plan, target);
    const running = program.run(randomInputs(shapes));
    device.gpu.destroy();
    await expect(running).rejects.toThrow(
      /^inference stopped: the GPU \(.*\) is gone: .*; run again for a new device$/,
    );
    program.close();
    await acquireDevice();
  });

  it("two models share a device, which goes with the last", async () => {
    const shapes = { x: [3, 6, 6] };
    const texts = ["Convolution a 1 1 x y 0=4 1=3 4=1 5=1", "Convolution a 1 1 x y 0=7 1=1 5=1"];
    const graphs = texts.map((text) => graphOf(text, shapes));
    const sessions = await Promise.all(graphs.map((graph) => createSession(graph, { backend: "webgpu" })));
    const inputs = randomInputs(shapes);
    const found = await Promise.all(sessions.map((session) => session.run(inputs)));
    found.forEach(({ y }, i) => void expectLike(y, runReference(graphs[i], inputs).y, texts[i]));
    sessions[0].close();
    expect((await sessions[1].run(inputs)).y).toEqual(found[1].y);
    sessions[1].close();
  });

  /** As on hardware, with subgroups and without. */
  async function expectRight(text: string, shapes: Record<string, Shape>, tile?: Tile): Promise<void> {
    const graph = graphOf(text, shapes);
    const device = await acquireDevice();
    const inputs = randomInputs(shapes);
    const { y: expected } = runReference(graph, inputs);
    for (const subgroups of device.probed.subgroups ? [true, false] : [false]) {
      const target = { ...device.probed, subgroups, dearBarriers: false, storage: "f32" } as const;
      const tileFor = (step: ConvolutionStep): Tile => tile ?? chooseTile(extentsOf(step), false);
      const plan = makePlan(graph, shapes, ["y"], { target, tileFor });
      const program = await Program.make(device, plan, target);
      expectLike((await program.run(inputs)).y, expected, text);
      program.close();
      // Nothing else is different.
      if (tile && !tile.split) break;
    }
    device.release();
  }

  it.each([
    ["Softmax a 1 1 x y 0=0", { x: [203] }],
    ["LayerNorm a 1 1 x y 0=70 1=0.001 2=1", { x: [9, 70] }],
    ["Pooling a 1 1 x y 0=1 4=1", { x: [9, 6, 7] }],
    ["Pooling a 1 1 x y 0=0 4=1", { x: [9, 9, 8] }],
    ["Pooling a 1 1 x y 0=1 1=7 2=3 3=3 5=1", { x: [6, 9, 10] }],
    ["Pooling a 1 1 x y 0=1 1=7 2=3 3=3 5=1 6=1", { x: [6, 9, 10] }],
    ["Reduction a 1 1 x y 0=5 1=0 4=1 -23303=2,1,2 5=1", { x: [6, 9, 10] }],
    ["InnerProduct a 1 1 x y 0=37 1=1", { x: [300] }],
  ] as const)("a workgroup makes results together: %s", expectRight);

  const tiles = [...candidates.entries()].filter(
    ([, { depth, split, pixels, groups }]) => split || depth > 0 || pixels * groups > 8,
  );
  it.each(tiles)("tile %d, which hardware takes", async (_, tile) => {
    for (const rest of ["18=0.5", "8=2"])
      await expectRight(`Convolution a 1 1 x y 0=37 1=3 4=1 5=1 ${rest}`, { x: [10, 7, 9] }, tile);
  });

  it("what the device cannot bind is refused in one line", async () => {
    const shapes = { x: [3, 4, 4] };
    const { device, plan, target } = await planned("Convolution a 1 1 x y 0=4 1=1 5=1", shapes);
    const large = { ...plan, floatGroups: 2 ** 32 };
    await expect(Program.make(device, large, target)).rejects.toThrow(
      /^the network needs 65536 MiB for values .*maxStorageBufferBindingSize.*use the wasm backend$/,
    );
    device.release();
  });

  it("memory stays flat over runs", async () => {
    const shapes = { x: [3, 8, 8] };
    const session = await createSession(graphOf("Convolution a 1 1 x y 0=4 1=3 4=1 5=1", shapes), {
      backend: "webgpu",
    });
    const inputs = randomInputs(shapes);
    for (let i = 0; i < 300; i++) await session.run(inputs);
    const before = process.memoryUsage.rss();
    for (let i = 0; i < 1000; i++) await session.run(inputs);
    expect(process.memoryUsage.rss() - before).toBeLessThan(96 * 2 ** 20);
    session.close();
  });
});

describeDataIf(hasGpu, "real networks on webgpu", () => {
  it.each(["yolov5ss", "v5lite-s"])("%s is within 1e-3 of native", async (model) => {
    const graph = readNcnn(dataText(`models/${model}.param`), dataBytes(`models/${model}.bin`));
    const blobs = model === "yolov5ss" ? ["917", "937"] : ["1111", "2222"];
    const found = await runOnGpu(graph, { [graph.inputs[0]]: goldenPicture("in320-139") }, blobs);
    for (const blob of blobs) {
      const { data } = readNpy(`golden/${model}.in320-139.${blob}.npy`);
      let worst = 0;
      data.forEach((x, i) => {
        worst = Math.max(worst, Math.abs(x - found[blob].data[i]));
      });
      expect(worst, blob).toBeLessThan(1e-3);
    }
  });

  it("yolov5ss-int8 gives the reference's integers and floats", async () => {
    const graph = readNcnn(dataText("models/yolov5ss-int8.param"), dataBytes("models/yolov5ss-int8.bin"));
    const inputs = {
      [graph.inputs[0]]: { shape: [3, 96, 96], data: goldenPicture("in320-139").data.slice(0, 3 * 96 * 96) },
    };
    const expected = runReference(graph, inputs);
    const found = await runOnGpu(graph, inputs);
    for (const blob of graph.outputs) expect(found[blob], blob).toEqual(expected[blob]);
  });
});

describe("without an adapter", () => {
  afterAll(provideNodeGpu);

  it("wasm computes, and the session says why", async () => {
    provideGpu(() => undefined);
    const shapes = { x: [2, 2, 2] };
    const session = await createSession(graphOf("ReLU a 1 1 x y", shapes), { backend: "webgpu" });
    expect(session.backend).toBe("wasm");
    expect(session.fallback).toMatch(/^no WebGPU adapter here .*: wasm computes instead$/);
    session.close();
  });
});
