/** Small models and pictures, made here. */
import { deflateSync } from "node:zlib";
import { type Manifest, modelFiles } from "../../src/index.ts";
import { Graph } from "../../src/ir/graph.ts";
import { f32Weight } from "../../src/ir/weight.ts";

/**
 * A detector with one head of stride 8, two classes and three anchors: a single convolution whose objectness is high where
 * the picture is white, as class `white`.
 */
export function tinyModel(name = "tiny"): { graph: Graph; manifest: Manifest } {
  const values = 7;
  const kernel = 8;
  const weights = new Float32Array(3 * values * 3 * kernel * kernel);
  const bias = new Float32Array(3 * values);
  const perOutput = 3 * kernel * kernel;
  for (let anchor = 0; anchor < 3; anchor++) {
    const objectness = anchor * values + 4;
    weights.fill(anchor === 0 ? 10 / perOutput : 0, objectness * perOutput, (objectness + 1) * perOutput);
    bias[objectness] = anchor === 0 ? -5 : -20;
    bias[objectness + 1] = 5;
    bias[objectness + 2] = -5;
  }
  const graph = new Graph();
  graph.add({ type: "Input", name: "images", outputs: ["images"] });
  graph.add({
    type: "Convolution",
    name: "head",
    inputs: ["images"],
    outputs: ["raw"],
    params: {
      num_output: 3 * values,
      kernel_w: kernel,
      stride_w: kernel,
      bias_term: 1,
      weight_data_size: weights.length,
    },
    weights: { weight: f32Weight(weights), bias: f32Weight(bias) },
  });
  graph.add({
    type: "Reshape",
    name: "reshape",
    inputs: ["raw"],
    outputs: ["grid"],
    params: { w: -1, h: values, c: 3 },
  });
  graph.add({
    type: "Permute",
    name: "permute",
    inputs: ["grid"],
    outputs: ["output"],
    params: { order_type: 1 },
  });
  const manifest: Manifest = {
    version: 1,
    name,
    param: `${name}.param`,
    bin: `${name}.bin`,
    input: {
      ...{ blob: "images", width: 64, height: 64, stride: 8, channels: 3, pixel: "RGB" },
      ...{ mean: [0, 0, 0], norm: [1 / 255, 1 / 255, 1 / 255], resize: "letterbox", letterboxColor: 114 },
    },
    heads: [{ kind: "yolov5", blob: "output", stride: 8, anchors: [8, 8, 16, 16, 24, 24] }],
    labels: ["white", "black"],
    provenance: { tool: "test", passes: [] },
  };
  return { graph, manifest };
}

export function tinyFiles(name = "tiny"): Record<string, Uint8Array | string> {
  const { graph, manifest } = tinyModel(name);
  return modelFiles(graph, manifest);
}

/** A 1-bit greyscale PNG, all black or with white where `white(x, y)`. */
export function png(width: number, height: number, white?: (x: number, y: number) => boolean): Uint8Array {
  const pitch = 1 + Math.ceil(width / 8);
  const rows = new Uint8Array(height * pitch);
  if (white) {
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) if (white(x, y)) rows[y * pitch + 1 + (x >> 3)] |= 128 >> (x & 7);
    }
  }
  const header = new Uint8Array(13);
  const view = new DataView(header.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  header[8] = 1; // bit depth; colour type 0 is grey
  return Uint8Array.from([
    ...[137, 80, 78, 71, 13, 10, 26, 10],
    ...pngChunk("IHDR", header),
    ...pngChunk("IDAT", deflateSync(rows, { level: 1 })),
    ...pngChunk("IEND", new Uint8Array()),
  ]);
}

function pngChunk(type: string, data: Uint8Array): number[] {
  const body = [...new TextEncoder().encode(type), ...data];
  const number = (value: number): number[] => [24, 16, 8, 0].map((shift) => (value >>> shift) & 255);
  return [...number(data.length), ...body, ...number(crc32(body))];
}

function crc32(bytes: readonly number[]): number {
  let crc = -1;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  }
  return ~crc >>> 0;
}
