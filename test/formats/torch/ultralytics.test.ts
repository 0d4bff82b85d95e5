/** Checkpoints of the ultralytics package against what PyTorch computes with them (`scripts/ultralytics-fixtures.py`). */
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { runReference } from "../../../src/engine/reference/index.ts";
import { readTorch, type TorchModel, type TorchOptions } from "../../../src/formats/torch/index.ts";
import { blobsOf } from "../../../src/heads/index.ts";
import type { Head } from "../../../src/heads/manifest.ts";
import type { Graph } from "../../../src/ir/graph.ts";
import { optimize, runPasses } from "../../../src/passes/index.ts";

const folder = path.join(import.meta.dirname, "data/ultralytics");
const data = (name: string): Uint8Array => new Uint8Array(readFileSync(path.join(folder, name)));
const read = (name: string, options?: TorchOptions): TorchModel =>
  readTorch(data(`${name}.pt`), `${name}.pt`, options);
const names = readdirSync(folder)
  .filter((name) => name.endsWith(".pt"))
  .map((name) => name.slice(0, -3));

const size = 64;
/** The script's `picture()`. */
const picture = Float32Array.from({ length: 3 * size * size }, (_, i) => ((i * i * 31 + i * 17) % 251) / 250);

function outputsOf(graph: Graph, heads: readonly Head[]): number[] {
  const outputs = runReference(graph, { images: { shape: [3, size, size], data: picture } });
  return blobsOf(heads).flatMap((blob) => Array.from(outputs[blob].data));
}

/** Greatest difference, as a part of the values' size where that is above 1. */
const worst = (found: readonly number[], expected: Float32Array): number =>
  found.reduce(
    (most, value, i) => Math.max(most, Math.abs(value - expected[i]) / Math.max(1, Math.abs(expected[i]))),
    0,
  );

/** Layers, without Split, that pnnx 20260526 has for the package's ncnn exports of the networks of size n (t), which are these with more channels. */
const pnnxLayers: Record<string, number> = {
  ...{ v5n: 196, v8n: 179, v9t: 478, v10n: 225, "11n": 245, "26n": 282 },
  ...{ "v8n-seg": 205, "v8n-pose": 209, "v8n-obb": 210, "v8n-cls": 70 },
  ...{ "26n-seg": 318, "26n-pose": 311, "26n-obb": 310, "26n-cls": 108 },
};

describe.each(names)("%s", (name) => {
  const expected = new Float32Array(data(`${name}.f32`).buffer);
  const ways = /10|26/.test(name) && !/cls|fused/.test(name) ? [false, true] : [false];
  it.each(ways)("computes what PyTorch computes, end to end %s", (endToEnd) => {
    const model = read(name, { endToEnd });
    const half = expected.length / ways.length;
    const part = expected.subarray(endToEnd ? half : 0, endToEnd ? 2 * half : half);
    const found = outputsOf(model.graph, model.heads);
    expect(found.length).toBe(part.length);
    expect(worst(found, part)).toBeLessThan(1e-4);
    const { graph } = model;
    runPasses(graph, optimize);
    // What BottleneckCSP normalises has no convolution before it.
    const left = graph.nodes.filter(
      ({ type, inputs }) => type === "BatchNorm" && !inputs[0].endsWith(".cat"),
    );
    expect(left).toEqual([]);
    expect(graph.nodes.length).toBeLessThanOrEqual(pnnxLayers[name] ?? Number.POSITIVE_INFINITY);
    expect(worst(outputsOf(graph, model.heads), part)).toBeLessThan(1e-4);
  });
});

describe("facts", () => {
  it("of a model that was being trained: averaged weights, its size, names, date", () => {
    const { input, labels, provenance, family } = read("v5n");
    expect(input).toEqual({ channels: 3, stride: 32, size: 160 });
    expect(labels).toEqual(["ball", "bat", "glove"]);
    expect(provenance).toEqual({
      className: "ultralytics.nn.tasks.DetectionModel",
      part: "ema",
      epoch: 2,
      date: "2026-01-02T03:04:05",
    });
    expect(family).toBe("ultralytics");
  });

  it("the size of the model's own options where nothing was trained", () => {
    expect(read("v8n").input.size).toBe(96);
  });

  const base = { kind: "distances", stride: 8, point: 0.5, scores: "scores0", boxes: "boxes0" };
  it.each<[string, TorchOptions, object]>([
    ["v8n", {}, { ...base, bins: 4 }],
    ["v10n", {}, { ...base, bins: 16 }],
    ["v10n", { endToEnd: true }, { ...base, bins: 16, oneToOne: true }],
    ["26n", {}, { ...base, bins: 1 }],
    ["26n", { endToEnd: true }, { ...base, bins: 1, oneToOne: true }],
    ["v8n-seg", {}, { ...base, bins: 4, mask: { blob: "mask0", count: 4, prototypes: "prototypes" } }],
    ["v8n-obb", {}, { ...base, bins: 4, angle: { blob: "angle0" } }],
    ["26n-obb", {}, { ...base, bins: 1, angle: { blob: "angle0", radians: true } }],
    [
      "v8n-pose",
      {},
      { ...base, bins: 4, points: { blob: "points0", count: 2, visibility: true, scale: 2, point: 0 } },
    ],
    ["26n-pose", {}, { ...base, bins: 1, points: { blob: "points0", count: 3 } }],
    ["v8n-cls", {}, { kind: "classes", blob: "logits", softmax: true, stride: 1 }],
  ])("head of %s %o", (name, options, head) => {
    const { heads } = read(name, options);
    expect(heads[0]).toEqual(head);
    expect(heads).toHaveLength(name.endsWith("cls") ? 1 : 3);
  });

  it("a classifier says how it was normalised", () => {
    const { levels, family } = read("v8n-cls");
    expect(family).toBe("ultralytics-cls");
    const close = (values: number[]) => values.map((value) => expect.closeTo(value, 4));
    expect(levels).toEqual({
      mean: close([123.675, 116.28, 103.53]),
      norm: close([1 / 58.395, 1 / 57.12, 1 / 57.375]),
    });
  });

  it("end to end is refused where there is no such branch", () => {
    expect(() => read("11n", { endToEnd: true })).toThrow(
      /end2end was asked for, but the model has no branches that give one box an object/,
    );
  });
});
