import { describe, expect, test } from "vitest";
import { exportOnnx, importOnnx, readOnnx, readOnnxModel } from "../../../src/formats/onnx/index.ts";
import type { Yolov5Head } from "../../../src/heads/index.ts";
import { makeSizesDynamic } from "../../../src/passes/index.ts";
import { fixtures } from "./_fixtures.ts";

const anchors = [
  [10, 13, 16, 30, 33, 23],
  [30, 61, 62, 45, 59, 119],
  [116, 90, 156, 198, 373, 326],
];
const all = fixtures();
const of = (network: string) => all.filter((fixture) => fixture.network === network);
const inputSize = { width: 64, height: 64 };

describe("YOLOv5 heads", () => {
  const decoded = ["yolov5-v6-split", "yolov5-v6-dynamic", "yolov5-v5-slice", "yolov5-v5-inplace"].flatMap(
    of,
  );
  test.each(decoded.map((f) => [f.file, f] as const))(
    "%s: decoding is cut off, anchors are read",
    (_, fixture) => {
      const { graph, heads, decodeRemoved, notes } = readOnnx(fixture.bytes, fixture.file, { inputSize });
      expect(decodeRemoved).toBe(true);
      expect(heads?.map((head) => head.stride)).toEqual([8, 16, 32]);
      expect(heads?.map((head) => head.anchors)).toEqual(anchors);
      expect(heads?.map((head) => head.blob)).toEqual(graph.outputs);
      expect(notes).toEqual([]);
      const types = new Set(graph.nodes.map((node) => node.type));
      expect(types.has("Sigmoid") || types.has("MemoryData")).toBe(false);
      makeSizesDynamic().run(graph);
      // The form that YOLOv5 models for ncnn have: any width, rows of 5 + classes numbers.
      const last = graph.nodes.filter((node) => node.type === "Reshape");
      expect(last.map((node) => node.params)).toEqual(new Array(3).fill({ w: -1, h: 8, c: 3 }));
    },
  );
  test.each(["yolov5-v6", "yolov5-v5"].flatMap(of).map((f) => [f.file, f] as const))(
    "%s: raw heads",
    (_, fixture) => {
      const { heads, decodeRemoved, notes, inputSize: size } = readOnnx(fixture.bytes, fixture.file);
      expect(heads?.map(({ stride, blob }) => [stride, blob])).toEqual(
        fixture.outputs.map(({ name }, i) => [8 << i, name]),
      );
      expect(size).toEqual({ width: 64, height: 64 });
      expect(decodeRemoved).toBe(false);
      expect(notes.join()).toMatch(/anchors/);
    },
  );
  test("other detectors keep their outputs and say so", () => {
    const [fixture] = of("yolov8");
    const { heads, graph, notes } = readOnnx(fixture.bytes, fixture.file);
    expect(heads).toBeUndefined();
    expect(graph.outputs).toEqual(fixture.outputs.map(({ name }) => name));
    expect(notes.join()).toMatch(/no detection head/);
  });
  test("an output that heads alone do not explain keeps the graph whole", () => {
    const [fixture] = of("yolov5-v6-split");
    const model = readOnnxModel(fixture.bytes, fixture.file);
    const name = model.graph.nodes.find((node) => node.opType === "Sigmoid")?.outputs[0] ?? "";
    model.graph.outputs.push({ name, type: "float32" });
    const { heads, graph, notes } = importOnnx(model);
    expect(heads).toBeUndefined();
    expect(graph.outputs).toHaveLength(2);
    expect(notes.join()).toMatch(/kept as they are/);
  });
});

describe("an open input size", () => {
  const [fixture] = of("yolov5-v6-dynamic");
  test("is the given one, the one of the metadata, or 640", () => {
    expect(readOnnx(fixture.bytes, "m", { inputSize: { width: 96, height: 64 } }).inputSize).toEqual({
      width: 96,
      height: 64,
    });
    const model = readOnnxModel(fixture.bytes, "m");
    expect(importOnnx(model).inputSize).toEqual({ width: 640, height: 640 });
    model.metadata.imgsz = "[320, 416]";
    expect(importOnnx(model).inputSize).toEqual({ width: 416, height: 320 });
  });
});

test("export keeps heads, labels and anchors, with fixed and open sizes", () => {
  const [fixture] = of("yolov5-v6-split");
  const first = readOnnx(fixture.bytes, fixture.file);
  const labels = ["a", "it's", "c\\d"];
  for (const dynamic of [false, true]) {
    const bytes = exportOnnx(first.graph, { heads: first.heads as Yolov5Head[], labels }, { dynamic });
    const again = readOnnx(bytes, "again.onnx");
    expect(again.heads).toEqual(first.heads);
    expect(again.labels).toEqual(labels);
    expect(again.inputSize).toEqual({ width: 64, height: 64 });
    expect(again.graph.nodes.map((node) => node.type)).toEqual(first.graph.nodes.map((node) => node.type));
    const model = readOnnxModel(bytes, "again.onnx");
    expect(model.graph.inputs[0].shape).toEqual(dynamic ? [1, 3, "height", "width"] : [1, 3, 64, 64]);
    expect(model.metadata.stride).toBe("32");
  }
});
