/** Checkpoints against what PyTorch computes with the same weights (`scripts/torch-fixtures.py`). */
import { readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it, test } from "vitest";
import { runReference } from "../../../src/engine/reference.ts";
import { readTorch, type TorchModel } from "../../../src/formats/torch/index.ts";
import { weightToFloat32 } from "../../../src/ir/weight.ts";
import { dataBytes, hasData } from "../../data.ts";

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
  const names = [
    "v6",
    "v5",
    "lite-c",
    "lite-e",
    "lite-g-branches",
    "lite-g-fused",
    "lite-g-deploy",
    "plain",
  ];
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
    expect(model.input).toEqual({ channels: 3, size: 96 });
    expect(model.labels).toEqual(["cat", "dog"]);
    expect(model.heads).toEqual([
      { blob: "output0", stride: 8, anchors: [10, 13, 16, 30, 33, 23] },
      { blob: "output1", stride: 16, anchors: [30, 61, 62, 45, 59, 119] },
      { blob: "output2", stride: 32, anchors: [116, 90, 156, 198, 373, 326] },
    ]);
  });

  it("v5: the buffer that auto-anchor changed is right, not the yaml", () => {
    const model = read("v5");
    expect(model.heads.map((head) => head.anchors)).toEqual([
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

describe.skipIf(!hasData)("real checkpoints", () => {
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
      anchors.map((values, i) => ({ blob: `output${i}`, stride: 8 << i, anchors: values })),
    );
    expect(model.labels.length).toBe(80);
    expect([model.labels[0], model.labels[79]]).toEqual(["person", "toothbrush"]);
    expect(model.provenance).toEqual({
      className: "models.yolo.Model",
      part: "model",
      epoch: -1,
      yaml,
    });
    const weights = model.graph.nodes.flatMap((node) => Object.values(node.weights));
    expect(weights.every((weight) => weightToFloat32(weight).every(Number.isFinite))).toBe(true);
  });
});
