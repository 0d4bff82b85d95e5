import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { FormatError } from "../../src/base/errors.ts";
import {
  matchCategories,
  parseCocoInstances,
  parseDatasetYaml,
  parseYoloLabels,
} from "../../src/evaluate/dataset.ts";
import { dataFiles, dataText, testData } from "../data.ts";

const size = { width: 200, height: 100 };

describe("YOLO labels", () => {
  test("boxes and outlines", () => {
    expect(parseYoloLabels("3 0.5 0.5 0.2 0.4\r\n\n0 0.1 0.2 0.3 0.2 0.2 0.6\n", "a.txt", "a", size)).toEqual(
      [
        { image: "a", category: 3, box: { x: 80, y: 30, width: 40, height: 40 } },
        {
          image: "a",
          category: 0,
          box: {
            x: expect.closeTo(20, 9),
            y: expect.closeTo(20, 9),
            width: expect.closeTo(40, 9),
            height: expect.closeTo(40, 9),
          },
        },
      ],
    );
    expect(parseYoloLabels("", "a.txt", "a", size)).toEqual([]);
  });

  test.each([
    ["1 0.5 0.5 0.2", "line 1: found 4 values"],
    ["1 0.5 0.5 0.2 0.2 0.1", "line 1: found 6 values"],
    ["0 0.5 0.5 0.2 0.2\n1.5 0.5 0.5 0.2 0.2", "line 2: class 1.5"],
    ["1 0.5 0.5 0.2 1.2", "found 1.2, expected fractions"],
    ["1 0.5 x 0.2 0.2", "found x"],
    ["person 0.5 0.5 0.2 0.2", "class person"],
  ])("%j", (text, message) => {
    const read = () => parseYoloLabels(text, "a.txt", "a", size);
    expect(read).toThrow(FormatError);
    expect(read).toThrow(message);
  });

  testData("all real label files", () => {
    let count = 0;
    for (const folder of ["train2017", "val2017"]) {
      for (const file of dataFiles(`coco/labels/${folder}`, ".txt")) {
        count += parseYoloLabels(dataText(file), file, file, size).length;
      }
    }
    expect(count).toBeGreaterThan(1000);
  });
});

describe("COCO instances", () => {
  const instances = () => ({
    info: { year: 2017 },
    images: [{ id: 7, file_name: "7.jpg", width: 640, height: 480, license: 1 }],
    categories: [
      { id: 1, name: "person", supercategory: "person" },
      { id: 18, name: "Traffic_Light" },
    ],
    annotations: [
      { id: 5, image_id: 7, category_id: 18, bbox: [1, 2, 3, 4], area: 9.5, iscrowd: 1, segmentation: [] },
      { id: 6, image_id: 7, category_id: 1, bbox: [1, 2, 3, 4] },
    ],
  });

  test("is read", () => {
    const result = parseCocoInstances(JSON.stringify(instances()), "i.json");
    expect(result.images).toEqual([{ id: 7, fileName: "7.jpg", width: 640, height: 480 }]);
    const box = { x: 1, y: 2, width: 3, height: 4 };
    expect(result.groundTruth).toEqual([
      { image: 7, category: 18, box, area: 9.5, crowd: true },
      { image: 7, category: 1, box, area: undefined, crowd: false },
    ]);
    expect(matchCategories(result.categories, ["traffic light", "person"])).toEqual(
      new Map([
        [1, 1],
        [18, 0],
      ]),
    );
    expect(() => matchCategories(result.categories, ["person"])).toThrow(
      'categories "Traffic_Light" are no labels',
    );
    expect(matchCategories(result.categories, ["person"], { partial: true })).toEqual(new Map([[1, 0]]));
  });

  test("what is wrong is named", () => {
    const read = (change: (json: ReturnType<typeof instances>) => void) => () => {
      const json = instances();
      change(json);
      return parseCocoInstances(JSON.stringify(json), "i.json");
    };
    expect(() => parseCocoInstances("[", "i.json")).toThrow("i.json: not JSON");
    expect(() => parseCocoInstances("[]", "i.json")).toThrow("i.json: top level");
    expect(read((json) => json.annotations[1].bbox.pop())).toThrow("i.json: annotations.1.bbox");
    expect(read((json) => Object.assign(json, { categories: 3 }))).toThrow("categories");
    expect(read((json) => Object.assign(json.annotations[0], { image_id: 8 }))).toThrow(
      "image_id 8 is not among",
    );
  });
});

describe("dataset yaml", () => {
  const expected = {
    path: "../data",
    train: ["a"],
    val: ["b", "c d"],
    test: [],
    names: ["x", "y z", "it's"],
  };
  test.each([
    ["block map", "path: ../data\ntrain: a\nval:\n  - b\n  - c d\nnames:\n  0: x\n  1: y z\n  2: it's\n"],
    ["block list", "path: ../data # root\ntrain: a\nval: [b, c d]\nnames:\n- x\n- 'y z'\n- it's\n"],
    [
      "flow over lines",
      "# top\npath: '../data'\ntrain: [a]\nval: ['b', \"c d\"]\nnc: 3\nnames: [ 'x', \"y z\",\n  \"it's\" ] # end\n",
    ],
    ["flow map", "path: ../data\ntrain: a\nval: [b, c d]\nnames: {0: x, 2: it's, 1: y z}\n"],
    [
      "other keys",
      "download: |\n  import os\n  x: y\npath: ../data\ntrain: a\nval: [b, c d]\nnames: [x, y z, 'it''s']\nroboflow:\n  url: http://a#b\n",
    ],
  ])("%s", (_, text) => {
    expect(parseDatasetYaml(text, "d.yaml")).toEqual(expected);
  });

  test.each([
    ["train: a\n", 'no "names"'],
    ["names: &a [x]\n", "expected a plain or quoted word"],
    ["names: [x\n", '"[" without "]"'],
    ["names:\n  0: x\n  2: z\n", "class 1 has no name"],
    ["names:\n  zero: x\n", 'found "zero: x", expected "number: name"'],
    ["- a\n- b\n", "line 1"],
    ["names: [x]\n<xml>\n", 'line 2: found "<xml>"'],
    ["names:\n  999999999: x\n", 'expected "number: name"'],
  ])("%j", (text, message) => {
    const read = () => parseDatasetYaml(text, "d.yaml");
    expect(read).toThrow(FormatError);
    expect(read).toThrow(message);
  });

  test("hostile text ends in a result or in a FormatError, fast", () => {
    const piece = fc.constantFrom(
      "names:",
      " ",
      "\n",
      "- ",
      "[",
      "]",
      "{",
      "}",
      "'",
      '"',
      ",",
      "0: x",
      "#",
      "\\",
      "a",
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 60 }), (pieces) => {
        try {
          parseDatasetYaml(pieces.join(""), "d.yaml");
        } catch (error) {
          expect(error).toBeInstanceOf(FormatError);
        }
      }),
    );
    const long = [
      `names: [${"'a".repeat(300_000)}]`,
      `names: ["${'\\"'.repeat(300_000)}]`,
      `names: [${"\n'a".repeat(100_000)}`,
      `names: [${"\na".repeat(100_000)}`,
      `names:${"\n  'a".repeat(100_000)}`,
    ];
    for (const text of long) expect(() => parseDatasetYaml(text, "d.yaml")).toThrow(FormatError);
  });

  testData("the real one", () => {
    const { names, train, val, path } = parseDatasetYaml(dataText("coco/coco.yaml"), "coco.yaml");
    expect([names.length, names[79], train, val, path]).toEqual([
      80,
      "toothbrush",
      ["images/train2017"],
      ["images/val2017"],
      ".",
    ]);
  });
});
