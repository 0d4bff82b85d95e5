import { describe, expect, test } from "vitest";
import { UsageError } from "../../src/base/errors.ts";
import type { DetectedObject, Detection } from "../../src/detect/detection.ts";
import { maskFromBitmap, maskToString } from "../../src/detect/mask.ts";
import { coco91, cocoRows, distinctNames, dotaTexts, imageId, yoloText } from "../../src/detect/save.ts";
import { parseYoloLabels } from "../../src/evaluate/yolo-labels.ts";

const detections: DetectedObject[] = [
  {
    task: "detect",
    label: "tv",
    classId: 62,
    score: 0.87654321,
    box: { x: 6.12345, y: 100, width: 150.5, height: 50 },
  },
  { task: "detect", label: "person", classId: 0, score: 0.25, box: { x: 0, y: 0, width: 640, height: 400 } },
];

test("YOLO lines are fractions with six digits, and are read back as labels", () => {
  const text = yoloText(detections, 640, 400);
  expect(text).toBe("62 0.127146 0.3125 0.235156 0.125 0.876543\n0 0.5 0.5 1 1 0.25\n");
  expect(yoloText([], 640, 400)).toBe("");
  const labels = text.replaceAll(/ [\d.]+$/gm, "");
  const [{ category, box }] = parseYoloLabels(labels, "a.txt", 1, { width: 640, height: 400 });
  expect(category).toBe(62);
  for (const side of ["x", "y", "width", "height"] as const)
    expect(box[side]).toBeCloseTo(detections[0].box[side], 3);
});

test("points", () => {
  const box = { x: 10, y: 20, width: 20, height: 20 };
  const face = { label: "face", classId: 0, score: 0.5, box };
  const plain: Detection = { ...face, task: "pose", points: [{ x: 12.34567, y: -2 }] };
  const seen: Detection = { ...face, task: "pose", points: [{ x: 20, y: 30, score: 0.75 }] };
  expect(yoloText([plain, seen], 100, 100)).toBe(
    "0 0.2 0.3 0.2 0.2 0.123457 -0.02 0.5\n0 0.2 0.3 0.2 0.2 0.2 0.3 0.75 0.5\n",
  );
  expect(cocoRows([plain, seen, { ...face, task: "detect" }], 1).map((row) => row.keypoints)).toEqual([
    ...[[12.346, -2, 1], [20, 30, 0.75], undefined],
  ]);
});

describe("of other tasks", () => {
  const base = { label: "a cat", classId: 3, score: 0.5, box: { x: 2, y: 0, width: 2, height: 4 } };
  const bits = Uint8Array.from(
    { length: 80 },
    (_, i) => Number(i % 10 === 2 || i % 10 === 3) * Number(i < 40),
  );
  const mask = maskFromBitmap(bits, { width: 10, height: 8 });
  const segment: Detection = { task: "segment", ...base, mask };
  const rotated = { x: 5, y: 4, width: 4, height: 2, angle: 0 };
  const obb: Detection = { task: "obb", ...base, rotated };
  const classify: Detection = { task: "classify", label: "a\ncat", classId: 3, score: 0.123456789 };

  test("YOLO lines", () => {
    expect(yoloText([segment], 10, 8)).toBe("3 0.4 0 0.4 0.5 0.2 0.5 0.2 0 0.5\n");
    expect(yoloText([obb], 10, 8)).toBe("3 0.3 0.375 0.7 0.375 0.7 0.625 0.3 0.625 0.5\n");
    expect(yoloText([classify], 10, 8)).toBe("0.123457 a cat\n");
  });
  test("COCO rows", () => {
    const [row] = cocoRows([segment], 1);
    expect(row.segmentation).toEqual({ size: [8, 10], counts: maskToString(mask) });
    expect(cocoRows([obb], 1)[0].segmentation).toEqual([[3, 3, 7, 3, 7, 5, 3, 5]]);
    expect(() => cocoRows([classify], 1)).toThrow(UsageError);
  });
  test("DOTA's texts, one a class", () => {
    const texts = dotaTexts([{ name: "P 1", detections: [obb] }], ["plane", "a cat"]);
    expect([...texts]).toEqual([
      ["plane", ""],
      ["a cat", "P_1 0.50000 3.00 3.00 7.00 3.00 7.00 5.00 3.00 5.00\n"],
    ]);
    expect(() => dotaTexts([{ name: 1, detections: [segment] }], [])).toThrow('of the task "segment"');
  });
});

test("COCO rows", () => {
  expect(cocoRows(detections, 139)[0]).toEqual({
    image_id: 139,
    category_id: 62,
    bbox: [6.123, 100, 150.5, 50],
    score: 0.87654,
  });
  expect(cocoRows(detections, "cat", { coco91: true }).map((row) => [row.image_id, row.category_id])).toEqual(
    [
      ["cat", 72],
      ["cat", 1],
    ],
  );
});

test("COCO's 80 classes have the ids 1 to 90 without the ten that COCO dropped", () => {
  expect(coco91).toHaveLength(80);
  expect(Array.from({ length: 90 }, (_, i) => i + 1).filter((id) => !coco91.includes(id))).toEqual([
    12, 26, 29, 30, 45, 66, 68, 69, 71, 83,
  ]);
});

test("names that two pictures share are replaced by their full ones, and by nothing else that is there", () => {
  expect(distinctNames(["a", "a", "b"], ["a.jpg", "a.png", "b.png"])).toEqual(["a.jpg", "a.png", "b"]);
  expect(distinctNames(["a", "A"], ["a.jpg", "A.png"])).toEqual(["a.jpg", "A.png"]);
  expect(distinctNames<string | number>([1, 1, 2, "c"], ["x/0001.png", "x/1.png", "2.png", "c.png"])).toEqual(
    [...["x/0001.png", "x/1.png", 2, "c"]],
  );
  // a.jpg.png would be a.jpg for short, which is what the first is now called.
  expect(
    distinctNames(["a", "a", "a.jpg", "a.jpg.png"], ["a.jpg", "a.png", "a.jpg.png", "a.jpg.png.gif"]),
  ).toEqual(["a.jpg", "a.png", "a.jpg.png", "a.jpg.png.gif"]);
});

test("image ids", () => {
  expect(imageId("000000000139")).toBe(139);
  expect(imageId("12a")).toBe("12a");
  expect(imageId("1e3")).toBe("1e3");
  expect(imageId("99999999999999999999")).toBe("99999999999999999999");
});
