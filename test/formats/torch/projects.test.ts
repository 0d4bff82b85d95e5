/** Checkpoints that other projects' own code made, and what it finds with them (`scripts/yolo-checkpoints.py`). */
import { readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it, test } from "vitest";
import { maskFromCounts, maskIou } from "../../../src/detect/mask.ts";
import { runReference } from "../../../src/engine/reference/index.ts";
import { readTorch } from "../../../src/formats/torch/index.ts";
import { blobsOf } from "../../../src/heads/index.ts";
import { isObject, load, type Model, open, type Picture } from "../../../src/index.ts";
import { optimize, runPasses } from "../../../src/passes/index.ts";

const file = (name: string): Uint8Array =>
  new Uint8Array(readFileSync(path.join(import.meta.dirname, "data/projects", name)));
const read = (name: string) => readTorch(file(`${name}.pt`), `${name}.pt`);

/** The script's `picture()`. */
function picture(size: number): Picture {
  const data = Uint8Array.from({ length: 3 * size * size }, (_, i) => {
    const [x, y] = [Math.floor(i / 3) % size, Math.floor(i / 3 / size)];
    return Math.floor((7 * x * x + 13 * y * y + 5 * x * y) / 32) + 60 * (i % 3);
  });
  return { width: size, height: size, channels: 3, data };
}

/** Largest difference of any raw output from PyTorch's, as read and as optimised. */
function worstErrors(name: string, size: number): number[] {
  const { graph, heads } = read(name);
  const expected = new Float32Array(file(`${name}.f32`).buffer);
  const { data } = picture(size);
  const area = size * size;
  const values = Float32Array.from(
    { length: 3 * area },
    (_, i) => data[(i % area) * 3 + Math.floor(i / area)] / 255,
  );
  const blobs = [...graph.outputs];
  expect([...blobs].sort()).toEqual(blobsOf(heads).sort());
  const worst = (): number => {
    const outputs = runReference(graph, { images: { shape: [3, size, size], data: values } });
    const found = blobs.flatMap((blob) => Array.from(outputs[blob].data));
    expect(found.length).toBe(expected.length);
    return found.reduce((most, value, i) => Math.max(most, Math.abs(value - expected[i])), 0);
  };
  const raw = worst();
  runPasses(graph, optimize);
  return [raw, worst()];
}

type Row = [x0: number, y0: number, x1: number, y1: number, score: number, classId: number];
interface Found {
  boxes: Row[];
  /** Run lengths of a mask for each box. */
  masks?: number[][];
}

function overlap(a: Row, b: Row): number {
  const extent = (i: 0 | 1): number => Math.max(Math.min(a[i + 2], b[i + 2]) - Math.max(a[i], b[i]), 0);
  const area = (row: Row): number => (row[2] - row[0]) * (row[3] - row[1]);
  const both = extent(0) * extent(1);
  return both / (area(a) + area(b) - both);
}

/** Every box that the authors' code finds has one of ours that is like it, and there are as many. */
async function expectBoxes(model: Model, name: string, size: number): Promise<void> {
  const { boxes, masks } = JSON.parse(new TextDecoder().decode(file(`${name}.json`))) as Found;
  const all = await model.detect(picture(size), { size, confidence: 0.45, iou: 0.45 });
  const found = all.filter(isObject).map((detection) => {
    const { box, score, classId } = detection;
    const row: Row = [box.x, box.y, box.x + box.width, box.y + box.height, score, classId];
    return { row, mask: detection.task === "segment" ? detection.mask : undefined };
  });
  expect(boxes.length).toBeGreaterThanOrEqual(10);
  expect(found.length).toBe(boxes.length);
  for (const [i, row] of boxes.entries()) {
    const theirs = masks && maskFromCounts(masks[i], { width: size, height: size });
    const isLike = (other: (typeof found)[number]): boolean =>
      other.row[5] === row[5] &&
      Math.abs(other.row[4] - row[4]) <= 1e-3 &&
      overlap(other.row, row) >= 0.99 &&
      (!theirs || (other.mask !== undefined && maskIou(other.mask, theirs) >= 0.98));
    expect(found.some(isLike)).toBe(true);
  }
}

const detectors = ["v5-seg", "v6", "v6-csp", "v6-lite", "v6-010", "v7", "v7-fused", "v7-aux"];

describe.each(detectors)("%s", (name) => {
  it("has PyTorch's raw outputs, before and after optimising", () => {
    for (const worst of worstErrors(name, 64)) expect(worst).toBeLessThan(1e-4);
  });
  it("finds what the authors' code finds", async () => {
    const model = await load([{ name: `${name}.pt`, bytes: file(`${name}.pt`) }], { backend: "reference" });
    await expectBoxes(model, name, name === "v5-seg" ? 160 : 64);
    await model.close();
  });
});

test("v5-seg: the masks' numbers are behind the classes, the prototypes in a blob of their own", () => {
  const { heads, labels, provenance } = read("v5-seg");
  const mask = { prototypes: "prototypes", count: 4 };
  expect(heads).toEqual([
    { kind: "yolov5", blob: "output0", stride: 8, anchors: [10, 13, 16, 30, 33, 23], mask },
    { kind: "yolov5", blob: "output1", stride: 16, anchors: [30, 61, 62, 45, 59, 119], mask },
  ]);
  expect(labels).toEqual(["cat", "dog", "bird"]);
  expect(provenance.className).toBe("models.yolo.SegmentationModel");
});

test("v5-cls: the middle of a picture is sorted as the authors' code sorts it", async () => {
  const { probabilities } = JSON.parse(new TextDecoder().decode(file("v5-cls.json")));
  const model = await load([{ name: "v5-cls.pt", bytes: file("v5-cls.pt") }], { backend: "reference" });
  const { input, heads, labels } = model.manifest;
  expect([input.width, input.height, input.resize]).toEqual([32, 32, "crop"]);
  expect(heads).toEqual([{ kind: "classes", blob: "logits", softmax: true, stride: 1 }]);
  expect(labels).toEqual(["ant", "bee", "cow", "dog", "elk"]);
  const whole = picture(48);
  const part = { ...whole, height: 40, data: whole.data.subarray(0, 3 * 48 * 40) };
  const found = await model.detect(part, { confidence: 0, multiLabel: true });
  expect(found.length).toBe(5);
  for (const { classId, score } of found) expect(Math.abs(score - probabilities[classId])).toBeLessThan(1e-4);
  await model.close();
});

test("YOLOv6: bins where the boxes are made of them; names are asked for", async () => {
  expect(read("v6-csp").heads[0]).toEqual({
    ...{ kind: "distances", scores: "scores0", boxes: "boxes0", stride: 8, bins: 17, point: 0.5 },
  });
  expect(read("v6-lite").heads.map((head) => "bins" in head && [head.stride, head.bins])).toEqual(
    [8, 16, 32, 64].map((stride) => [stride, 1]),
  );
  expect(read("v6-010").heads.map(({ kind }) => kind)).toEqual(["yolox", "yolox", "yolox"]);
  const source = [{ name: "v6.pt", bytes: file("v6.pt") }];
  const unnamed = await open(source);
  expect(unnamed.assumptions).toEqual(["the names of the 2 classes are not known; give them with --labels"]);
  const named = await open(source, { labels: ["cat", "dog"] });
  expect([named.manifest.labels, named.assumptions]).toEqual([["cat", "dog"], []]);
  await expect(open(source, { labels: ["cat"] })).rejects.toThrow(/found 1 names.*have 2 classes/);
});

test("YOLOv7: facts", () => {
  const model = read("v7");
  expect(model.provenance).toEqual({ className: "models.yolo.Model", part: "ema", epoch: 4 });
  expect(model.labels).toEqual(["cat", "dog"]);
  expect(model.heads).toEqual([
    { kind: "yolov5", blob: "output0", stride: 8, anchors: [10, 13, 16, 30, 33, 23] },
    { kind: "yolov5", blob: "output1", stride: 16, anchors: [30, 61, 62, 45, 59, 119] },
  ]);
});
