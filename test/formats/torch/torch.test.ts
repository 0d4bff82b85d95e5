/** Checkpoints against what PyTorch computes with the same weights (`scripts/torch-fixtures.py`). */
import { readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it, test } from "vitest";
import { fp16ToNumber, numberToFp16 } from "../../../src/base/fp16.ts";
import { runReference } from "../../../src/engine/reference/index.ts";
import { readNcnn } from "../../../src/formats/ncnn/index.ts";
import { readTorch, type TorchModel } from "../../../src/formats/torch/index.ts";
import type { Graph } from "../../../src/ir/graph.ts";
import { weightToFloat32 } from "../../../src/ir/weight.ts";
import { foldBatchNorm } from "../../../src/passes/index.ts";
import { dataBytes, describeData, readNpy } from "../../data.ts";

const data = (name: string): Uint8Array =>
  new Uint8Array(readFileSync(path.join(import.meta.dirname, "data", name)));
const read = (name: string): TorchModel => readTorch(data(`${name}.pt`), `${name}.pt`);

/** The script's `picture()`. */
function picture(size: number): Float32Array {
  return Float32Array.from({ length: 3 * size * size }, (_, i) => ((i * i * 31 + i * 17) % 251) / 250);
}

/** Largest difference of any output from the values in NAME.f32. */
function worstError(model: TorchModel, name: string, size: number): number {
  const expected = new Float32Array(data(`${name}.f32`).buffer);
  const outputs = runReference(model.graph, {
    images: { shape: [3, size, size], data: picture(size) },
  });
  const found = Object.values(outputs).flatMap((output) => Array.from(output.data));
  expect(found.length).toBe(expected.length);
  return found.reduce((worst, value, i) => Math.max(worst, Math.abs(value - expected[i])), 0);
}

/** Float32 sums in another order than PyTorch's float64 ones; values reach about 10. */
const tolerance = 1e-4;

describe("fixtures", () => {
  const names = ["v6", "v5", "lite-c", "lite-e", "lite-g-branches", "lite-g-fused", "lite-g-deploy", "plain"];
  it.each(names)("%s computes what PyTorch computes", (name) => {
    expect(worstError(read(name), name, 64)).toBeLessThan(tolerance);
  });

  it("together have every layer type that the importer can write, apart from those in real models", () => {
    const types = new Set(names.flatMap((name) => read(name).graph.nodes.map((node) => node.type)));
    expect([...types].sort()).toMatchInlineSnapshot(`
      [
        "BatchNorm",
        "BinaryOp",
        "Clip",
        "Concat",
        "Convolution",
        "ConvolutionDepthWise",
        "Deconvolution",
        "DeconvolutionDepthWise",
        "ELU",
        "Eltwise",
        "Flatten",
        "GELU",
        "HardSigmoid",
        "HardSwish",
        "InnerProduct",
        "Input",
        "Interp",
        "Mish",
        "PReLU",
        "Padding",
        "Permute",
        "PixelShuffle",
        "Pooling",
        "ReLU",
        "Reorg",
        "Reshape",
        "ShuffleChannel",
        "Sigmoid",
        "Slice",
        "Swish",
        "TanH",
      ]
    `);
  });

  it("v6: averaged weights, training size, names from a dict, anchors from the buffer times the stride", () => {
    const model = read("v6");
    expect(model.provenance).toEqual({
      className: "models.yolo.DetectionModel",
      part: "ema",
      epoch: 299,
      yaml: "fixture.yaml",
      date: "2023-01-02T03:04:05.678901",
    });
    expect(model.input).toEqual({ channels: 3, stride: 32, size: 96 });
    expect(model.labels).toEqual(["cat", "dog"]);
    expect(model.heads).toEqual([
      { kind: "yolov5", blob: "output0", stride: 8, anchors: [10, 13, 16, 30, 33, 23] },
      { kind: "yolov5", blob: "output1", stride: 16, anchors: [30, 61, 62, 45, 59, 119] },
      { kind: "yolov5", blob: "output2", stride: 32, anchors: [116, 90, 156, 198, 373, 326] },
    ]);
  });

  it("v5: the buffer that auto-anchor changed is right, not the yaml", () => {
    const model = read("v5");
    expect(model.heads.map((head) => "anchors" in head && head.anchors)).toEqual([
      [10, 13, 16, 30, 33, 23],
      [30, 61, 62, 45, 59, 119],
    ]);
    expect(model.provenance.part).toBe("model");
  });

  it("names layers and blobs after the modules", () => {
    const names = read("v5").graph.nodes.map((node) => node.name);
    expect(names.slice(0, 6)).toEqual([
      "images",
      "model.0.reorg",
      "model.0.conv.conv",
      "model.0.conv.bn",
      "model.0.conv.act",
      "model.1.conv",
    ]);
    expect(read("v5").graph.outputs).toEqual(["output0", "output1"]);
  });

  it("is deterministic", () => {
    expect(read("lite-e")).toEqual(read("lite-e"));
  });
});

describeData("real checkpoints", () => {
  const load = (name: string) => readTorch(dataBytes(`models/${name}`), name);

  test("yolov5ss.pt computes what PyTorch computes", () => {
    expect(worstError(load("yolov5ss.pt"), "yolov5ss-32", 32)).toBeLessThan(tolerance);
  });

  it.each([
    [
      "yolov5ss.pt",
      "yolov5s-shufflev2-1.0.yaml",
      [
        [4, 5, 8, 10, 13, 16],
        [23, 29, 43, 55, 73, 105],
        [146, 217, 231, 300, 335, 433],
      ],
    ],
    [
      "yolov5-lite.pt",
      "yolov5ss-1.0.yaml",
      [
        [10, 11, 15, 31, 38, 24],
        [31, 62, 69, 56, 68, 131],
        [165, 103, 159, 261, 395, 320],
      ],
    ],
  ])("%s: facts", (name, yaml, anchors) => {
    const model = load(name);
    expect(model.heads).toEqual(
      anchors.map((values, i) => ({ kind: "yolov5", blob: `output${i}`, stride: 8 << i, anchors: values })),
    );
    expect(model.labels?.length).toBe(80);
    expect([model.labels?.[0], model.labels?.[79]]).toEqual(["person", "toothbrush"]);
    expect(model.provenance).toEqual({
      className: "models.yolo.Model",
      part: "model",
      epoch: -1,
      yaml,
    });
    const weights = model.graph.nodes.flatMap((node) => Object.values(node.weights));
    expect(weights.every((weight) => weightToFloat32(weight).every(Number.isFinite))).toBe(true);
  });

  /** binary16 bits by cutting the mantissa off, as the converter that made the author's files did. */
  function truncateToFp16(value: number): number {
    const rounded = numberToFp16(value);
    return Math.abs(fp16ToNumber(rounded)) > Math.abs(value) ? rounded - 1 : rounded;
  }

  /** The network with BatchNorm folded, in the author's precision, and how its weights compare with the author's. */
  function likeAuthor() {
    const { graph } = load("yolov5ss.pt");
    foldBatchNorm.run(graph);
    const author = readNcnn(dataBytes("models/yolov5ss.param"), dataBytes("models/yolov5ss.bin"));
    const convolutions = (g: Graph) => g.nodes.filter((node) => node.type.startsWith("Convolution"));
    const difference = { layers: 0, weights: 0, unequal: 0, steps: 0, bias: 0 };
    const theirs = convolutions(author);
    convolutions(graph).forEach((node, i) => {
      const { weight, bias } = theirs[i].weights;
      const halves = Uint16Array.from(weightToFloat32(node.weights.weight), truncateToFp16);
      expect([weight.storage, weight.data.length]).toEqual(["f16", halves.length]);
      halves.forEach((half, j) => {
        const steps = Math.abs((half & 0x7fff) - (weight.data[j] & 0x7fff));
        difference.steps = Math.max(difference.steps, steps);
        if (half !== weight.data[j]) difference.unequal++;
      });
      const [ours, their] = [weightToFloat32(node.weights.bias), weightToFloat32(bias)];
      ours.forEach((value, j) => {
        difference.bias = Math.max(difference.bias, Math.abs(value - their[j]));
      });
      difference.layers++;
      difference.weights += halves.length;
      node.weights = { ...node.weights, weight: { storage: "f16", data: halves } };
    });
    expect(theirs.length).toBe(difference.layers);
    return { graph, difference };
  }

  test("folded weights of yolov5ss.pt are the author's, to float16 rounding", () => {
    const { difference } = likeAuthor();
    expect(difference.weights).toBe(1606416);
    // Folding in another float order moves a few products across a float16 step.
    expect(difference.steps).toBeLessThanOrEqual(1);
    expect(difference.unequal).toBeLessThan(200);
    expect(difference.bias).toBeLessThan(1e-5);
  });

  // Truncated weights are smaller by 0.03 % on average, layer after layer: with the exact ones the outputs differ by 0.6.
  test("in the author's precision yolov5ss.pt gives native ncnn's outputs", () => {
    const { graph } = likeAuthor();
    const image = readNpy("golden/in320-139.npy");
    const pixels = 320 * 320;
    const input = Float32Array.from(
      { length: 3 * pixels },
      (_, i) => image.data[(i % pixels) * 3 + Math.floor(i / pixels)] / 255,
    );
    const outputs = runReference(graph, { images: { shape: [3, 320, 320], data: input } });
    const goldens = { output0: "output", output1: "917", output2: "937" };
    for (const [blob, golden] of Object.entries(goldens)) {
      const expected = readNpy(`golden/yolov5ss.in320-139.${golden}.npy`);
      expect(outputs[blob].shape).toEqual(expected.shape);
      const worst = Array.from(expected.data).reduce(
        (w, v, i) => Math.max(w, Math.abs(v - outputs[blob].data[i])),
        0,
      );
      expect(worst).toBeLessThan(1e-3);
    }
  });
});
