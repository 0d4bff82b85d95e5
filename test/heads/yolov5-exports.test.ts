import { describe, expect, test } from "vitest";
import { exportOnnx, importOnnx, readOnnx, readOnnxModel, writeOnnx } from "../../src/formats/onnx/index.ts";
import type { Yolov5Head } from "../../src/heads/index.ts";
import { openModel } from "../../src/open/formats.ts";
import { memoryFolder } from "../../src/open/source.ts";
import { makeSizesDynamic } from "../../src/passes/index.ts";
import { fixtures } from "../formats/onnx/_fixtures.ts";
import { int64s, makeModel } from "../formats/onnx/_model.ts";
import { headsOf } from "./_recognise.ts";

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
      const found = headsOf(readOnnx(fixture.bytes, fixture.file, { inputSize }));
      const { graph, isCut, notes } = found;
      const heads = found.heads as Yolov5Head[];
      expect(isCut).toBe(true);
      expect(heads.map((head) => head.stride)).toEqual([8, 16, 32]);
      expect(heads.map((head) => head.anchors)).toEqual(anchors);
      expect(heads.map((head) => head.blob)).toEqual(graph.outputs);
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
      const found = headsOf(readOnnx(fixture.bytes, fixture.file));
      const { isCut, notes, inputSize: size } = found;
      const heads = found.heads as Yolov5Head[];
      expect(heads.map(({ stride, blob }) => [stride, blob])).toEqual(
        fixture.outputs.map(({ name }, i) => [8 << i, name]),
      );
      expect(size).toEqual({ width: 64, height: 64 });
      expect(isCut).toBe(false);
      expect(notes.join()).toMatch(/anchors/);
    },
  );
  test("an output that heads alone do not explain keeps the graph whole", async () => {
    const [fixture] = of("yolov5-v6-split");
    const model = readOnnxModel(fixture.bytes, fixture.file);
    const name = model.graph.nodes.find((node) => node.opType === "Sigmoid")?.outputs[0] ?? "";
    model.graph.outputs.push({ name, type: "float32" });
    const opened = await openModel(memoryFolder([{ name: "m.onnx", bytes: writeOnnx(model) }]), "m.onnx");
    expect(opened.manifest.heads).toEqual([]);
    expect(opened.graph.outputs).toHaveLength(2);
    expect(opened.whyNoHeads).toMatch(/^no detection head .*nearest.*kept as they are/);
  });
});

describe("an open input size", () => {
  test("that constants of the graph contradict is asked for", () => {
    const model = makeModel({
      nodes: [["Reshape", ["x", "flat"], ["y"]]],
      inputs: { x: [1, 3, "height", "width"] },
      constants: { flat: int64s(1, 192) },
    });
    expect(() => importOnnx(model)).toThrow(/taken for 640x640 pixels.*--size.*cannot be reshaped/);
    expect(importOnnx(model, { inputSize: { width: 8, height: 8 } }).graph.outputs).toEqual(["y"]);
  });
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
  const first = headsOf(readOnnx(fixture.bytes, fixture.file));
  const labels = ["a", "it's", "c\\d"];
  for (const dynamic of [false, true]) {
    const bytes = exportOnnx(first.graph, { heads: first.heads as Yolov5Head[], labels }, { dynamic });
    const again = readOnnx(bytes, "again.onnx");
    expect(again.statedHeads).toEqual(first.heads);
    expect(again.labels).toEqual(labels);
    expect(again.inputSize).toEqual({ width: 64, height: 64 });
    expect(again.graph.nodes.map((node) => node.type)).toEqual(first.graph.nodes.map((node) => node.type));
    const model = readOnnxModel(bytes, "again.onnx");
    expect(model.graph.inputs[0].shape).toEqual(dynamic ? [1, 3, "height", "width"] : [1, 3, 64, 64]);
    expect(model.metadata.stride).toBe("32");
  }
});
