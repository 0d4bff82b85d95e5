/** Real networks on the engine: against native ncnn's outputs and, int8, bit for bit against the reference kernels. */
import path from "node:path";
import { expect, it } from "vitest";
import { runReference } from "../../src/engine/reference/index.ts";
import { readNcnn } from "../../src/formats/ncnn/index.ts";
import type { Graph } from "../../src/ir/graph.ts";
import type { Shape, Tensor } from "../../src/ir/tensor.ts";
import { dataBytes, dataFiles, dataText, describeData, goldenPicture, readNpy } from "../data.ts";
import { expectEqual, floatMachines, int8Machines, referenceTypes, runEngine } from "./harness.ts";

function load(model: string): Graph {
  const folder = model.startsWith("off-") ? "golden" : "models";
  return readNcnn(dataText(`${folder}/${model}.param`), dataBytes(`${folder}/${model}.bin`));
}

interface Golden {
  readonly graph: Graph;
  readonly inputs: Record<string, Tensor>;
  /** Native ncnn's results by blob. */
  readonly expected: Readonly<Record<string, { shape: Shape; data: Float32Array }>>;
}

function golden(model: string, picture: string): Golden {
  const graph = load(model);
  const prefix = `${model}.${picture}.`;
  const blobs = dataFiles("golden", ".npy")
    .map((file) => path.basename(file, ".npy"))
    .filter((name) => name.startsWith(prefix))
    .map((name) => name.slice(prefix.length));
  expect(blobs.length).toBeGreaterThan(0);
  const expected = blobs.map((blob) => [blob, readNpy(`golden/${prefix}${blob}.npy`)] as const);
  return {
    graph,
    inputs: { [graph.inputs[0]]: goldenPicture(picture) },
    expected: Object.fromEntries(expected) as Golden["expected"],
  };
}

function largestError(found: Tensor, expected: Golden["expected"][string]): number {
  expect(found.shape).toEqual(expected.shape);
  let worst = 0;
  expected.data.forEach((x, i) => {
    worst = Math.max(worst, Math.abs(x - found.data[i])); // NaN stays
  });
  return worst;
}

/** Signal to quantization noise in decibels. */
function sqnr(found: Tensor, expected: Golden["expected"][string]): number {
  expect(found.shape).toEqual(expected.shape);
  let signal = 0;
  let noise = 0;
  expected.data.forEach((x, i) => {
    signal += x * x;
    noise += (x - found.data[i]) ** 2;
  });
  return 10 * Math.log10(signal / noise);
}

/** One tile each: others are tested on small networks. */
const modelMachines = int8Machines.filter(([name]) => !name.includes("tile"));

const floatModels = [
  ["yolov5ss", "in320-139"],
  ["yolov5ss", "in416-776"],
  ["v5lite-e", "in320-139"],
  ["v5lite-s", "in320-139"],
  ["nanodet_m", "in320-139"],
  ["squeezenet_v1.1", "in320-139"],
] as const;

describeData("real networks on the engine", () => {
  it.each(floatModels)("%s on %s is within 1e-3 of native", async (model, picture) => {
    const { graph, inputs, expected } = golden(model, picture);
    for (const [name, target] of floatMachines) {
      const { outputs } = await runEngine(graph, inputs, target, Object.keys(expected), 1);
      for (const [blob, value] of Object.entries(expected)) {
        expect(largestError(outputs[blob], value), `${name}, ${blob}`).toBeLessThan(1e-3);
      }
    }
  });

  it.each(["FastestDet", "yolo-fastestv2-opt"])("%s is like the reference kernels", async (model) => {
    const graph = load(model);
    const inputs = { [graph.inputs[0]]: goldenPicture("in320-139") };
    const expected = runReference(graph, inputs);
    for (const [name, target] of floatMachines) {
      const { outputs } = await runEngine(graph, inputs, target);
      for (const [blob, { shape, data }] of Object.entries(expected)) {
        const error = largestError(outputs[blob], { shape, data: data as Float32Array });
        expect(error, `${name}, ${blob}`).toBeLessThan(1e-3);
      }
    }
  });

  it.each(["yolov5ss-int8", "off-kl-320"])(
    "%s equals the reference kernels in every dot mode and is within 26 dB of native",
    async (model) => {
      const { graph, inputs, expected } = golden(model, "in320-139");
      const blobs = Object.keys(expected);
      const reference = runReference(graph, inputs, blobs);
      for (const [name, target] of modelMachines) {
        const { outputs, program } = await runEngine(graph, inputs, target, blobs, 1);
        for (const blob of blobs) {
          expectEqual(outputs[blob], reference[blob], `${name}, ${blob}`);
          expect(sqnr(outputs[blob], expected[blob]), `${name}, ${blob}`).toBeGreaterThan(26);
        }
        expect(referenceTypes(program)).toEqual([]);
      }
    },
  );

  it("no layer runs in JavaScript", async () => {
    for (const model of [
      "yolov5ss",
      "v5lite-e",
      "v5lite-s",
      "nanodet_m",
      "squeezenet_v1.1",
      "FastestDet",
      "yolo-fastestv2-opt",
    ]) {
      const graph = load(model);
      const x = { shape: [3, 64, 96], data: new Float32Array(3 * 64 * 96) };
      const { program } = await runEngine(
        graph,
        { [graph.inputs[0]]: x },
        floatMachines[0][1],
        graph.outputs,
        1,
      );
      expect(new Set(referenceTypes(program)), model).toEqual(new Set());
    }
  });
});

describeData("an int8 layer behind Softmax", () => {
  it.each(["int8/softmax-int8", "int8b/two-int8"])("%s: as natively", async (model) => {
    const file = `trials/softmax-int8/${model}`;
    const graph = readNcnn(dataText(`${file}.param`), dataBytes(`${file}.bin`));
    const { buffer } = dataBytes("trials/softmax-int8/in.f32").slice();
    const inputs = { images: { shape: [3, 32, 32], data: new Float32Array(buffer) } };
    const native = 7.989951;
    expect(runReference(graph, inputs).out.data[0]).toBeCloseTo(native, 6);
    for (const [name, target] of int8Machines) {
      const { outputs } = await runEngine(graph, inputs, target);
      expect(outputs.out.data[0], name).toBeCloseTo(native, 6);
    }
  });
});
