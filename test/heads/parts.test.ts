import { describe, expect, test } from "vitest";
import { FormatError } from "../../src/base/errors.ts";
import { sigmoid } from "../../src/base/maths.ts";
import { Random } from "../../src/base/random.ts";
import { manifestHeader, parseManifest, printManifest } from "../../src/formats/manifest.ts";
import { Candidates } from "../../src/heads/candidates.ts";
import {
  blobsOf,
  decodeHead,
  type Head,
  headProblem,
  headValues,
  lossOf,
  taskOf,
  withBlobs,
} from "../../src/heads/index.ts";
import type { Manifest } from "../../src/heads/manifest.ts";
import { elementCount, type Tensor } from "../../src/ir/tensor.ts";
import { complaints, hasCompiler } from "./_cpp.ts";

const random = new Random(5);
const tensor = (...shape: number[]): Tensor & { data: Float32Array } => ({
  shape,
  data: random.floats(elementCount(shape), -2, 2),
});

/** A 4x2 grid of stride 8, 2 classes. */
const [width, height, classes] = [32, 16, 2];
const outputs = {
  scores: tensor(2, 2, 4),
  boxes: tensor(4, 2, 4),
  masks: tensor(5, 2, 4),
  protos: tensor(3, 4, 8),
  points: tensor(7, 2, 4),
  angle: tensor(1, 2, 4),
  yolo: tensor(2, 8, 5 + 2 + 3),
  rows: tensor(1, 6, 4 + 2 + 6),
  columns: tensor(4 + 2 + 3, 6),
  turned: tensor(1, 6, 4 + 2 + 1),
  list: tensor(2),
};
const base = { kind: "distances", scores: "scores", boxes: "boxes", stride: 8, bins: 1, point: 0.5 } as const;
const boxes = { kind: "boxes", box: "cxcywh", unit: "pixels", objectness: false, stride: 8 } as const;
const heads = {
  segment: { ...base, mask: { blob: "masks", from: 2, count: 3, prototypes: "protos" } },
  pose: { ...base, points: { blob: "points", from: 1, count: 2, visibility: true, scale: 2, point: 0 } },
  obb: { ...base, angle: { blob: "angle" } },
  radians: { ...base, angle: { blob: "angle", radians: true } },
  yolov5: {
    ...{ kind: "yolov5", blob: "yolo", stride: 8, anchors: [4, 4, 8, 8] },
    mask: { count: 3, prototypes: "protos" },
  },
  pointRows: { ...boxes, blob: "rows", layout: "rows", points: { count: 2, visibility: true } },
  maskColumns: { ...boxes, blob: "columns", layout: "columns", mask: { count: 3, prototypes: "protos" } },
  angleRows: { ...boxes, blob: "turned", layout: "rows", angle: true },
  classify: { kind: "classes", blob: "list", softmax: true, stride: 1 },
} satisfies Record<string, Head>;

function found(head: Head): Candidates {
  const out = new Candidates();
  decodeHead(head, outputs, classes, { confidence: -9, multiLabel: false, width, height }, out);
  return out;
}
const boxOf = ({ boxes }: Candidates, i: number): number[] => [...boxes.subarray(4 * i, 4 * i + 4)];
/** Of a plane at cell 5, which is the second of the second row. */
const at = ({ data }: { data: Float32Array }, channel: number): number => data[channel * 8 + 5];

describe("what a box has besides", () => {
  test("coefficients of its mask, and the prototypes", () => {
    const part = found(heads.segment).parts[5]?.mask;
    expect([...part!.coefficients]).toEqual([2, 3, 4].map((k) => at(outputs.masks, k)));
    expect(part!.prototypes).toBe(outputs.protos);
    const yolo = found(heads.yolov5);
    expect(yolo.length).toBe(16);
    expect([...yolo.parts[9]!.mask!.coefficients]).toEqual([...outputs.yolo.data.slice(97, 100)]);
    const columns = [6, 7, 8].map((k) => outputs.columns.data[k * 6]);
    const decoded = found({ ...heads.maskColumns }).parts[0]?.mask?.coefficients;
    expect([...decoded!]).toEqual(columns);
  });

  test("points with how surely they are seen", () => {
    const v = (k: number): number => at(outputs.points, k);
    // YOLOv8: x = (2·v + cell)·stride.
    expect([...found(heads.pose).parts[5]!.points!]).toEqual([
      ...[(2 * v(1) + 1) * 8, (2 * v(2) + 1) * 8, sigmoid(v(3))],
      ...[(2 * v(4) + 1) * 8, (2 * v(5) + 1) * 8, sigmoid(v(6))],
    ]);
    // YOLO26: from the point of the box.
    const other = { ...base, points: { blob: "points", count: 2, visibility: true } };
    const [x, y] = found(other).parts[5]!.points!;
    expect([x, y]).toEqual([(v(0) + 1.5) * 8, (v(1) + 1.5) * 8]);
    const rows = found(heads.pointRows);
    const first = [...outputs.rows.data.slice(6, 12)];
    expect([...rows.parts[0]!.points!]).toEqual(first);
  });

  test("an angle about the middle", () => {
    const [l, t, r, b] = [0, 1, 2, 3].map((k) => at(outputs.boxes, k));
    for (const head of [heads.obb, heads.radians]) {
      const candidates = found(head);
      const value = at(outputs.angle, 0);
      const angle = head === heads.obb ? (sigmoid(value) - 0.25) * Math.PI : value;
      expect(candidates.parts[5]?.angle).toBe(angle);
      const [x0, y0, x1, y1] = boxOf(candidates, 5);
      expect([x1 - x0, y1 - y0].map((v) => v / 8)).toEqual([l + r, t + b].map((v) => expect.closeTo(v, 9)));
      const [fx, fy] = [(r - l) / 2, (b - t) / 2];
      expect((x0 + x1) / 16).toBeCloseTo(1.5 + fx * Math.cos(angle) - fy * Math.sin(angle), 9);
      expect((y0 + y1) / 16).toBeCloseTo(1.5 + fx * Math.sin(angle) + fy * Math.cos(angle), 9);
    }
    expect(found(heads.angleRows).parts[0]?.angle).toBe(outputs.turned.data[6]);
  });

  test("classes of the whole picture", () => {
    const out = new Candidates();
    const options = { confidence: 0, multiLabel: true, width, height };
    decodeHead(heads.classify, outputs, classes, options, out);
    const [a, b] = outputs.list.data;
    expect([...out.scores.slice(0, 2)]).toEqual(
      [sigmoid(a - b), sigmoid(b - a)].map((v) => expect.closeTo(v, 9)),
    );
    expect(boxOf(out, 1)).toEqual([0, 0, 32, 16]);
    decodeHead({ ...heads.classify, softmax: false }, outputs, classes, { ...options, confidence: -9 }, out);
    expect(out.scores[3]).toBe(b);
  });
});

test("the task of heads", () => {
  const tasks = Object.fromEntries(Object.entries(heads).map(([name, head]) => [name, taskOf([head])]));
  expect(tasks).toEqual({
    ...{ segment: "segment", yolov5: "segment", maskColumns: "segment" },
    ...{
      pose: "pose",
      pointRows: "pose",
      obb: "obb",
      radians: "obb",
      angleRows: "obb",
      classify: "classify",
    },
  });
  expect(taskOf([base])).toBe("detect");
  expect(taskOf([])).toBe("detect");
});

test("parts of the values", () => {
  const shapeOf = (blob: string): readonly number[] => outputs[blob as keyof typeof outputs].shape;
  const parts = (...list: Head[]): string[] =>
    headValues(list, classes, shapeOf)
      .filter(({ part }) => !["box", "class"].includes(part))
      .map(({ part, blob, axis, from, count }) => `${part} ${blob}/${axis} ${from}+${count}`);
  const second = { ...heads.segment, mask: { ...heads.segment.mask, from: 1 } };
  // Prototypes once.
  expect(parts(heads.segment, second)).toEqual(["mask masks/0 2+3", "mask protos/0 0+3", "mask masks/0 1+3"]);
  expect(parts(heads.pose)).toEqual(["points points/0 1+6"]);
  expect(parts(heads.obb)).toEqual(["angle angle/0 0+1"]);
  expect(parts(heads.yolov5)).toEqual(["objectness yolo/2 4+1", "mask yolo/2 7+3", "mask protos/0 0+3"]);
  expect(parts(heads.pointRows)).toEqual(["points rows/2 6+6"]);
  expect(parts(heads.maskColumns)).toEqual(["mask columns/0 6+3", "mask protos/0 0+3"]);
  expect(parts(heads.angleRows)).toEqual(["angle turned/2 6+1"]);
});

test.each(Object.entries(heads))("loss, names, manifest and header of %s", (_, head: Head) => {
  const task = taskOf([head]);
  expect(lossOf([head], classes, outputs, outputs)).toBe(0);
  for (const blob of blobsOf([head])) {
    const { shape, data } = outputs[blob as keyof typeof outputs];
    const moved = { ...outputs, [blob]: { shape, data: data.map((value) => value + 0.25) } };
    if (task !== "classify") expect(lossOf([head], classes, outputs, moved)).toBeGreaterThan(0.01);
  }
  const facts = { width, height, classes };
  const shapeOf = (blob: string): readonly number[] => outputs[blob as keyof typeof outputs].shape;
  expect(headProblem(head, shapeOf, facts)).toBeUndefined();
  const renamed = withBlobs(head, (blob) => `x_${blob}`);
  expect(blobsOf([renamed])).toEqual(blobsOf([head]).map((blob) => `x_${blob}`));
  const manifest = manifestOf(head);
  expect(parseManifest(printManifest(manifest), "tiny.json").heads).toEqual([head]);
  if (hasCompiler) expect(complaints(manifestHeader(manifest))).toBe("");
});

function manifestOf(...list: Head[]): Manifest {
  const preprocessing = { pixel: "RGB", mean: [0, 0, 0], norm: [1, 1, 1], letterboxColor: 114 } as const;
  return {
    ...{ version: 1, name: "tiny", param: "tiny.param", bin: "tiny.bin" },
    input: {
      ...{ blob: "in0", width, height, stride: 8, channels: 3, resize: "letterbox" },
      ...{ ...preprocessing, mean: [...preprocessing.mean], norm: [...preprocessing.norm] },
    },
    ...{ heads: list, labels: ["a", "b"], provenance: { tool: "test", passes: [] } },
  };
}

test("heads of several parts, and of several tasks", () => {
  const both = manifestOf(heads.segment, { ...heads.segment, mask: { ...heads.segment.mask, from: 0 } });
  if (hasCompiler) expect(complaints(manifestHeader(both))).toBe("");
  expect(() => printManifest(manifestOf(heads.segment, base))).toThrow(FormatError);
  expect(() => printManifest(manifestOf(heads.segment, base))).toThrow(/heads\[1\]: .*task is "segment"/);
});

test("a head of two tasks", () => {
  const both = manifestOf({ ...heads.segment, angle: heads.obb.angle });
  expect(() => printManifest(both)).toThrow('heads[0]: found {"kind":"distances"');
  expect(() => printManifest(both)).toThrow("expected one of them: a model has one task");
});

test("blobs of other shapes", () => {
  const shapeOf = (blob: string): readonly number[] => outputs[blob as keyof typeof outputs].shape;
  const problem = (head: Head): string | undefined => headProblem(head, shapeOf, { width, height, classes });
  expect(problem({ ...heads.segment, mask: { ...heads.segment.mask, count: 4 } })).toContain(
    "masks is 4x2x5 (w x h x c), expected 4x2x6 (4 mask coefficients, cells of",
  );
  const blob = { ...heads.segment, mask: { ...heads.segment.mask, from: 0, prototypes: "masks" } };
  expect(problem(blob)).toContain("expected a grid of the 32x16 input with 3 channels, a prototype each");
  expect(problem({ ...heads.pose, points: { blob: "points", count: 3, visibility: true } })).toContain(
    "3 points",
  );
  expect(problem({ ...heads.obb, angle: { blob: "angle", from: 1 } })).toContain("an angle");
  expect(problem({ ...heads.classify, blob: "angle" })).toContain("expected 2 numbers, one a label");
  expect(problem({ ...heads.yolov5, mask: { count: 2, prototypes: "protos" } })).toContain(
    "10 values per box, expected 9 (5 + 2 labels + 2 mask coefficients)",
  );
});
