import { describe, expect, test } from "vitest";
import { Random } from "../../src/base/random.ts";
import { createSession } from "../../src/engine/session.ts";
import { checkManifest, manifestHeader, parseManifest, printManifest } from "../../src/formats/manifest.ts";
import { Candidates } from "../../src/heads/candidates.ts";
import { blobsOf, decodeHead, type Head, importanceOf, lossOf } from "../../src/heads/index.ts";
import type { Graph } from "../../src/ir/graph.ts";
import type { Tensor } from "../../src/ir/tensor.ts";
import { f32Weight, weightToFloat32 } from "../../src/ir/weight.ts";
import { assumeManifest } from "../../src/open/assume.ts";
import { exportModel } from "../../src/open/export.ts";
import { openModel } from "../../src/open/formats.ts";
import { recognise } from "../../src/open/recognise.ts";
import { memoryFolder } from "../../src/open/source.ts";
import { yoloFastestV2 } from "../../src/zoo/yolo-fastest.ts";
import { complaints, hasCompiler } from "./_cpp.ts";
import { Builder, labels, nanodet, side, ultralytics, yolov3, yolov3Apart, yolox } from "./_graphs.ts";

const input: Tensor = { shape: [3, side, side], data: new Random(5).floats(3 * side * side, -2, 2) };

async function run(graph: Graph, outputs = graph.outputs): Promise<Record<string, Tensor>> {
  const session = await createSession(graph, { backend: "reference" });
  try {
    return await session.run({ in0: input }, outputs);
  } finally {
    session.close();
  }
}

/** A box for every cell (and anchor): corners and the scores of all classes. */
type Row = { corners: number[]; scores: number[] };

function found(graph: Graph, keepDecode = false): { heads: Head[]; cut: Graph; family?: string } {
  const cut = graph.clone();
  const result = recognise(cut, { labels, keepDecode });
  if (!result || "near" in result) throw new Error(`not recognised: ${result?.near}`);
  expect(result.classes).toBe(labels.length);
  return { heads: result.heads, cut, family: result.family };
}

/** Every box of every class, sorted so that two lists can be compared. */
const sorted = (list: number[][]): number[][] =>
  list.map((row) => row.map((v) => Math.round(v * 1e3) / 1e3)).sort((a, b) => b[4] - a[4] || a[0] - b[0]);

async function decoded(heads: readonly Head[], graph: Graph): Promise<number[][]> {
  const outputs = await run(graph, blobsOf(heads));
  const out = new Candidates();
  const options = { confidence: 0, multiLabel: true, width: side, height: side };
  for (const head of heads) decodeHead(head, outputs, labels.length, options, out);
  return Array.from({ length: out.length }, (_, i) => [
    ...out.boxes.subarray(4 * i, 4 * i + 4),
    out.scores[i],
    out.classes[i],
  ]);
}
const plain = (rows: readonly Row[]): number[][] =>
  rows.flatMap(({ corners, scores }) => scores.map((score, k) => [...corners, score, k]));

function compare(a: number[][], b: number[][]): void {
  const [left, right] = [sorted(a), sorted(b)];
  expect(left.length).toBe(right.length);
  for (const [i, row] of left.entries()) {
    row.forEach((value, j) => void expect(value).toBeCloseTo(right[i][j], 2));
  }
}

/** Corners from centre and size. */
const cornersOf = ([x, y, w, h]: number[]): number[] => [x - w / 2, y - h / 2, x + w / 2, y + h / 2];

describe("last convolutions of YOLOv8 that do more than boxes", () => {
  const raw = (more: number, prototypes = 0, names = labels): ReturnType<typeof recognise> => {
    const b = new Builder();
    for (const stride of [8, 16]) {
      const parts = [b.level(`box${stride}`, 64, stride), b.level(`cls${stride}`, 3, stride)];
      const cat = b.add("Concat", `cat${stride}`, [...parts, b.level(`more${stride}`, more, stride)]);
      b.add("Permute", `out${stride}`, [b.flat(`flat${stride}`, cat, 67 + more)], { order_type: 1 });
    }
    if (prototypes) b.add("Swish", "protos", [b.level("last", prototypes, 4)]);
    return recognise(b.graph, { labels: names });
  };
  test.each([
    ["mask coefficients", raw(8, 8), { mask: { blob: "more8", count: 8, prototypes: "protos" } }],
    ["an angle", raw(1), { angle: { blob: "more8" } }],
    ["points", raw(51), { points: { blob: "more8", count: 17, visibility: true, scale: 2, point: 0 } }],
  ])("%s", (words, result, parts) => {
    const base = { kind: "distances", scores: "cls8", boxes: "box8", stride: 8, bins: 16, point: 0.5 };
    expect(result).toMatchObject({ classes: 3, notes: [expect.stringContaining(words)] });
    expect("heads" in result && result.heads[0]).toEqual({ ...base, ...parts });
  });
  test("what the numbers do not tell is asked for", () => {
    const near = (result: ReturnType<typeof recognise>): string => ("near" in result ? result.near : "");
    expect(near(raw(3))).toContain("not which are class scores");
    expect(near(raw(51, 0, ["a"]))).toContain("give the names with --labels");
    expect(near(raw(3, 3))).toContain("not which are class scores");
    expect(near(raw(5))).toContain("5 are neither points nor an angle");
    expect(near(raw(8, 9))).toContain("not which are class scores");
  });
});

describe("what the graph computes is what is decoded outside", () => {
  test.each([
    [4, false],
    [16, false],
    [1, false],
    [16, true],
    [1, true],
  ])("ultralytics, %i bins, corners %s", async (bins, corners) => {
    const graph = ultralytics(bins, corners);
    const { out0 } = await run(graph);
    const count = out0.shape[1];
    const rows = Array.from({ length: count }, (_, n): Row => {
      const at = (v: number): number => out0.data[v * count + n];
      const box = [at(0), at(1), at(2), at(3)];
      return { corners: corners ? box : cornersOf(box), scores: labels.map((_, k) => at(4 + k)) };
    });
    const { heads, cut, family } = found(graph);
    expect(family).toBe("ultralytics");
    expect(heads[1]).toEqual({ ...heads[0], stride: 16, boxes: "box16", scores: "cls16" });
    expect(heads[0]).toEqual({
      kind: "distances",
      ...{ boxes: "box8", scores: "cls8", stride: 8, bins, point: 0.5 },
    });
    expect(cut.outputs.sort()).toEqual(["box16", "box8", "cls16", "cls8"]);
    compare(await decoded(heads, cut), plain(rows));
    // Left whole, the same boxes are read from the output.
    const whole = found(graph, true);
    expect(whole.heads).toMatchObject([
      { kind: "boxes", layout: "columns", box: corners ? "xyxy" : "cxcywh", objectness: false },
    ]);
    compare(await decoded(whole.heads, whole.cut), plain(rows));
  });

  test("YOLOX, with a sigmoid that is fused into a convolution", async () => {
    const graph = yolox();
    const { out0 } = await run(graph);
    const values = out0.shape[1];
    const rows = Array.from({ length: out0.shape[0] }, (_, n): Row => {
      const row = [...out0.data.subarray(n * values, (n + 1) * values)];
      const [cell, stride] = n < 64 ? [n, 8] : [n - 64, 16];
      const [x, y] = [cell % (side / stride), Math.floor(cell / (side / stride))];
      const box = [(row[0] + x) * stride, (row[1] + y) * stride];
      const size = [Math.exp(row[2]) * stride, Math.exp(row[3]) * stride];
      return {
        corners: cornersOf([...box, ...size]),
        scores: labels.map((_, k) => row[4] * row[5 + k]),
      };
    });
    const { heads, cut } = found(graph);
    expect(heads[0]).toEqual({
      ...{ kind: "yolox", boxes: "box8", objectness: "obj8", scores: "cls8", stride: 8 },
    });
    compare(await decoded(heads, cut), plain(rows));
  });

  test("YOLOX's first weights tell whether levels go up to 255", () => {
    const graph = yolox();
    expect(found(graph).family).toBe("yolox-0.1.0");
    const [first] = graph.nodes.filter((node) => node.weights.weight);
    first.weights = {
      ...first.weights,
      weight: f32Weight(weightToFloat32(first.weights.weight).map((v) => v / 100)),
    };
    expect(found(graph).family).toBe("yolox");
  });

  test("NanoDet's pairs, and PicoDet's four levels at a size that is no multiple of 64", async () => {
    const graph = nanodet([8, 16, 32], 8);
    const outputs = await run(graph);
    const rows = [8, 16, 32].flatMap((stride) => {
      const [cls, dis] = [outputs[`cls${stride}`], outputs[`dis${stride}`]];
      return Array.from({ length: cls.shape[0] }, (_, cell): Row => {
        const distance = [0, 1, 2, 3].map((i) => {
          const bins = [...dis.data.subarray(cell * 32 + i * 8, cell * 32 + i * 8 + 8)].map(Math.exp);
          const sum = bins.reduce((a, b) => a + b);
          return (bins.reduce((a, b, k) => a + k * b, 0) / sum) * stride;
        });
        const x = ((cell % (side / stride)) + 0.5) * stride;
        const y = (Math.floor(cell / (side / stride)) + 0.5) * stride;
        const scores = labels.map((_, k) => cls.data[cell * labels.length + k]);
        const corners = [x - distance[0], y - distance[1], x + distance[2], y + distance[3]];
        return { corners, scores };
      });
    });
    const { heads, cut, family } = found(graph);
    expect(family).toBe("nanodet");
    compare(await decoded(heads, cut), plain(rows));
    expect(found(nanodet([8, 16, 32, 64], 8)).family).toBe("picodet");
  });

  test("YOLOv3's exponential", async () => {
    const graph = yolov3();
    const { out0 } = await run(graph);
    const values = out0.shape[1];
    const rows = Array.from({ length: out0.shape[0] }, (_, n): Row => {
      const row = [...out0.data.subarray(n * values, (n + 1) * values)];
      return { corners: cornersOf(row), scores: labels.map((_, k) => row[4] * row[5 + k]) };
    });
    const { heads, cut } = found(graph);
    expect(heads).toEqual([
      {
        ...{ kind: "yolov5", blob: "conv_head", stride: 8, anchors: [10, 13, 30, 20] },
        ...{ centerScale: 1, size: "exp" },
      },
    ]);
    expect(cut.outputs).toEqual(["conv_head"]);
    compare(await decoded(heads, cut), plain(rows));
    const whole = found(graph, true);
    expect(whole.heads).toEqual([
      {
        ...{ kind: "boxes", blob: "out0", layout: "rows", box: "cxcywh", unit: "pixels" },
        ...{ objectness: true, stride: 8 },
      },
    ]);
    expect(whole.cut.outputs).toEqual(["out0"]);
    compare(await decoded(whole.heads, whole.cut), plain(rows));
  });
});

describe("every kind that is recognised is served everywhere", () => {
  test.each([
    ["distances", ultralytics(4, false), false],
    ["yolox", yolox(), false],
    ["distances in one blob", nanodet([8, 16], 8), false],
    ["yolov5 with exp", yolov3(), false],
    ["boxes", yolov3(), true],
    ["boxes apart from scores", yolov3Apart(), true],
    ["yolov5 apart from scores", yolov3Apart(), false],
    ["boxes in columns", ultralytics(4, false), true],
  ] as const)("%s", async (_, graph, keepDecode) => {
    const recognised = recognise(graph, { labels, keepDecode });
    if (!recognised || "near" in recognised) throw new Error("not recognised");
    const { manifest } = assumeManifest(graph, "tiny", { labels, recognised });
    const { heads } = manifest;
    checkManifest(manifest, graph);
    expect(parseManifest(printManifest(manifest), "tiny.json").heads).toEqual(heads);
    const fewer = { ...manifest, labels: ["a"] };
    if (heads[0].kind === "boxes")
      expect(() => checkManifest(fewer, graph)).toThrow(/expected [156] values|rows/);
    else
      expect(() => checkManifest({ ...manifest, labels: Array(99).fill("x") }, graph)).toThrow("99 labels");
    const header = manifestHeader(manifest);
    if (hasCompiler) expect(complaints(header)).toBe("");
    for (const blob of blobsOf(heads)) expect(header).toContain(`"${blob}"`);
    const outputs = await run(graph);
    expect(lossOf(heads, labels.length, outputs, outputs)).toBe(0);
    const moved = Object.fromEntries(
      Object.entries(outputs).map(([blob, { shape, data }]) => [
        blob,
        { shape, data: Float32Array.from(data, (value) => value + 0.5) },
      ]),
    );
    expect(lossOf(heads, labels.length, outputs, moved)).toBeGreaterThan(0);
    const weights = blobsOf(heads).flatMap((blob) => {
      const list = importanceOf(heads, labels.length, blob, outputs);
      if (list) expect(list.length).toBe(outputs[blob].data.length);
      return list ? [...list] : [];
    });
    expect(Math.max(...weights)).toBeGreaterThan(0.1);
    expect(Math.max(...weights)).toBeLessThanOrEqual(1);
  });

  test.each([
    ["convolutions of YOLOv5 with 255 channels", [[255, 0]]],
    [
      "maps of features",
      [
        [128, 0],
        [192, 0],
      ],
    ],
    [
      "a heat map with sizes",
      [
        [3, 4],
        [4, 0],
      ],
    ],
  ])("nothing is taken for a head that is none: %s", (_, outputs) => {
    const b = new Builder();
    for (const stride of [8, 16, 32]) {
      for (const [i, [channels, activation]] of outputs.entries())
        b.level(`o${i}_${stride}`, channels, stride, activation);
    }
    expect(recognise(b.graph, {})).toHaveProperty("near");
  });

  test("raw convolutions of YOLOv8, in either order", () => {
    for (const order of [
      [64, 3],
      [3, 64],
    ]) {
      const b = new Builder();
      for (const stride of [8, 16, 32])
        for (const channels of order) b.level(`c${channels}_${stride}`, channels, stride);
      const result = recognise(b.graph, { labels });
      expect(result).toMatchObject({
        classes: 3,
        heads: [{ kind: "distances", boxes: "c64_8", scores: "c3_8", bins: 16 }, {}, {}],
        notes: [expect.stringContaining("YOLOv8")],
      });
    }
  });

  test("coarse levels first, and outputs that a Noop gathers", () => {
    const graph = yoloFastestV2(352);
    expect(recognise(graph, {})).toMatchObject({
      classes: 80,
      heads: [
        { kind: "yolo-fastestv2", stride: 16 },
        { kind: "yolo-fastestv2", stride: 32 },
      ],
    });
    expect(graph.nodes.some(({ type }) => type === "Noop")).toBe(false);
  });

  test("an end of another formula is refused with what came nearest", () => {
    const graph = ultralytics(4, false);
    graph.node("center")!.params.b = 0.4;
    const result = recognise(graph, { labels });
    expect(result).toMatchObject({ near: expect.stringMatching(/stride 8.*not distances/) });
    expect(graph.outputs).toEqual(["out0"]);
  });
});

describe("export and back", () => {
  test.each([
    ["yolox", yolox()],
    ["distances", nanodet([8, 16], 8)],
  ] as const)("%s", async (_, graph) => {
    const recognised = recognise(graph, { labels });
    if (!recognised || "near" in recognised) throw new Error("not recognised");
    const preprocessing = { pixel: "BGR", mean: [1, 2, 3], resize: "stretch" } as const;
    const { manifest } = assumeManifest(graph, "tiny", {
      ...{ labels, recognised, preprocessing: { ...preprocessing, mean: [1, 2, 3] } },
    });
    const bytes = await exportModel({ graph, manifest });
    const again = await openModel(memoryFolder([{ name: "tiny.onnx", bytes }]), "tiny.onnx");
    expect(again.manifest.heads).toEqual(manifest.heads);
    expect(again.manifest.input).toEqual(manifest.input);
    expect(again.assumptions).toEqual([]);
  });
});
