import { describe, expect, it } from "vitest";
import { GraphError, InputError, UsageError } from "../../src/base/errors.ts";
import { type CalibrationSource, calibrate, observeSource } from "../../src/deploy/calibrate.ts";
import { Outputs, sensitivity } from "../../src/deploy/sensitivity.ts";
import { printParam, readNcnn, writeWeights } from "../../src/formats/ncnn/index.ts";
import { printTable } from "../../src/formats/table.ts";
import type { Graph } from "../../src/ir/graph.ts";
import type { Blobs, Tensor } from "../../src/ir/tensor.ts";
import { f32Weight, weightToFloat32 } from "../../src/ir/weight.ts";
import {
  applyCorrections,
  type Method,
  mergeObservations,
  methods,
  type Observations,
  quantize,
  readPartial,
  relativeError,
  writePartial,
} from "../../src/quantize/index.ts";
import { iteratedPictures } from "../../src/tally/pictures.ts";
import { run } from "../../src/tally/run.ts";
import { tensorSubject } from "../../src/tally/subjects.ts";
import { dataBytes, dataText, describeData, readNpy } from "../data.ts";
import { network, pictures } from "./_models.ts";

async function runAll(graph: Graph, inputs: readonly Blobs[]): Promise<Blobs[]> {
  const outputs = new Outputs(tensorSubject(graph));
  await run(
    [outputs],
    iteratedPictures(() => inputs),
  );
  return outputs.values;
}

async function inputsOf(source: CalibrationSource) {
  const list = [];
  for await (const inputs of source()) list.push(inputs);
  return list;
}

/** Signal to noise of the int8 outputs on other pictures than those of the calibration, dB. */
async function outputSqnr(float: Graph, int8: Graph, source: CalibrationSource): Promise<number> {
  const inputs = await inputsOf(source);
  const [expected, found] = [await runAll(float, inputs), await runAll(int8, inputs)];
  return (
    -10 *
    Math.log10(expected.reduce((sum, blobs, i) => sum + relativeError(blobs, found[i]), 0) / inputs.length)
  );
}

describe("calibrate", () => {
  it.each(methods)("%s gives a complete table and a working int8 graph", async (method) => {
    const graph = network();
    const result = await calibrate(graph, pictures(6), { method });
    expect([...result.table.activations.keys()]).toEqual(["stem", "a", "dw", "b", "c", "head", "last"]);
    expect(result.images).toBe(6);
    expect(result.layers.map((layer) => layer.name)).toEqual([...result.table.activations.keys()]);
    const { graph: int8 } = quantize(result.graph, result.table, { corrections: result.corrections });
    expect(await outputSqnr(graph, int8, pictures(4, 9))).toBeGreaterThan(10);
  });

  it("auto beats the official methods on other pictures", async () => {
    const graph = network();
    const sqnr = async (method: Method) => {
      const { graph: float, table, corrections } = await calibrate(graph, pictures(16), { method });
      return outputSqnr(graph, quantize(float, table, { corrections }).graph, pictures(8, 9));
    };
    const auto = await sqnr("auto");
    for (const method of ["kl", "aciq", "eq"] as const)
      expect(auto).toBeGreaterThan((await sqnr(method)) + 2);
  });

  it("gives layers that read the same blob the same scale", async () => {
    const graph = network();
    graph.node("last")!.inputs = ["relu"];
    const { table } = await calibrate(graph, pictures(3));
    expect(table.activations.get("last")).toBe(table.activations.get("head"));
  });

  it("in shards gives the table of one run", async () => {
    const graph = network();
    const all = await inputsOf(pictures(7));
    const merged: Observations = new Map();
    for (const part of [all.slice(4), all.slice(0, 4)]) {
      const source = async function* () {
        yield* part;
      };
      const bytes = writePartial({ note: "", observations: await observeSource(graph, source) });
      mergeObservations(merged, readPartial(bytes).observations);
    }
    for (const method of ["kl", "minmax", "percentile", "mse", "aciq"] as const) {
      const whole = await calibrate(graph, pictures(7), { method });
      const sharded = await calibrate(graph, pictures(7), { method, observations: merged });
      expect(printTable(sharded.table)).toBe(printTable(whole.table));
    }
  });

  it("is the same every time", async () => {
    const [a, b] = [await calibrate(network(), pictures(5)), await calibrate(network(), pictures(5))];
    const files = [a, b].map(
      ({ graph, table, corrections }) => quantize(graph, table, { corrections }).graph,
    );
    expect(writeWeights(files[0])).toEqual(writeWeights(files[1]));
  });

  it("reports progress in order, and stops when asked to", async () => {
    const seen: string[] = [];
    await calibrate(network(), pictures(2), {
      onProgress: ({ phase, images }) => seen.push(`${phase} ${images}`),
    });
    expect(seen).toEqual(["equalize 1", "equalize 2", "observe 1", "observe 2", "correct 1", "correct 2"]);
    const stopped = calibrate(network(), pictures(2), { signal: AbortSignal.abort() });
    await expect(stopped).rejects.toThrow(/abort/i);
  });

  it("looks at as many pictures as the effort says", async () => {
    const graph = network();
    const [out] = graph.outputs;
    const importance = (blob: string, outputs: Record<string, Tensor>) =>
      blob === out ? new Float32Array(outputs[blob].data.length).fill(1) : undefined;
    for (const [effort, expected] of [
      ["fast", { equalize: 16, observe: 60, correct: 48, outputs: 48 }],
      ["normal", { equalize: 32, observe: 60, correct: 60, outputs: 60 }],
      ["high", { equalize: 60, observe: 60, correct: 60, outputs: 60 }],
    ] as const) {
      const seen: Record<string, number> = {};
      await calibrate(graph, pictures(60), {
        ...{ effort, importance },
        onProgress: ({ phase, images }) => {
          seen[phase] = images;
        },
      });
      expect(seen, effort).toEqual(expected);
    }
  });

  it("survives layers without weights or without activations", async () => {
    const graph = network();
    graph.node("a")!.weights = {
      weight: f32Weight(new Float32Array(24)),
      bias: f32Weight(new Float32Array(6)),
    };
    for (const method of methods) {
      const { graph: float, table, corrections } = await calibrate(graph, pictures(3), { method });
      const { graph: int8, record } = quantize(float, table, { corrections });
      for (const blobs of await runAll(int8, await inputsOf(pictures(2)))) {
        for (const { data } of Object.values(blobs)) expect(data.every(Number.isFinite)).toBe(true);
      }
      expect(JSON.stringify(record)).not.toContain("null");
    }
  });

  it("says what is wrong", async () => {
    const graph = network();
    await expect(calibrate(graph, pictures(0))).rejects.toThrow(InputError);
    await expect(calibrate(graph, pictures(1), { method: "best" as Method })).rejects.toThrow(UsageError);
    await expect(calibrate(graph, pictures(1), { percentile: 200 })).rejects.toThrow(UsageError);
    const { table } = await calibrate(graph, pictures(1), { method: "kl" });
    const int8 = quantize(graph, table).graph;
    await expect(calibrate(int8, pictures(1))).rejects.toThrow(/int8 already/);
    const broken = network();
    weightToFloat32(broken.node("dw")!.weights.weight)[3] = Number.NaN;
    await expect(calibrate(broken, pictures(1))).rejects.toThrow(/layer "dw": weight\[3\] is NaN/);
    const hot = network();
    hot.node("a")!.weights.weight = f32Weight(new Float32Array(24).fill(3e38));
    await expect(calibrate(hot, pictures(1), { method: "kl" })).rejects.toThrow(/blob "a"/);
    await expect(calibrate(hot, pictures(1))).rejects.toThrow(GraphError);
  });
});

describe("quantize", () => {
  it("records scales and why layers stayed float", async () => {
    const { graph, table } = await calibrate(network(), pictures(2), { method: "kl" });
    table.activations.delete("a");
    const { record } = quantize(graph, table, {
      method: "kl",
      images: 2,
      keepFloat: ["head"],
      reasons: new Map([["head", "costs 0.4 AP"]]),
    });
    expect(record).toMatchObject({ method: "kl", images: 2 });
    expect(record.keptFloat).toEqual([
      { name: "a", reason: "not in the table" },
      { name: "head", reason: "costs 0.4 AP" },
    ]);
    expect(Object.keys(record.layers)).toEqual(["stem", "dw", "b", "c", "last"]);
    expect(record.layers.dw.output).toBe(record.layers.b.input);
  });

  it("keeps float layers exact beside corrected ones; a corrected float graph quantizes to the same bytes", async () => {
    const { graph, table, corrections } = await calibrate(network(), pictures(4));
    const direct = quantize(graph, table, { corrections, keepFloat: ["head"] }).graph;
    expect(direct.node("head")!.weights.bias).toEqual(graph.node("head")!.weights.bias);
    const native = quantize(applyCorrections(graph, table, corrections), table).graph;
    const whole = quantize(graph, table, { corrections }).graph;
    expect(printParam(native)).toBe(printParam(whole));
    expect(writeWeights(native)).toEqual(writeWeights(whole));
  });
});

describe("sensitivity", () => {
  it("puts the layer first that is quantized worst", async () => {
    const graph = network();
    const { table } = await calibrate(graph, pictures(4), { method: "minmax" });
    table.activations.set("b", table.activations.get("b")! / 40);
    const list = await sensitivity(graph, table, await inputsOf(pictures(2, 5)));
    expect(list).toHaveLength(7);
    expect(list[0].name).toBe("b");
    expect(list[0].loss).toBeGreaterThan(10 * list[1].loss);
    expect(list.map((layer) => layer.loss)).toEqual(list.map((layer) => layer.loss).sort((a, b) => b - a));
  });
});

describeData("yolov5ss", () => {
  it("keeps 3 dB more of its outputs with auto than with the official table", async () => {
    const graph = readNcnn(dataText("models/yolov5ss.param"), dataBytes("models/yolov5ss.bin"));
    const official = readNcnn(dataText("golden/off-kl-320.param"), dataBytes("golden/off-kl-320.bin"));
    const { shape, data } = readNpy("golden/in320-139.npy");
    const [height, width] = shape;
    const area = height * width;
    const picture = Float32Array.from(
      { length: 3 * area },
      (_, i) => data[(i % area) * 3 + Math.floor(i / area)] / 255,
    );
    // Calibrated on its mirror image, so that the picture itself is unseen.
    const mirrored = picture.map((_, i) => picture[i - (i % width) + (width - 1 - (i % width))]);
    const source = (values: Float32Array): CalibrationSource =>
      async function* () {
        yield { images: { shape: [3, height, width], data: values } };
      };
    const { graph: float, table, corrections } = await calibrate(graph, source(mirrored));
    const auto = quantize(float, table, { corrections }).graph;
    const ours = await outputSqnr(graph, auto, source(picture));
    expect(ours).toBeGreaterThan((await outputSqnr(graph, official, source(picture))) + 3);
  }, 60_000);
});
