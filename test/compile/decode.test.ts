/** What a compiled file makes of outputs: the library's detections, for every kind of head. Networks pass their inputs on. */
import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { Random } from "../../src/base/random.ts";
import { postprocess } from "../../src/detect/detect.ts";
import { stretchTransform } from "../../src/detect/letterbox.ts";
import { maskToBitmap } from "../../src/detect/mask.ts";
import { Placer } from "../../src/detect/placer.ts";
import { blobsOf, type Head } from "../../src/heads/index.ts";
import type { Manifest } from "../../src/heads/manifest.ts";
import type { Detection } from "../../src/index.ts";
import { Graph } from "../../src/ir/graph.ts";
import { elementCount, type Shape } from "../../src/ir/tensor.ts";
import { f32Weight } from "../../src/ir/weight.ts";
import { type Detector, noise, openedOf, writeCompiled } from "./_compiled.ts";

const width = 64;
const height = 32;
const area = { 8: 32, 16: 8, 32: 2 } as const;
type Stride = keyof typeof area;
const plane = (channels: number, stride: Stride): Shape => [channels, height / stride, width / stride];

interface Case {
  readonly name: string;
  readonly heads: readonly Head[];
  readonly shapes: Readonly<Record<string, Shape>>;
  readonly classes: number;
  /** Values are between these; default −4 and 4. */
  readonly from?: number;
  readonly to?: number;
}

const level = (stride: Stride) => ({
  kind: "distances" as const,
  scores: `s${stride}`,
  boxes: `b${stride}`,
  stride,
});
const face = { kind: "centerface" as const, scores: "s", sizes: "wh", offsets: "xy", stride: 8 };
const prior = {
  ...{ kind: "priors" as const, scores: "s", boxes: "b", stride: 16, point: 0.5 },
  ...{ anchor: [16, 24], variances: [0.1, 0.2] },
};
const table = { kind: "boxes" as const, blob: "out", unit: "pixels" as const, stride: 8, objectness: false };

const cases: readonly Case[] = [
  {
    name: "classes",
    heads: [{ kind: "classes", blob: "list", softmax: true, stride: 1 }],
    ...{ shapes: { list: [7] }, classes: 7 },
  },
  {
    name: "classes that are scores",
    heads: [{ kind: "classes", blob: "list", softmax: false, stride: 1 }],
    ...{ shapes: { list: [7] }, classes: 7, from: -0.2, to: 1 },
  },
  ...(["square", "exp"] as const).map((size) => ({
    name: `yolov5, ${size}`,
    heads: [
      {
        kind: "yolov5" as const,
        blob: "a",
        stride: 8,
        anchors: [10, 13, 16, 30, 33, 23],
        size,
        centerScale: size === "exp" ? 1.1 : 2,
      },
      { kind: "yolov5" as const, blob: "b", stride: 16, anchors: [30, 61, 62, 45], size },
    ],
    ...{ shapes: { a: [3, area[8], 9], b: [2, area[16], 9] }, classes: 4 },
  })),
  {
    name: "yolov5 with masks",
    heads: [
      {
        kind: "yolov5",
        blob: "a",
        stride: 8,
        anchors: [20, 13, 26, 30],
        mask: { prototypes: "p", count: 3 },
      },
    ],
    ...{ shapes: { a: [2, area[8], 10], p: [3, height / 4, width / 4] }, classes: 2 },
  },
  {
    name: "distances in bins",
    heads: [8, 16, 32].map((stride) => ({ ...level(stride as Stride), bins: 8, point: 0.5 })),
    shapes: Object.fromEntries(
      ([8, 16, 32] as const).flatMap((stride) => [
        [`s${stride}`, plane(5, stride)],
        [`b${stride}`, plane(32, stride)],
      ]),
    ),
    classes: 5,
  },
  {
    name: "distances from channels on, one to one",
    heads: [{ ...level(8), scoresFrom: 2, boxesFrom: 1, bins: 1, point: 0, oneToOne: true }],
    ...{ shapes: { s8: plane(6, 8), b8: plane(5, 8) }, classes: 3 },
  },
  ...[true, false].map((visibility) => ({
    name: `distances with points, ${visibility ? "seen" : "plain"}`,
    heads: [
      {
        ...{ ...level(8), bins: 4, point: 0.5 },
        points: { blob: "k", from: 1, count: 4, visibility, ...(visibility && { scale: 2, point: 0 }) },
      },
    ],
    ...{ shapes: { s8: plane(2, 8), b8: plane(16, 8), k: plane(13, 8) }, classes: 2 },
  })),
  ...[true, false].map((radians) => ({
    name: `distances, turned by ${radians ? "radians" : "a sigmoid"}`,
    heads: [{ ...level(8), bins: 4, point: 0.5, angle: { blob: "t", radians } }],
    ...{ shapes: { s8: plane(2, 8), b8: plane(16, 8), t: plane(1, 8) }, classes: 2 },
  })),
  {
    name: "distances with masks",
    heads: [{ ...level(8), bins: 4, point: 0.5, mask: { blob: "m", from: 1, prototypes: "p", count: 4 } }],
    ...{
      shapes: { s8: plane(2, 8), b8: plane(16, 8), m: plane(5, 8), p: [4, height / 4, width / 4] },
      classes: 2,
    },
  },
  {
    name: "yolox",
    heads: [{ kind: "yolox", boxes: "b", objectness: "o", scores: "s", stride: 8 }],
    ...{ shapes: { b: plane(4, 8), o: plane(1, 8), s: plane(6, 8) }, classes: 6 },
  },
  {
    name: "fastestdet",
    heads: [{ kind: "fastestdet", boxes: "b", objectness: "o", scores: "s", stride: 8 }],
    ...{ shapes: { b: plane(4, 8), o: plane(1, 8), s: plane(6, 8) }, classes: 6 },
  },
  {
    name: "yolo-fastestv2",
    heads: [
      {
        kind: "yolo-fastestv2",
        boxes: "b",
        objectness: "o",
        scores: "s",
        stride: 16,
        anchors: [12, 19, 37, 51],
      },
    ],
    ...{ shapes: { b: plane(8, 16), o: plane(2, 16), s: plane(3, 16) }, classes: 3 },
  },
  {
    name: "centerface",
    heads: [face],
    shapes: { s: plane(2, 8), wh: plane(2, 8), xy: plane(2, 8) },
    classes: 2,
  },
  {
    name: "centerface with points",
    heads: [{ ...face, points: { blob: "k", count: 5 } }],
    ...{ shapes: { s: plane(1, 8), wh: plane(2, 8), xy: plane(2, 8), k: plane(10, 8) }, classes: 1 },
  },
  {
    name: "priors",
    heads: [
      { ...prior, scoresFrom: 1, boxesFrom: 2 },
      { ...prior, linear: true, anchor: [5, 9] },
    ],
    ...{ shapes: { s: plane(4, 16), b: plane(6, 16) }, classes: 3 },
  },
  {
    name: "priors with a background and points",
    heads: [{ ...prior, scoresFrom: 1, background: 0, points: { blob: "k", count: 5 } }],
    ...{ shapes: { s: plane(4, 16), b: plane(4, 16), k: plane(10, 16) }, classes: 3 },
  },
  {
    name: "boxes in rows",
    heads: [{ ...table, layout: "rows", box: "cxcywh", objectness: true }],
    ...{ shapes: { out: [40, 8] }, classes: 3, from: -0.5, to: 1.2 },
  },
  {
    name: "boxes in columns, parts of the input, scores apart",
    heads: [{ ...table, layout: "columns", box: "xyxy", unit: "parts", scores: "s" }],
    ...{ shapes: { out: [4, 40], s: [3, 40] }, classes: 3, from: -0.5, to: 1.2 },
  },
  {
    name: "boxes with points",
    heads: [{ ...table, layout: "columns", box: "cxcywh", points: { count: 3, visibility: true } }],
    ...{ shapes: { out: [15, 40] }, classes: 2, from: -0.5, to: 40 },
  },
  {
    name: "boxes that are turned",
    heads: [{ ...table, layout: "columns", box: "cxcywh", angle: true }],
    ...{ shapes: { out: [7, 40] }, classes: 2, from: -3, to: 30 },
  },
  {
    name: "boxes with masks",
    heads: [{ ...table, layout: "rows", box: "cxcywh", mask: { prototypes: "p", count: 2 } }],
    ...{ shapes: { out: [40, 8], p: [2, height / 8, width / 8] }, classes: 2, from: -2, to: 30 },
  },
  {
    name: "detections",
    heads: [{ kind: "detections", blob: "rows", stride: 8 }],
    ...{ shapes: { rows: [30, 6] }, classes: 4, from: -0.6, to: 4.9 },
  },
];

/** A network whose outputs are its inputs. */
async function detectorOf({
  heads,
  shapes,
  classes,
}: Case): Promise<{ detector: Detector; manifest: Manifest }> {
  const graph = new Graph();
  graph.add({ type: "Input", name: "images", outputs: ["images"] });
  for (const [blob, shape] of Object.entries(shapes)) {
    const [w = 0, h = 0, c = 0] = shape.toReversed();
    graph.add({ type: "Input", name: `in-${blob}`, outputs: [`in-${blob}`], params: { w, h, c } });
    graph.add({ type: "Noop", name: blob, inputs: [`in-${blob}`], outputs: [blob] });
  }
  const manifest: Manifest = {
    ...{ version: 1, name: "passing", param: "passing.param", bin: "passing.bin" },
    input: {
      ...{ blob: "images", width, height, stride: 32, channels: 3, pixel: "RGB" },
      ...{ mean: [0, 0, 0], norm: [1, 1, 1], resize: "stretch", letterboxColor: 0 },
    },
    heads: [...heads],
    labels: Array.from({ length: classes }, (_, k) => `class ${k}`),
    provenance: { tool: "test", passes: [] },
  };
  const { module, facts } = await writeCompiled(openedOf({ graph, manifest }));
  expect(facts.decode).toBe(true);
  return { detector: await module.load(), manifest };
}

type Blobs = Record<string, { shape: Shape; data: Float32Array }>;

const special = [
  Number.NaN,
  Number.POSITIVE_INFINITY,
  Number.NEGATIVE_INFINITY,
  0,
  -0,
  1,
  24,
  30,
  30.000002,
  40,
  50,
  1000,
  -1000,
  1e-30,
];

/** Random values: plain; of few levels, so that scores are equal; with special ones strewn in. */
function blobsFor({ shapes, from = -4, to = 4 }: Case, seed: number): Blobs {
  const random = new Random(seed);
  const kind = seed % 3;
  const value = (): number => {
    const plain = random.uniform(from, to);
    if (kind === 1) return Math.round(plain * 2) / 2;
    if (kind === 2 && random.uniform(0, 1) < 0.1) return special[random.int(0, special.length - 1)];
    return plain;
  };
  return Object.fromEntries(
    Object.entries(shapes).map(([blob, shape]) => {
      const data = Float32Array.from({ length: elementCount(shape) }, value);
      return [blob, { shape, data }];
    }),
  );
}

/** Floats of the library's doubles, and the pixels of masks. */
function asFloats(value: unknown): unknown {
  if (typeof value === "number") return Math.fround(value);
  if (Array.isArray(value)) return value.map(asFloats);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, asFloats(each)]));
}
const withPixels = (found: Detection): unknown =>
  found.task === "segment" ? { ...found, mask: Array.from(maskToBitmap(found.mask)) } : found;

/** The mask in the whole picture. */
function whole(found: unknown, width: number, height: number): unknown {
  const { mask, ...rest } = found as { mask?: { x: number; y: number; width: number; data: Uint8Array } };
  if (!mask) return found;
  const all = new Uint8Array(width * height);
  mask.data.forEach((bit, i) => {
    all[(mask.y + Math.floor(i / mask.width)) * width + mask.x + (i % mask.width)] = bit;
  });
  return { ...rest, mask: Array.from(all) };
}

describe("detections in the file are the library's", () => {
  test.each(cases)("$name", async (each) => {
    const { detector, manifest } = await detectorOf(each);
    const transform = stretchTransform(width, height, width, height);
    let count = 0;
    for (let seed = 0; seed < 30; seed++) {
      const blobs = blobsFor(each, seed);
      for (const options of [
        { confidence: 0.25, iou: 0.45 },
        { confidence: 0, iou: 0.9, maxDetections: 1000 },
        { confidence: 0.01, iou: 0.2, maxDetections: 7 },
      ]) {
        const found = postprocess(blobs, manifest, transform, options);
        const input = Object.fromEntries(blobsOf(each.heads).map((blob) => [`in-${blob}`, blobs[blob].data]));
        const own = detector.detect({ images: new Float32Array(3 * width * height), ...input }, options);
        const where = `seed ${seed}, confidence ${options.confidence}`;
        expect(
          own.map((each) => whole(each, width, height)),
          where,
        ).toEqual(found.map(withPixels).map(asFloats));
        count += found.length;
      }
    }
    expect(count).toBeGreaterThan(50);
  });
});

/** One convolution with random numbers, from which all of a head comes. */
function noisyPlanes(
  head: Head,
  channels: number,
  resize: "letterbox" | "stretch",
): { graph: Graph; manifest: Manifest } {
  const random = new Random(7);
  const graph = new Graph();
  graph.add({ type: "Input", name: "images", outputs: ["images"] });
  for (const [blob, side, count] of [
    ["raw", 8, channels],
    ["p", 4, 3],
  ] as const) {
    const numbers = (length: number, most: number): Float32Array =>
      Float32Array.from({ length }, () => random.uniform(-most, most));
    const weight = numbers(count * 3 * side * side, 0.6);
    graph.add({
      ...{ type: "Convolution", name: blob, inputs: ["images"], outputs: [blob] },
      params: {
        ...{ num_output: count, kernel_w: side, stride_w: side, bias_term: 1 },
        weight_data_size: weight.length,
      },
      weights: { weight: f32Weight(weight), bias: f32Weight(numbers(count, 1).map((each) => each + 1.5)) },
    });
  }
  const manifest: Manifest = {
    ...{ version: 1, name: "planes", param: "planes.param", bin: "planes.bin" },
    input: {
      ...{ blob: "images", width, height, stride: 32, channels: 3, pixel: "RGB" },
      ...{ mean: [128, 128, 128], norm: [0.01, 0.01, 0.01], resize, letterboxColor: 114 },
    },
    heads: [head],
    labels: ["one", "two"],
    provenance: { tool: "test", passes: [] },
  };
  return { graph, manifest };
}

const shared = {
  kind: "distances",
  scores: "raw",
  boxes: "raw",
  boxesFrom: 2,
  stride: 8,
  bins: 1,
  point: 0.5,
} as const;

describe("in pixels of the picture", () => {
  test.each<[string, Head, number]>([
    ["points that are seen", { ...shared, points: { blob: "raw", from: 6, count: 3, visibility: true } }, 15],
    ["points", { ...shared, points: { blob: "raw", from: 6, count: 3 } }, 12],
    ["turned boxes", { ...shared, angle: { blob: "raw", from: 6 } }, 7],
    ["masks", { ...shared, mask: { blob: "raw", from: 6, prototypes: "p", count: 3 } }, 9],
  ])("%s", async (_, head, channels) => {
    let count = 0;
    for (const resize of ["letterbox", "stretch"] as const) {
      const { graph, manifest } = noisyPlanes(head, channels, resize);
      const { module, files } = await writeCompiled(openedOf({ graph, manifest }));
      expect(gzipSync(files["planes.js"]).length).toBeLessThan(12 * 1024);
      const detector = await module.load();
      const placer = new Placer(manifest.input);
      for (const picture of [noise(64, 32, 3), noise(131, 77, 4), noise(33, 90, 3), noise(200, 151, 3)]) {
        const { transform } = placer.place(picture, { width, height });
        const found = postprocess(detector.run(picture), manifest, transform, { confidence: 0.1 });
        const own = detector.detect(picture, { confidence: 0.1 });
        const all = own.map((each) => whole(each, picture.width, picture.height));
        expect(all).toEqual(found.map(withPixels).map(asFloats));
        count += found.length;
      }
    }
    expect(count).toBeGreaterThan(50);
  });

  test("heads that have other parts than others are not decoded, and that is said", async () => {
    const { graph, manifest } = noisyPlanes({ ...shared, angle: { blob: "raw", from: 6 } }, 7, "stretch");
    const { facts, module } = await writeCompiled(
      openedOf({ graph, manifest: { ...manifest, heads: [...manifest.heads, shared] } }),
    );
    expect(facts).toMatchObject({ decode: false });
    await expect(module.detect(noise(9, 9, 3))).rejects.toThrow(
      "some of its heads have points, masks or angles",
    );
  });
});
