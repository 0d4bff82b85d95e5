/** Faces with points: small exports of their authors' form against decoding that is not ours (scripts/face-goldens.py). */
import { readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { Random } from "../../src/base/random.ts";
import { createSession } from "../../src/engine/session.ts";
import { checkManifest, manifestHeader, parseManifest, printManifest } from "../../src/formats/manifest.ts";
import type { Head } from "../../src/heads/index.ts";
import { blobsOf, importanceOf, lossOf } from "../../src/heads/index.ts";
import {
  type Detection,
  isObject,
  load,
  type ObjectDetection,
  type Picture,
  type Point,
} from "../../src/node.ts";
import { exportModel } from "../../src/open/export.ts";
import { openModel } from "../../src/open/formats.ts";
import { recognise } from "../../src/open/recognise.ts";
import { memoryFolder } from "../../src/open/source.ts";
import { complaints, hasCompiler } from "./_cpp.ts";
import { Builder, side } from "./_graphs.ts";

const folder = path.resolve(import.meta.dirname, "faces");
/** By model and input size: `[score, x0, y0, x1, y1, points x y …]` in pixels, of faces with scores above 0.3. */
const goldens = JSON.parse(readFileSync(path.join(folder, "goldens.json"), "utf8")) as Record<
  string,
  Record<string, number[][]>
>;
const families: Record<string, string> = {
  scrfd: "RGB from -1 to 1 (less 127.5, by 128)",
  "scrfd-boxes": "RGB from -1 to 1 (less 127.5, by 128)",
  retinaface: "BGR less 104, 117, 123",
  "retinaface-slim": "BGR less 104, 117, 123",
  "retinaface-mxnet": "RGB with levels 0 to 255",
  blazeface: "RGB from -1 to 1",
  "blazeface-back": "RGB from -1 to 1",
};

/** As the script makes it. */
function pictureOf(width: number, height: number): Picture {
  const data = Uint8Array.from({ length: width * height * 3 }, (_, i) => {
    const [c, x, y] = [i % 3, Math.floor(i / 3) % width, Math.floor(i / 3 / width)];
    return (x * x * 3 + y * 7 + x * y + c * 50) % 256;
  });
  return { width, height, data, channels: 3 };
}

function overlap(a: readonly number[], b: readonly number[]): number {
  const area = ([x0, y0, x1, y1]: readonly number[]): number => Math.max(x1 - x0, 0) * Math.max(y1 - y0, 0);
  const shared = area([
    ...[Math.max(a[0], b[0]), Math.max(a[1], b[1])],
    ...[Math.min(a[2], b[2]), Math.min(a[3], b[3])],
  ]);
  return shared / (area(a) + area(b) - shared);
}

const pointsOf = (found: Detection | undefined): Point[] => (found?.task === "pose" ? found.points : []);
const cornersOf = ({ box }: ObjectDetection): number[] => [
  box.x,
  box.y,
  box.x + box.width,
  box.y + box.height,
];

describe("boxes and points are those of decoding in numpy what onnxruntime gives", () => {
  test.each(Object.entries(goldens))("%s", async (name, sizes) => {
    const model = await load(path.join(folder, `${name}.onnx`), { backend: "wasm" });
    try {
      expect(model.manifest.labels).toEqual(["face"]);
      expect(model.assumptions.join("\n")).toContain(families[name]);
      for (const [text, expected] of Object.entries(sizes)) {
        const [width, height] = text.split("x").map(Number);
        const all = await model.detect(pictureOf(width, height), {
          confidence: 0.299,
          maxDetections: 1000,
          size: { width, height },
        });
        const found = all.filter(isObject);
        for (const [score, x0, y0, x1, y1, ...points] of expected) {
          const alike = found.filter((face) => Math.abs(face.score - score) <= 1e-3);
          const best = alike.reduce<ObjectDetection | undefined>(
            (most, face) =>
              overlap(cornersOf(face), [x0, y0, x1, y1]) >
              (most ? overlap(cornersOf(most), [x0, y0, x1, y1]) : 0.99)
                ? face
                : most,
            undefined,
          );
          expect(best, `${text}: ${score} at ${[x0, y0, x1, y1]}`).toBeDefined();
          const places = pointsOf(best).flatMap(({ x, y }) => [x, y]);
          expect(places.length).toBe(points.length);
          expect(Math.max(0, ...points.map((value, i) => Math.abs(value - places[i])))).toBeLessThan(0.5);
          expect(pointsOf(best).every((point) => !("score" in point))).toBe(true);
        }
      }
    } finally {
      model.close();
    }
  });
});

describe("every face head is served everywhere", () => {
  test.each(Object.keys(goldens))("%s", async (name) => {
    const bytes = readFileSync(path.join(folder, `${name}.onnx`));
    const { graph, manifest } = await openModel(memoryFolder([{ name: "tiny.onnx", bytes }]), "tiny.onnx");
    const { heads, input } = manifest;
    checkManifest(manifest, graph);
    expect(parseManifest(printManifest(manifest), "tiny.json").heads).toEqual(heads);
    expect(() => checkManifest({ ...manifest, labels: Array(99).fill("x") }, graph)).toThrow("99 labels");
    const [head] = heads;
    if ("points" in head && head.points) {
      const withPoints = (points: object): typeof manifest => ({
        ...manifest,
        heads: [{ ...head, points: { ...head.points!, ...points } } as Head],
      });
      expect(() => checkManifest(withPoints({ blob: "none" }), graph)).toThrow(
        /heads\[0\].points.blob: found "none"/,
      );
      expect(() => checkManifest(withPoints({ count: 99 }), graph)).toThrow("99 points");
      expect(() => parseManifest(JSON.stringify(withPoints({ count: 0 })), "tiny.json")).toThrow(
        "heads[0].points.count: found 0, expected at least 1",
      );
    }
    const header = manifestHeader(manifest);
    for (const blob of blobsOf(heads)) expect(header).toContain(`"${blob}"`);
    if (hasCompiler) expect(complaints(header)).toBe("");
    const session = await createSession(graph, { backend: "reference" });
    const shape = [3, input.height, input.width];
    const data = new Random(5).floats(3 * input.height * input.width, -1, 1);
    const outputs = await session.run({ [input.blob]: { shape, data } }, blobsOf(heads));
    session.close();
    expect(lossOf(heads, 1, outputs, outputs)).toBe(0);
    for (const blob of blobsOf(heads)) {
      const moved = { shape: outputs[blob].shape, data: outputs[blob].data.map((value) => value + 0.5) };
      expect(lossOf(heads, 1, outputs, { ...outputs, [blob]: moved }), blob).toBeGreaterThan(0);
    }
    // Heads of two anchors share a blob: the scores of both count.
    const { scores } = heads[0] as { scores: string };
    const weights = importanceOf(heads, 1, scores, outputs)!;
    const area = outputs[scores].shape[1] * outputs[scores].shape[2];
    for (let channel = 0; channel < outputs[scores].shape[0]; channel++) {
      expect(Math.max(...weights.subarray(channel * area, (channel + 1) * area))).toBeGreaterThan(0.05);
    }
    const again = await exportModel({ graph, manifest });
    const back = await openModel(memoryFolder([{ name: "tiny.onnx", bytes: again }]), "tiny.onnx");
    expect(back.manifest.heads).toEqual(heads);
  });
});

describe("planes, as ncnn's conversions leave them", () => {
  const planes = (
    strides: readonly number[],
    ...outputs: readonly (readonly [number, number])[]
  ): Builder => {
    const b = new Builder();
    for (const stride of strides) {
      for (const [i, [channels, activation]] of outputs.entries())
        b.level(`o${i}_${stride}`, channels, stride, activation);
    }
    return b;
  };
  const kindsOf = (b: Builder, facts: Parameters<typeof recognise>[1] = {}): unknown => {
    const found = recognise(b.graph.clone(), facts);
    return found && "heads" in found ? found.heads.map((head) => head.kind) : found;
  };

  test("SCRFD with points, in any order", () => {
    const found = recognise(planes([8, 16, 32], [20, 0], [2, 4], [8, 0]).graph, {});
    expect(found).toMatchObject({ family: "scrfd", labels: ["face"], stride: 32, isCut: false });
    expect(found && "heads" in found ? found.heads.slice(0, 2) : []).toEqual([
      {
        ...{ kind: "distances", scores: "o1_8", boxes: "o2_8", stride: 8, bins: 1, point: 0 },
        points: { blob: "o0_8", count: 5 },
      },
      {
        ...{
          kind: "distances",
          scores: "o1_8",
          scoresFrom: 1,
          boxes: "o2_8",
          boxesFrom: 4,
          stride: 8,
          bins: 1,
          point: 0,
        },
        points: { blob: "o0_8", from: 10, count: 5 },
      },
    ]);
  });

  test("what is not as its models have it is asked for", () => {
    expect(kindsOf(planes([8, 16, 32], [1, 4], [4, 0]))).toMatchObject({
      near: expect.stringContaining("--family scrfd"),
    });
    expect(kindsOf(planes([8, 16], [2, 4], [8, 0]))).toMatchObject({ near: expect.stringContaining("8,16") });
    expect(kindsOf(planes([8, 16], [2, 4], [8, 0]), { family: "scrfd" })).toEqual(Array(4).fill("distances"));
    expect(kindsOf(planes([8, 16, 32], [2, 4], [8, 0]))).toEqual(Array(6).fill("distances"));
    // The same with anchors, by the caller's word.
    expect(kindsOf(planes([8, 16, 32], [2, 4], [8, 0]), { family: "retinaface" })).toEqual(
      Array(6).fill("priors"),
    );
  });

  test("logits of RetinaFace do not tell which are the background's", () => {
    expect(kindsOf(planes([8, 16, 32], [4, 0], [8, 0], [20, 0]))).toMatchObject({
      near: expect.stringContaining("softmax"),
    });
  });

  test("RetinaFace's softmax with other anchors needs their sizes", () => {
    const b = new Builder();
    for (const stride of [8, 16]) {
      const pair = b.add("Reshape", `p${stride}`, [b.level(`s${stride}`, 4, stride)], { w: 0, h: -1, c: 2 });
      const soft = b.add("Softmax", `f${stride}`, [pair], { axis: 0, fixbug0: 1 });
      b.add("Reshape", `prob${stride}`, [soft], { w: side / stride, h: side / stride, c: 4 });
      b.level(`box${stride}`, 8, stride);
      b.level(`mark${stride}`, 20, stride);
    }
    expect(kindsOf(b)).toMatchObject({
      near: expect.stringMatching(/2 at stride 8, 2 at stride 16.*--anchors/),
    });
    expect(
      kindsOf(b, {
        anchors: [
          [32, 40, 16, 20],
          [9, 9],
        ],
      }),
    ).toMatchObject({
      near: expect.stringContaining("--anchors has 2, 1"),
    });
    const found = recognise(b.graph, {
      anchors: [
        [32, 40, 16, 20],
        [128, 128, 64, 64],
      ],
    });
    expect(found).toMatchObject({ family: "retinaface-mxnet", isCut: true });
    expect(found && "heads" in found ? found.heads.slice(0, 2) : []).toEqual([
      {
        ...{ kind: "priors", scores: "s8", scoresFrom: 2, background: 0, boxes: "box8", stride: 8, point: 1 },
        ...{ anchor: [32, 40], variances: [1, 1], points: { blob: "mark8", count: 5 } },
      },
      {
        ...{
          kind: "priors",
          scores: "s8",
          scoresFrom: 3,
          background: 1,
          boxes: "box8",
          boxesFrom: 4,
          stride: 8,
        },
        ...{ point: 1, anchor: [16, 20], variances: [1, 1], points: { blob: "mark8", from: 10, count: 5 } },
      },
    ]);
  });

  test("offsets to anchors without points are RetinaFace's by the caller's word", () => {
    const b = new Builder();
    for (const stride of [8, 16, 32]) {
      const pair = b.add("Reshape", `p${stride}`, [b.level(`s${stride}`, 4, stride)], { w: 0, h: -1, c: 2 });
      const soft = b.add("Softmax", `f${stride}`, [pair], { axis: 0, fixbug0: 1 });
      b.add("Reshape", `prob${stride}`, [soft], { w: side / stride, h: side / stride, c: 4 });
      b.level(`box${stride}`, 8, stride);
    }
    expect(kindsOf(b)).toMatchObject({ near: expect.stringContaining("without points") });
    expect(kindsOf(b, { family: "retinaface-mxnet" })).toEqual(Array(6).fill("priors"));
  });

  test("CenterFace without points is told from CenterNet by the caller", () => {
    const b = planes([4], [1, 4], [2, 0], [2, 0]);
    expect(kindsOf(b)).toMatchObject({ near: expect.stringContaining("CenterFace") });
    expect(recognise(b.graph, { family: "centerface" })).toMatchObject({
      heads: [{ kind: "centerface", scores: "o0_4", sizes: "o1_4", offsets: "o2_4", stride: 4 }],
    });
  });

  test("BlazeFace, whose numbers of anchors differ", () => {
    const b = new Builder();
    for (const [stride, anchors] of [
      [8, 2],
      [16, 6],
    ]) {
      b.level(`r${stride}`, 16 * anchors, stride);
      b.level(`c${stride}`, anchors, stride);
    }
    expect(kindsOf(b)).toEqual(Array(8).fill("priors"));
  });

  test("boxes and scores in one output, a row for each anchor", () => {
    const b = new Builder();
    const rows = (blob: string, values: number): string =>
      b.add("Reshape", `rows_${blob}`, [b.add("Permute", `turned_${blob}`, [blob], { order_type: 3 })], {
        ...{ w: values, h: -1 },
      });
    const levels = (
      [
        [8, 2],
        [16, 6],
      ] as const
    ).map(([stride, anchors]) => {
      const values = rows(b.level(`r${stride}`, 16 * anchors, stride), 16);
      return b.add("Concat", `all${stride}`, [values, rows(b.level(`c${stride}`, anchors, stride), 1)], {
        axis: 1,
      });
    });
    b.add("Concat", "out0", levels, { axis: 0 });
    const found = recognise(b.graph, {});
    expect(found).toMatchObject({ family: "blazeface", isCut: true });
    expect(found && "heads" in found ? found.heads[7] : undefined).toEqual({
      ...{
        kind: "priors",
        scores: "c16",
        scoresFrom: 5,
        boxes: "r16",
        boxesFrom: 80,
        stride: 16,
        point: 0.5,
      },
      ...{ anchor: [1, 1], variances: [1, 1], linear: true, points: { blob: "r16", from: 84, count: 6 } },
    });
  });

  test("two outputs of which one is computed from several numbers are nobody's else", () => {
    const b = planes([8, 16, 32], [64, 0], [3, 0]);
    b.add("Softmax", "soft", [b.level("extra", 3, 8)], { axis: 0, fixbug0: 1 });
    expect(kindsOf(b)).toEqual({
      near: expect.stringMatching(/64 raw, 3 raw; soft computed.*no kind that is known/),
    });
  });
});
