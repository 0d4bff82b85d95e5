/** What the guard measures: likeness of outputs, parts of heads, which pictures, and what is too little. */
import { expect, test } from "vitest";
import { Guard, shortfalls } from "../../src/deploy/guard.ts";
import { PartLikeness } from "../../src/deploy/likeness.ts";
import { type Head, headKinds, headValues } from "../../src/heads/index.ts";
import type { Likeness } from "../../src/heads/manifest.ts";
import type { Shape, Tensor } from "../../src/ir/tensor.ts";
import type { EvaluationItem } from "../../src/tally/pictures.ts";
import { tinyModel } from "../cli/_run.ts";

const likeness = (...pictures: [Tensor, Tensor][]): Likeness => {
  const part = new PartLikeness("x");
  for (const [float, int8] of pictures) part.add("blob", float, int8);
  return part.result();
};
const vector = (...data: number[]): Tensor => ({ shape: [data.length], data: Float32Array.from(data) });
/** Two channels of 4×4. */
const planes = (value: (channel: number, i: number) => number): Tensor => ({
  shape: [2, 4, 4],
  data: Float32Array.from({ length: 32 }, (_, i) => value(Math.floor(i / 16), i % 16)),
});

test("ratio and cosine of what differs within channels; their means hardly count", () => {
  // Signal ±1, difference 0.1: 20 dB.
  const wave = (i: number): number => (i % 2 ? 1 : -1);
  const near = likeness([planes((_, i) => wave(i)), planes((_, i) => wave(i) * 1.1)]);
  expect(near).toEqual({ name: "x", sqnr: expect.closeTo(20, 3), cosine: expect.closeTo(1, 6) });
  // The same waves about means of 50 and −50, of which nothing is left: the ratio to all of the energy would be 34 dB.
  const mean = (channel: number): number => (channel ? -50 : 50);
  const lost = likeness([planes((c, i) => mean(c) + wave(i)), planes((c) => mean(c))]);
  expect(lost.sqnr).toBeCloseTo(10 * Math.log10(1 + 25), 1); // a hundredth of 50² is left
  const flipped = likeness([planes((_, i) => wave(i)), planes((_, i) => -wave(i))]);
  expect(flipped).toMatchObject({ sqnr: expect.closeTo(-6.02, 2), cosine: expect.closeTo(-1, 6) });
});

test("equal, constant, broken and single values", () => {
  const same = vector(1, 2, 3);
  expect(likeness([same, same])).toEqual({ name: "x", sqnr: 200, cosine: 1 });
  const flat = planes(() => 5);
  expect(likeness([flat, flat])).toMatchObject({ sqnr: 200, cosine: expect.closeTo(1, 9) });
  // A channel that never changes may move by a trifle, and no more.
  expect(likeness([flat, planes(() => 5.05)]).sqnr).toBeCloseTo(20, 3);
  expect(likeness([flat, planes(() => 4)]).sqnr).toBeLessThan(-5);
  expect(likeness([same, vector(1, Number.NaN, 3)])).toEqual({ name: "x", sqnr: -200, cosine: 0 });
  expect(likeness([same, vector(0, 0, 0)])).toMatchObject({ cosine: 0 });
  // One number has no other to be compared with: it counts as it is.
  expect(likeness([vector(0.9), vector(0.9)], [vector(0.9), vector(0.81)]).sqnr).toBeCloseTo(23, 1);
});

const shapes: Record<string, Shape> = {
  yolo: [3, 100, 7],
  rows: [1, 50, 7],
  columns: [6, 50],
  scores: [3, 8, 8],
  boxes: [35, 8, 8],
  objectness: [1, 8, 8],
  list: [4, 6],
};
const heads: { [K in Head["kind"]]: [Extract<Head, { kind: K }>, string[]] } = {
  yolov5: [
    { kind: "yolov5", blob: "yolo", stride: 8, anchors: [1, 1, 2, 2, 3, 3] },
    ["box yolo/2 0+4", "objectness yolo/2 4+1", "class yolo/2 5+2"],
  ],
  boxes: [
    {
      kind: "boxes",
      blob: "rows",
      layout: "rows",
      box: "xyxy",
      unit: "pixels",
      objectness: true,
      stride: 32,
    },
    ["box rows/2 0+4", "objectness rows/2 4+1", "class rows/2 5+2"],
  ],
  distances: [
    { kind: "distances", scores: "boxes", boxes: "boxes", boxesFrom: 2, stride: 8, bins: 8, point: 0.5 },
    ["box boxes/0 2+32", "class boxes/0 0+2"],
  ],
  yolox: [
    { kind: "yolox", boxes: "boxes", objectness: "objectness", scores: "scores", stride: 8 },
    ["box boxes/0 0+4", "objectness objectness/0 0+1", "class scores/0 0+2"],
  ],
  fastestdet: [
    { kind: "fastestdet", boxes: "boxes", objectness: "objectness", scores: "scores", stride: 8 },
    ["box boxes/0 0+4", "objectness objectness/0 0+1", "class scores/0 0+2"],
  ],
  "yolo-fastestv2": [
    {
      ...{ kind: "yolo-fastestv2", boxes: "boxes", objectness: "scores", scores: "scores", stride: 8 },
      anchors: [1, 1, 2, 2, 3, 3],
    },
    ["box boxes/0 0+12", "objectness scores/0 0+3", "class scores/0 0+2"],
  ],
  centerface: [
    { kind: "centerface", scores: "scores", sizes: "boxes", offsets: "rows", stride: 4 },
    ["box boxes/0 0+2", "box rows/0 0+2", "class scores/0 0+2"],
  ],
  priors: [
    {
      ...{
        kind: "priors",
        scores: "scores",
        background: 2,
        boxes: "boxes",
        boxesFrom: 4,
        stride: 8,
        point: 0.5,
      },
      ...{ anchor: [16, 16], variances: [0.1, 0.2], points: { blob: "boxes", from: 8, count: 5 } },
    },
    ["box boxes/0 4+4", "class scores/0 0+2", "class scores/0 2+1", "points boxes/0 8+10"],
  ],
  detections: [{ kind: "detections", blob: "list", stride: 32 }, []],
  classes: [{ kind: "classes", blob: "list", softmax: true, stride: 1 }, ["class list/-1 0+1"]],
};

test.each(headKinds)("parts of a head: %s", (kind) => {
  const [head, expected] = heads[kind];
  const parts = headValues([head], 2, (blob) => shapes[blob]);
  const shown = parts.map(({ part, blob, axis, from, count }) => `${part} ${blob}/${axis} ${from}+${count}`);
  expect(shown).toEqual(expected);
});

test("parts of decoded boxes that lie in columns", () => {
  const head: Head = { ...heads.boxes[0], blob: "columns", layout: "columns", objectness: false };
  expect(headValues([head], 2, (blob) => shapes[blob])).toMatchObject([
    { part: "box", axis: 0, from: 0, count: 4 },
    { part: "class", axis: 0, from: 4, count: 2 },
  ]);
});

/** Black, or with a white square. */
function picture(id: number, white: boolean): EvaluationItem {
  const data = new Uint8ClampedArray(64 * 64 * 4);
  for (let v = 8; white && v < 16; v++) data.fill(255, (v * 64 + 8) * 4, (v * 64 + 16) * 4);
  return { id, picture: { width: 64, height: 64, data } };
}

test("pictures in which the float network sees something come first, and at most 48 are looked at", async () => {
  let read = 0;
  async function* items(every: number) {
    for (read = 0; read < 100; ) yield picture(read, ++read % every === 0);
  }
  const model = tinyModel();
  const some = await Guard.start(model, items(3));
  expect({ read, images: some.images, objects: some.objects }).toEqual({ read: 36, images: 12, objects: 12 });
  const few = await Guard.start(model, items(24));
  expect({ read, images: few.images, objects: few.objects }).toEqual({ read: 48, images: 12, objects: 2 });
  expect((await few.measure(model.graph)).fidelity).toBeUndefined(); // two objects are too few to judge by
  expect(await some.measure(model.graph)).toMatchObject({
    fidelity: expect.closeTo(1, 9),
    found: 1,
    outputs: [],
  });
  await expect(Guard.start(model, items(200), { signal: AbortSignal.abort() })).rejects.toThrow(/abort/i);
  async function* none(): AsyncGenerator<EvaluationItem> {}
  await expect(Guard.start(model, none())).rejects.toThrow("no pictures to compare");
});

test("detections decide for the heads where there are enough; other outputs are judged in any case", () => {
  const least = { sqnr: 5, cosine: 0.85, fidelity: 0.7 };
  const parts = [{ name: "class", sqnr: 2, cosine: 0.5 }];
  const outputs = [{ name: "mask", sqnr: 30, cosine: 1 }];
  const names = (figures: Parameters<typeof shortfalls>[0]) =>
    shortfalls(figures, least).map(({ name, measure }) => `${name} ${measure}`);
  expect(names({ parts, outputs })).toEqual(["class cosine", "class sqnr"]);
  expect(names({ parts, outputs, fidelity: 0.8 })).toEqual([]);
  expect(names({ parts, outputs, fidelity: 0.6 })).toEqual([
    "fidelity fidelity",
    "class cosine",
    "class sqnr",
  ]);
  expect(names({ parts, outputs: [{ name: "mask", sqnr: -3, cosine: 0.9 }], fidelity: 0.9 })).toEqual([
    "mask sqnr",
  ]);
});
