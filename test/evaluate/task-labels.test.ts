/** Labels of masks, key points and turned boxes: YOLO lines and COCO annotations. */
import { describe, expect, test } from "vitest";
import { FormatError, UsageError } from "../../src/base/errors.ts";
import { maskFromString, maskOutlines, maskToString } from "../../src/detect/mask.ts";
import { cocoObject, parseCocoInstances } from "../../src/evaluate/dataset.ts";
import { parseDatasetYaml } from "../../src/evaluate/dataset-yaml.ts";
import { parseYoloLabels, type YoloLabelOptions } from "../../src/evaluate/yolo-labels.ts";

const size = { width: 200, height: 100 };
const read = (text: string, options: YoloLabelOptions) => parseYoloLabels(text, "a.txt", "a", size, options);

describe("YOLO lines", () => {
  test("an outline is a mask, and its box and area", () => {
    const [row, ...others] = read("2 0.1 0.2 0.2 0.2 0.2 0.5 0.1 0.5\n", { measure: "mask" });
    expect(others).toEqual([]);
    expect(row).toMatchObject({ image: "a", category: 2, area: 20 * 30 });
    expect(row.box).toEqual({ x: 20, y: 20, width: 20, height: 30 });
    expect(maskOutlines(row.mask!)).toEqual([[40, 20, 40, 50, 20, 50, 20, 20]]);
    const twice = "0 0.1 0.1 0.9 0.1 0.5 0.9\n0 0.1 0.1 0.9 0.1 0.5 0.9\n0 0.1 0.1 0.9 0.1 0.9 0.9\n";
    expect(read(twice, { measure: "mask" })).toHaveLength(2);
  });

  test("key points of two and of three numbers, labelled or not", () => {
    const keypoints = { count: 2 };
    const box = { x: 80, y: 40, width: 40, height: 20 };
    const [three] = read("0 0.5 0.5 0.2 0.2 0.1 0.2 2 -9 nan 0", { measure: "points", keypoints });
    expect(three).toEqual({
      ...{ image: "a", category: 0, box },
      points: [
        { x: 20, y: 20, labelled: true },
        { x: 0, y: 0, labelled: false },
      ],
    });
    const [two] = read("0 0.5 0.5 0.2 0.2 0.1 0.2 -1 -1", { measure: "points", keypoints });
    expect(two).toEqual(three);
    // Boxes alone, where the dataset does not promise points.
    expect(read("0 0.5 0.5 0.2 0.2", { measure: "points", keypoints })).toEqual([
      { image: "a", category: 0, box },
    ]);
    expect(read("0 0.5 0.5 0.2 0.2 0.1 0.2 2 1 1 0", { keypoints: { count: 2, values: 3 } })[0].box).toEqual(
      box,
    );
  });

  test("corners of a turned box, which may be a little outside", () => {
    const [row] = read("1 0.1 0.2 0.2 -0.005 0.3 0.2 0.2 0.4", { measure: "corners" });
    expect(row.corners).toEqual([20, 20, 40, -0.5, 60, 20, 40, 40].map((v) => expect.closeTo(v, 9)));
    expect(row.box).toEqual({
      ...{ x: 20, y: -0.5, height: 40.5 },
      width: expect.closeTo(40, 9),
    });
    expect(row.area).toBeCloseTo(810, 9);
  });

  test.each<[measure: YoloLabelOptions["measure"], line: string, message: string]>([
    ["mask", "0 0.5 0.5 0.2 0.2", "found 5 values (a box), expected the outline of a mask"],
    ["mask", "0 0.5 0.5 0.2 0.2 0.9", "found 6 values (a box), expected the outline of a mask"],
    ["mask", "0 0.1 0.1 0.9 0.1 0.5 0.9 0.8", "found 8 values, expected the outline of a mask"],
    ["mask", "0 0.1 0.1 0.9 0.1 0.5 1.9", "found 1.9, expected fractions"],
    ["corners", "0 0.5 0.5 0.2 0.2", "found 5 values, expected 9: a class and the four corners"],
    ["corners", "0 0.5 0.5 0.2 0.2 0.7", "found 6 values, expected 9"],
    ["corners", "0 0.1 0.1 0.9 0.1 0.9 0.9 0.1 2.02", "found 2.02, expected fractions"],
    [
      "points",
      "0 0.5 0.5 0.2 0.2 0.1 0.2 0.3",
      "found 8 values, expected 9 or 11: a class, a box and 2 key points",
    ],
    ["points", "0 0.5 0.5 0.2 0.2 0.1 0.2 2 0.1 1.2 1", "found 1.2, expected fractions"],
    ["points", "0 0.5 0.5 0.2 0.2 0.1 0.2 x 0.1 0.2 1", "found x, expected 0, 1 or 2 behind a key point"],
    ["points", "0 0.5 0.5 0.2 1.2 0.1 0.2 2 0.1 0.2 1", "found 1.2, expected fractions"],
  ])("%s: %s", (measure, line, message) => {
    const reading = () => read(`\n${line}`, { measure, keypoints: { count: 2 } });
    expect(reading).toThrow(FormatError);
    expect(reading).toThrow(`a.txt: line 2: ${message}`);
  });

  test("a score at the end is left out, with a word", () => {
    const notes: string[] = [];
    const onNote = (note: string) => notes.push(note);
    const turned = "1 0.1 0.2 0.2 0.1 0.3 0.2 0.2 0.4";
    const plain = read(turned, { measure: "corners" });
    expect(read(`${turned} 0.93`, { measure: "corners", onNote })).toEqual(plain);
    const pose = "0 0.5 0.5 0.2 0.2 0.1 0.2 2 0.3 0.4 1";
    const options = { measure: "points", keypoints: { count: 2 }, onNote } as const;
    expect(read(`${pose} 0.5`, options)).toEqual(read(pose, options));
    expect(notes).toEqual(Array(2).fill("a.txt: the last value of 1 line is taken for a score and ignored"));
    expect(() => read(`${turned} 1.5`, { measure: "corners" })).toThrow("found 1.5 as last value");
  });

  test("a dataset that promises key points has them", () => {
    const options = { measure: "points", keypoints: { count: 2, values: 3 } } as const;
    expect(() => read("0 0.5 0.5 0.2 0.2", options)).toThrow("found 5 values, expected 11");
    expect(() => read("0 0.5 0.5 0.2 0.2 0 0 0 0", options)).toThrow("found 9 values, expected 11");
    expect(() => read("0 0.5 0.5 0.2 0.2", { measure: "points" })).toThrow(UsageError);
    expect(() => read("", { measure: "classify" as never })).toThrow(UsageError);
  });

  test("the yaml of a pose dataset", () => {
    const text = "names: [x]\nkpt_shape: [2, 3]\nflip_idx: [1, 0]\nkpt_oks_sigmas: [0.1, 0.2]\n";
    expect(parseDatasetYaml(text, "d.yaml")).toMatchObject({
      keypoints: { count: 2, values: 3 },
      sigmas: [0.1, 0.2],
    });
  });
});

describe("COCO annotations", () => {
  const parse = (changes: object) =>
    parseCocoInstances(
      JSON.stringify({
        images: [{ id: 7, file_name: "7.jpg", width: 200, height: 100 }],
        categories: [{ id: 1, name: "person" }],
        annotations: [{ image_id: 7, category_id: 1, bbox: [20, 20, 20, 30], ...changes }],
      }),
      "i.json",
    ).groundTruth[0];
  const corners = [20, 20, 40, 20, 40, 50, 20, 50];

  test("outlines, run lengths and their compressed form are one mask", () => {
    const { mask, area, box } = cocoObject(parse({ segmentation: [corners] }), "mask", size);
    expect(area).toBe(600);
    expect(box).toEqual({ x: 20, y: 20, width: 20, height: 30 });
    const counts = [...mask!.counts];
    const runs = { size: [100, 200], counts };
    expect(cocoObject(parse({ segmentation: runs, area: 5 }), "mask", size)).toMatchObject({
      mask,
      area: 5,
    });
    const text = { size: [100, 200], counts: maskToString(mask!) };
    expect(cocoObject(parse({ segmentation: text }), "mask", size).mask).toEqual(mask);
    expect(maskFromString(maskToString(mask!), size)).toEqual(mask);
    const parts = [corners.slice(0, 6), [...corners.slice(4), 20, 20]];
    expect(cocoObject(parse({ segmentation: parts }), "mask", size).mask).toEqual(mask);
  });

  test("key points, and corners of a turned box", () => {
    expect(parse({ keypoints: [1, 2, 2, 3, 4, 1, 0, 0, 0] }).points).toEqual([
      { x: 1, y: 2, labelled: true },
      { x: 3, y: 4, labelled: true },
      { x: 0, y: 0, labelled: false },
    ]);
    expect(parse({ keypoints: [] }).points).toBeUndefined();
    const turned = [30, 10, 40, 20, 30, 30, 20, 20];
    expect(cocoObject(parse({ segmentation: [turned], area: 9 }), "corners", size)).toMatchObject({
      corners: turned,
      area: 200,
      box: { x: 20, y: 10, width: 20, height: 20 },
    });
    expect(cocoObject(parse({ segmentation: [turned] }), "box", size)).toEqual({
      ...{
        image: 7,
        category: 1,
        box: { x: 20, y: 20, width: 20, height: 30 },
        area: undefined,
        crowd: false,
      },
    });
  });

  test.each<[measure: "mask" | "corners", segmentation: unknown, message: string]>([
    ["mask", undefined, "annotations.0.segmentation: is missing or wrong; expected outlines"],
    ["mask", [], "is missing or wrong"],
    ["mask", [[1, 2, 3, 4]], "an outline of 4 numbers"],
    ["mask", [["1", 2, 3, 4]], "is missing or wrong"],
    [
      "mask",
      { size: [200, 100], counts: [20000] },
      "run lengths for 100x200 pixels, but the picture has 200x100",
    ],
    ["mask", { size: [100, 200], counts: [5] }, "its runs are 5 pixels long, expected 20000"],
    ["mask", { size: [100, 200], counts: "~" }, "expected run lengths as COCO compresses them"],
    ["corners", [[1, 2, 3, 4, 5, 6]], "expected one outline of four points"],
    ["corners", undefined, "expected one outline of four points"],
  ])("%s: %j", (measure, segmentation, message) => {
    const reading = () => cocoObject(parse({ segmentation }), measure, size);
    expect(reading).toThrow(FormatError);
    expect(reading).toThrow(message);
  });
  test("key points that are no triples", () => {
    expect(() => parse({ keypoints: [1, 2] })).toThrow("annotations.0.keypoints: found 2 numbers");
  });
});
