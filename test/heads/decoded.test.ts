/**
 * Exports that decode boxes in the graph, in the style of their authors: what is read from them, and boxes against onnxruntime's at the
 * size that they were made for and at another, for which they were exported anew (scripts/decoded-heads.py).
 */
import { readFileSync } from "node:fs";
import { unzipSync } from "fflate";
import { describe, expect, test } from "vitest";
import { checkManifest } from "../../src/formats/manifest.ts";
import { convert, isObject, load, type ModelParts } from "../../src/index.ts";
import { openModel } from "../../src/open/formats.ts";
import { memoryFolder } from "../../src/open/source.ts";
import { overlap } from "./_boxes.ts";

const archive = unzipSync(readFileSync(new URL("./data/decoded.zip", import.meta.url)));
const boxes = JSON.parse(new TextDecoder().decode(archive["boxes.json"])) as Record<
  string,
  Record<string, number[][]>
>;
const labels = ["a", "b", "c"];
const anchors = [
  [10, 13, 16, 30, 33, 23],
  [30, 61, 62, 45, 59, 119],
  [116, 90, 156, 198, 373, 326],
];
const anchored = (scales: readonly (number | undefined)[], size?: "exp") =>
  anchors.map((list, i) => ({
    ...{ kind: "yolov5", stride: 8 << i, anchors: list },
    ...(scales[i] && { centerScale: scales[i] }),
    ...(size && { size }),
  }));
const plain = (fields: object) => [8, 16, 32].map((stride) => ({ ...fields, stride }));
const expected: Record<string, object[]> = {
  yolov3: anchored([1, 1, 1], "exp"),
  "yolov3-parts": anchored([1, 1, 1], "exp"),
  yolov4: anchored([1.2, 1.1, 1.05], "exp"),
  "yolov4-scaled": anchored([1.2, 1.1, 1.05], "exp"),
  yolov7: anchored([]),
  "yolov7-parts": anchored([]),
  "yolo-nas": plain({ kind: "distances", bins: 17, point: 0.5 }),
  yolov6: plain({ kind: "distances", bins: 1, point: 0.5 }),
  "yolov6-dfl": plain({ kind: "distances", bins: 17, point: 0.5 }),
  "yolox-decoded": plain({ kind: "yolox" }),
};

/** As the script makes it. */
function picture(width: number, height: number) {
  const data = new Uint8ClampedArray(4 * width * height).fill(255);
  for (let i = 0; i < 3 * width * height; i++) {
    data[4 * Math.floor(i / 3) + (i % 3)] = (i * i * 31 + i * 17) % 251;
  }
  return { width, height, data };
}

interface Options {
  size: string;
  labels: string[];
  keepDecode?: boolean;
  /** The only size that the file runs at as it is, where it does not say. */
  madeFor?: { width: number; height: number };
}

async function compare(
  name: string,
  { size, madeFor, ...options }: Options,
  parts: ModelParts = { onnx: archive[`${name}.onnx`] },
): Promise<void> {
  const [width, height] = size.split("x").map(Number);
  const model = await load(parts, { ...options, family: "yolov5", size: madeFor });
  const all = await model.detect(picture(width, height), {
    ...{ confidence: 0.04, iou: 1, maxDetections: 10_000, size: { width, height } },
  });
  const found = all.filter(isObject);
  model.close();
  for (const [classId, score, ...corners] of boxes[name][size]) {
    const best = found
      .filter((each) => each.classId === classId && Math.abs(each.score - score) <= 1e-3)
      .map(({ box: { x, y, width: w, height: h } }) => overlap([x, y, x + w, y + h], corners))
      .reduce((a, b) => Math.max(a, b), 0);
    expect(best, `class ${classId}, score ${score}, ${corners}`).toBeGreaterThan(0.99);
  }
  expect(boxes[name][size].length).toBeGreaterThan(20);
}

describe("boxes and scores in outputs of their own, left in the graph", () => {
  test.each([
    ["yolov3-parts", true, { box: "cxcywh", unit: "parts" }],
    ["yolov4", true, { box: "xyxy", unit: "parts" }],
    ["yolov7-parts", true, { box: "xyxy", unit: "pixels" }],
    ["yolo-nas", true, { box: "xyxy", unit: "pixels" }],
    ["yolov3-single", false, { box: "cxcywh", unit: "parts" }],
  ])("%s", async (name, keepDecode, form) => {
    const names = name === "yolov3-single" ? ["a"] : labels;
    const file = { name: "m.onnx", bytes: archive[`${name}.onnx`] };
    const { manifest, graph } = await openModel(memoryFolder([file]), file.name, {
      labels: names,
      keepDecode,
    });
    const [head] = manifest.heads;
    expect(head).toMatchObject({ kind: "boxes", layout: "rows", objectness: false, ...form });
    checkManifest(manifest, graph);
    expect(() => checkManifest({ ...manifest, labels: [...names, "x"] }, graph)).toThrow(/values a box|rows/);
    await compare(name, { size: "160x96", labels: names, keepDecode });
  });
});

describe.each(Object.keys(expected))("%s", (name) => {
  const onnx = archive[`${name}.onnx`];
  // Weights in float16, which move boxes by a thousandth.
  const [param, bin] = ["param", "bin"].map((kind) => archive[`${name}.ncnn.${kind}`]);
  test("heads, strides and anchors are the graph's", async () => {
    const file = `${name}.onnx`;
    const opened = await openModel(memoryFolder([{ name: file, bytes: onnx }]), file, { labels });
    const { manifest, graph } = convert(opened);
    expect(manifest.heads).toMatchObject(expected[name]);
    expect(manifest.heads.every((head) => "size" in head)).toBe(
      expected[name].every((head) => "size" in head),
    );
    const types = new Set(graph.nodes.map(({ type }) => type));
    expect(["Sigmoid", "MemoryData", "UnaryOp"].filter((type) => types.has(type))).toEqual([]);
  });

  test.each(Object.keys(boxes[name]))("boxes at %s", async (size) => {
    await compare(name, { size, labels });
    await compare(name, { size, labels, madeFor: { width: 160, height: 96 } }, { param, bin });
  });
});
