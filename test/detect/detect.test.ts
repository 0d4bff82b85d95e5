import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { GraphError, UsageError } from "../../src/base/errors.ts";
import { Random } from "../../src/base/random.ts";
import { postprocess } from "../../src/detect/detect.ts";
import { type Box, isObject } from "../../src/detect/detection.ts";
import { letterboxTransform } from "../../src/detect/letterbox.ts";
import { nms } from "../../src/detect/nms.ts";
import { parseDatasetYaml } from "../../src/evaluate/dataset-yaml.ts";
import { parseYoloLabels } from "../../src/evaluate/yolo-labels.ts";
import { Candidates } from "../../src/heads/candidates.ts";
import { decodeHead, type Yolov5Head } from "../../src/heads/index.ts";
import { type Tensor, tensor } from "../../src/ir/tensor.ts";
import { dataText, describeData, readNpy } from "../data.ts";

const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));
const head: Yolov5Head = { kind: "yolov5", blob: "out", stride: 16, anchors: [10, 20, 30, 15] };
const labels = ["a", "b", "c"];

function randomHead(random: Random, width: number, height: number): Tensor {
  const cells = (width / 16) * (height / 16);
  return tensor([2, cells, 8], random.floats(2 * cells * 8, -6, 6));
}

/** The formulas, cell by cell, without any short cut. */
function plainDecode(output: Tensor, gridWidth: number, confidence: number, multiLabel: boolean): number[][] {
  const [anchors, cells, values] = output.shape;
  const boxes: number[][] = [];
  for (let a = 0; a < anchors; a++) {
    for (let cell = 0; cell < cells; cell++) {
      const at = (a * cells + cell) * values;
      const v = Array.from(output.data.subarray(at, at + values), sigmoid);
      const x = (2 * v[0] - 0.5 + (cell % gridWidth)) * 16;
      const y = (2 * v[1] - 0.5 + Math.floor(cell / gridWidth)) * 16;
      const w = (2 * v[2]) ** 2 * head.anchors[2 * a];
      const h = (2 * v[3]) ** 2 * head.anchors[2 * a + 1];
      const scores = v.slice(5).map((p) => p * v[4]);
      const best = scores.indexOf(Math.max(...scores));
      scores.forEach((score, k) => {
        if (score > confidence && (multiLabel || k === best)) {
          boxes.push([x - w / 2, y - h / 2, x + w / 2, y + h / 2, score, k]);
        }
      });
    }
  }
  return boxes;
}

describe("decode", () => {
  test.each([
    [0, false],
    [0.001, true],
    [0.25, false],
    [0.25, true],
    [0.9, true],
    [1, true],
  ])("equals the formulas at confidence %f, multi label %s", (confidence, multiLabel) => {
    const output = randomHead(new Random(7), 64, 48);
    const out = new Candidates();
    decodeHead(head, { out: output }, 3, { confidence, multiLabel, width: 64, height: 48 }, out);
    const expected = plainDecode(output, 4, confidence, multiLabel);
    expect(out.length).toBe(expected.length);
    expected.forEach((box, i) => {
      const found = [...out.boxes.subarray(4 * i, 4 * i + 4), out.scores[i], out.classes[i]];
      found.forEach((value, j) => {
        expect(value).toBeCloseTo(box[j], 9);
      });
    });
  });

  test("an output that does not fit the head is refused with both shapes", () => {
    const decode = (output: Tensor) =>
      decodeHead(
        head,
        { out: output },
        3,
        { confidence: 0, multiLabel: false, width: 64, height: 48 },
        new Candidates(),
      );
    expect(() => decode(tensor([2, 12, 9]))).toThrow(GraphError);
    expect(() => decode(tensor([2, 12, 9]))).toThrow("output is 9x12x2 (w x h x c), expected 8x12x2");
    expect(() => decode(tensor([24, 8]))).toThrow(GraphError);
  });

  test("a model that gives NaN finds nothing", () => {
    const output = tensor([2, 12, 8], new Float32Array(192).fill(Number.NaN));
    const oneNan = tensor(
      [2, 12, 8],
      new Float32Array(192).fill(5).map((v, i) => (i % 8 === 2 ? Number.NaN : v)),
    );
    for (const each of [output, oneNan]) {
      const out = new Candidates();
      decodeHead(head, { out: each }, 3, { confidence: 0, multiLabel: true, width: 64, height: 48 }, out);
      expect(out.length).toBe(0);
    }
  });
});

const boxArbitrary = fc.tuple(
  fc.nat(100),
  fc.nat(100),
  fc.integer({ min: 1, max: 60 }),
  fc.integer({ min: 1, max: 60 }),
  fc.nat(20),
  fc.nat(2),
);
type RandomBox = [number, number, number, number, number, number];

function candidatesOf(boxes: RandomBox[]): Candidates {
  const candidates = new Candidates();
  for (const [x, y, w, h, score, k] of boxes) candidates.add(x, y, x + w, y + h, score / 20, k);
  return candidates;
}
function iou(c: Candidates, a: number, b: number): number {
  const [ax0, ay0, ax1, ay1] = c.boxes.subarray(4 * a, 4 * a + 4);
  const [bx0, by0, bx1, by1] = c.boxes.subarray(4 * b, 4 * b + 4);
  const shared =
    Math.max(0, Math.min(ax1, bx1) - Math.max(ax0, bx0)) *
    Math.max(0, Math.min(ay1, by1) - Math.max(ay0, by0));
  return shared / ((ax1 - ax0) * (ay1 - ay0) + (bx1 - bx0) * (by1 - by0) - shared);
}

describe("nms", () => {
  test("no two kept boxes of a class overlap, every dropped one overlaps a better kept one, order is stable", () => {
    fc.assert(
      fc.property(
        fc.array(boxArbitrary, { maxLength: 60 }),
        fc.constantFrom(0.3, 0.45, 0.6),
        fc.boolean(),
        (boxes, limit, agnostic) => {
          const c = candidatesOf(boxes);
          const kept = nms(c, { iou: limit, maxDetections: 1000, agnostic });
          const rivals = (a: number, b: number) => agnostic || c.classes[a] === c.classes[b];
          const precedes = (a: number, b: number) =>
            c.scores[a] > c.scores[b] || (c.scores[a] === c.scores[b] && a < b);
          kept.forEach((a, i) => {
            kept.slice(i + 1).forEach((b) => {
              expect(precedes(a, b)).toBe(true);
              if (rivals(a, b)) expect(iou(c, a, b)).toBeLessThanOrEqual(limit);
            });
          });
          for (let b = 0; b < c.length; b++) {
            if (kept.includes(b)) continue;
            expect(kept.some((a) => precedes(a, b) && rivals(a, b) && iou(c, a, b) > limit)).toBe(true);
          }
        },
      ),
    );
  });

  test("limits hold", () => {
    const c = candidatesOf(Array.from({ length: 50 }, (_, i) => [i * 100, 0, 10, 10, i % 20, 0]));
    const all = nms(c, { iou: 0.5, maxDetections: 1000 });
    expect(all).toHaveLength(50);
    expect(nms(c, { iou: 0.5, maxDetections: 7 })).toEqual(all.slice(0, 7));
    expect(nms(c, { iou: 0.5, maxDetections: 1000, maxCandidates: 9 })).toEqual(all.slice(0, 9));
  });

  test("the work is bounded when a broken model passes every cell", () => {
    const c = new Candidates();
    const random = new Random(1);
    for (let i = 0; i < 200_000; i++) {
      const [x, y] = [random.uniform(0, 640), random.uniform(0, 640)];
      c.add(x, y, x + 5, y + 5, random.next(), i % 80);
    }
    expect(nms(c, { iou: 0.45, maxDetections: 300 })).toHaveLength(300);
  });
});

describe("postprocess", () => {
  const manifest = { heads: [head], labels };
  /** One confident cell at (column 1, row 2) of a 64x48 input, class b, anchor 0, all box logits 0. */
  function oneCell(): Record<string, Tensor> {
    const output = tensor([2, 12, 8], new Float32Array(192).fill(-20));
    output.data.set([0, 0, 0, 0, 10, -10, 10, -10], 8 * (2 * 4 + 1));
    return { out: output };
  }

  test("a box lands where it belongs in the original picture", () => {
    const transform = letterboxTransform(128, 48, 64, 48); // scale 0.5, 12 pixels of border above
    const found = postprocess(oneCell(), manifest, transform).filter(isObject);
    expect(found).toHaveLength(1);
    const [{ label, classId, score, box }] = found;
    expect([label, classId]).toEqual(["b", 1]);
    expect(score).toBeCloseTo(sigmoid(10) ** 2, 12);
    // Center (1.5·16, 2.5·16) = (24, 40) and 10x20 in the input; clipped below at 48 = the picture's lower edge.
    expect(box).toEqual({ x: 38, y: (30 - 12) * 2, width: 20, height: 48 - 36 });
  });

  test("classes filter by number and label", () => {
    const transform = letterboxTransform(64, 48, 64, 48);
    expect(postprocess(oneCell(), manifest, transform, { classes: ["b"] })).toHaveLength(1);
    expect(postprocess(oneCell(), manifest, transform, { classes: [1] })).toHaveLength(1);
    expect(postprocess(oneCell(), manifest, transform, { classes: [0, "c"] })).toHaveLength(0);
    expect(() => postprocess(oneCell(), manifest, transform, { classes: ["dog"] })).toThrow('class "dog"');
    expect(() => postprocess(oneCell(), manifest, transform, { classes: [3] })).toThrow(UsageError);
  });

  test("wrong options, missing outputs and a model without heads are named", () => {
    const transform = letterboxTransform(64, 48, 64, 48);
    expect(() => postprocess(oneCell(), manifest, transform, { confidence: 25 })).toThrow("confidence is 25");
    expect(() => postprocess(oneCell(), manifest, transform, { iou: Number.NaN })).toThrow(UsageError);
    expect(() => postprocess({ other: tensor([1]) }, manifest, transform)).toThrow('head "out"');
    expect(() => postprocess(oneCell(), { heads: [], labels }, transform)).toThrow("no heads");
  });

  test("every box lies in the picture and has an area", () => {
    fc.assert(
      fc.property(
        fc.integer(),
        fc.integer({ min: 1, max: 900 }),
        fc.integer({ min: 1, max: 900 }),
        (seed, w, h) => {
          const output = randomHead(new Random(seed), 64, 48);
          const found = postprocess({ out: output }, manifest, letterboxTransform(w, h, 64, 48), {
            confidence: 0.01,
          });
          for (const { box } of found.filter(isObject)) {
            expect(box.x >= 0 && box.y >= 0 && box.width > 0 && box.height > 0).toBe(true);
            expect(box.x + box.width).toBeLessThanOrEqual(w + 1e-9);
            expect(box.y + box.height).toBeLessThanOrEqual(h + 1e-9);
          }
        },
      ),
    );
  });
});

describeData("native ncnn's outputs of yolov5ss", () => {
  const anchors = [
    [4, 5, 8, 10, 13, 16],
    [23, 29, 43, 55, 73, 105],
    [146, 217, 231, 300, 335, 433],
  ];
  const heads: Yolov5Head[] = ["output", "917", "937"].map((blob, i) => ({
    kind: "yolov5",
    blob,
    stride: 8 << i,
    anchors: anchors[i],
  }));

  /** Detections from the golden outputs, and the labelled boxes of the picture. */
  function detectGolden(input: string, name: string, size: number, width: number, height: number) {
    const { names } = parseDatasetYaml(dataText("coco/coco.yaml"), "coco.yaml");
    const outputs = Object.fromEntries(
      heads.map(({ blob }) => {
        const { shape, data } = readNpy(`golden/yolov5ss.${input}.${blob}.npy`);
        return [blob, tensor(shape, data as Float32Array)];
      }),
    );
    const transform = letterboxTransform(width, height, size, size);
    const found = postprocess(outputs, { heads, labels: names }, transform).filter(isObject);
    const truth = parseYoloLabels(dataText(`coco/labels/val2017/${name}.txt`), name, 0, { width, height });
    return { found, truth };
  }
  const overlap = (a: Box, b: Box) => {
    const c = candidatesOf([
      [a.x, a.y, a.width, a.height, 1, 0],
      [b.x, b.y, b.width, b.height, 1, 0],
    ]);
    return iou(c, 0, 1);
  };

  test("the room: what is found lies on labelled objects", () => {
    const { found, truth } = detectGolden("in320-139", "000000000139", 320, 640, 426);
    expect(found.map((each) => each.label)).toEqual(["tv", "chair", "chair"]);
    for (const { label, classId, box } of found) {
      const best = Math.max(
        ...truth.filter((row) => row.category === classId).map((row) => overlap(row.box, box)),
      );
      expect(best, label).toBeGreaterThan(0.5);
    }
  });

  test("the teddy bears at 416, a tall picture", () => {
    const { found, truth } = detectGolden("in416-776", "000000000776", 416, 428, 640);
    const bears = found.filter((each) => each.label === "teddy bear");
    expect(bears.length).toBeGreaterThan(0);
    expect(
      truth.some((row) => row.category === bears[0].classId && overlap(row.box, bears[0].box) > 0.6),
    ).toBe(true);
  });
});
