import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { FormatError } from "../../src/base/errors.ts";
import { matchCategories, parseCocoInstances } from "../../src/evaluate/dataset.ts";
import { parseDatasetYaml } from "../../src/evaluate/dataset-yaml.ts";
import { parseYoloLabels } from "../../src/evaluate/yolo-labels.ts";
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
    ["1 0.5 0.5 0.2 0.2 1.1", "line 1: found 1.1 as last value"],
    ["1 0.5 0.5 0.2 0.2 0.1 0.2 0.3", "line 1: found 8 values"],
    ["0 0.5 0.5 0.2 0.2\n1.5 0.5 0.5 0.2 0.2", "line 2: class 1.5"],
    ["1 0.5 0.5 0.2 1.2", "found 1.2, expected fractions"],
    ["1 0.5 x 0.2 0.2", "found x"],
    ["person 0.5 0.5 0.2 0.2", "class person"],
    ["0 0.5 0.5 0x1 0.2", "found 0x1"],
    ["0 0.5 0.5 nan 0.2", "found nan"],
    // A pixel is 0.005 of the width and 0.01 of the height.
    ["0 -0.0051 0.5 0.2 0.2", "found -0.0051"],
    ["0 0.5 1.0101 0.2 0.2", "found 1.0101"],
    ["0 0.1 0.1 0.2 0.1 0.2 -0.02", "found -0.02"],
  ])("%j", (text, message) => {
    const read = () => parseYoloLabels(text, "a.txt", "a", size);
    expect(read).toThrow(FormatError);
    expect(read).toThrow(message);
  });

  test("values up to a pixel outside are clipped, scores ignored and the same lines counted once, with a word", () => {
    const notes: string[] = [];
    const read = (text: string) =>
      parseYoloLabels(text, "a.txt", "a", size, { onNote: (note) => notes.push(note) });
    const values = (text: string) => read(text).map(({ box }) => [box.x, box.y, box.width, box.height]);
    expect(values("0 0.5 0.5 1.000001 1.009")).toEqual([[0, 0, 200, 100]]);
    expect(values("0 -0.0003 0.5 0.2 0.2\r0 0.5 0.5 0.1 0.1")[0]).toEqual([-20, 40, 40, 20]);
    expect(values("0 -0.004 0.2 1.004 0.2 0.5 0.4")[0]).toEqual([
      0,
      expect.closeTo(20, 9),
      200,
      expect.closeTo(20, 9),
    ]);
    expect(notes).toEqual([]);
    expect(read("0 0.5 0.5 0.2 0.2 0.93\n1 0.5 0.5 0.2 0.2 1")).toHaveLength(2);
    expect(read("0 0.5 0.5 0.2 0.2\n0 .5 5e-1 0.20000000001 0.2\n1 0.5 0.5 0.2 0.2")).toHaveLength(2);
    expect(notes).toEqual([
      "a.txt: the last value of 2 lines is taken for a score and ignored",
      "a.txt: 1 line said again what another says, and counted once",
    ]);
  });

  test("key points of a pose dataset are no outline", () => {
    const { keypoints } = parseDatasetYaml("names: [x]\nkpt_shape: [2, 2]\n", "d.yaml");
    expect(keypoints).toEqual({ count: 2, values: 2 });
    const read = (options: object) =>
      parseYoloLabels("0 0.5 0.5 0.2 0.2 0.1 0.1 0 0", "a.txt", "a", size, options)[0].box;
    expect(read({ keypoints })).toEqual({ x: 80, y: 40, width: 40, height: 20 });
    expect(read({})).toEqual({ x: 0, y: 0, width: 100, height: 50 });
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
    expect(result.groundTruth).toMatchObject([
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
    expect(read((json) => Object.assign(json.annotations[1], { bbox: [0, 0, -1, 5] }))).toThrow(
      "annotations.1.bbox",
    );
    expect(read((json) => Object.assign(json.images[0], { id: 2 ** 60 }))).toThrow("images.0.id");
    expect(read((json) => json.images.push({ ...json.images[0] }))).toThrow(
      "images: the id 7 is there twice",
    );
    expect(read((json) => Object.assign(json.categories[1], { id: 1 }))).toThrow("the id 1 is there twice");
    expect(() => parseCocoInstances("[".repeat(100_000), "i.json")).toThrow(FormatError);
  });

  test("annotations of images or categories that are not there are left out and counted, as pycocotools does", () => {
    const json = instances();
    json.annotations.push({ id: 7, image_id: 8, category_id: 1, bbox: [1, 2, 3, 4] });
    json.annotations.push({ id: 8, image_id: 7, category_id: 5, bbox: [1, 2, 3, 4] });
    const { groundTruth, leftOut } = parseCocoInstances(JSON.stringify(json), "i.json");
    expect([groundTruth.length, leftOut]).toEqual([2, 2]);
  });

  test.each([
    "../7.jpg",
    "a/../../7.jpg",
    "a\\..\\..\\7.jpg",
    "/etc/passwd",
    "\\\\server\\share\\7.jpg",
    "C:\\7.jpg",
    "..",
    "",
    "a\0.jpg",
  ])("file_name %j does not leave the folder", (name) => {
    const json = instances();
    json.images[0].file_name = name;
    expect(() => parseCocoInstances(JSON.stringify(json), "i.json")).toThrow("images.0.file_name");
  });

  test("a file_name may have folders, with backslashes too, and no size", () => {
    const json = { ...instances(), images: [{ id: 7, file_name: "val\\a..b\\7.jpg" }] };
    expect(parseCocoInstances(JSON.stringify(json), "i.json").images).toEqual([
      { id: 7, fileName: "val/a..b/7.jpg", width: undefined, height: undefined },
    ]);
  });

  test("names that differ in case only are told apart where both are there", () => {
    const categories = [
      { id: 1, name: "A" },
      { id: 2, name: "a" },
    ];
    expect([...matchCategories(categories, ["a", "A"]).values()]).toEqual([1, 0]);
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
      "download: |\n  import os\n  x: y\nnc: 3\ntest:  # none\npath: ../data\ntrain: a\nval: [b, c d]\nnames: [x, y z, 'it''s']\nroboflow:\n  url: http://a#b\n",
    ],
    ["aliases", "path: ../data\ntrain: &a a\nval: [b, c d]\nnames: &n [x, y z, it's]\nalso: *n\n"],
    ["another name of val", "path: ../data\ntrain: a\nvalidation: [b, c d]\nnames: [x, y z, it's]\n"],
    ["JSON", '{"path": "../data", "train": "a", "val": ["b", "c d"], "names": ["x", "y z", "it\'s"]}'],
  ])("%s", (_, text) => {
    expect(parseDatasetYaml(text, "d.yaml")).toEqual(expected);
  });

  test("names are text as written, and may be missing", () => {
    expect(parseDatasetYaml("names: [no, 1.0, ~, 0x10, 2024-01-01, null]\n", "d.yaml").names).toEqual([
      "no",
      "1.0",
      "~",
      "0x10",
      "2024-01-01",
      "null",
    ]);
    expect(parseDatasetYaml("names: {1: yes, 00: 'off'}\n", "d.yaml").names).toEqual(["off", "yes"]);
    const none = { path: undefined, train: ["a"], val: [], test: [], names: [] };
    expect(parseDatasetYaml("train: a\nval: ~\nnc: 2\n", "d.yaml")).toEqual(none);
  });

  test.each([
    ["", "expected a dataset yaml"],
    ["names: x\n", "expected a list, or a map"],
    ["names: [[x]]\n", "expected a word"],
    ["names: !!python/object:os.system [x]\n", "line 1: Unresolved tag"],
    ["names: [x]\nkpt_shape: [17, 4]\n", 'kpt_shape: found "17, 4"'],
    [
      "names: [x]\nkpt_shape: [2, 3]\nkpt_oks_sigmas: [0.1]\n",
      'kpt_oks_sigmas: found "0.1", expected 2 numbers',
    ],
    ["names: [x]\nkpt_shape: [2, 3]\nkpt_oks_sigmas: [0.1, x]\n", "expected 2 numbers above 0"],
    ["names: [x]\nnames: [y]\n", '"names" is there twice'],
    ["names: {1: x, 0: y, 01: z}\n", "class 1 is there twice"],
    ["names: [x]\nnc: 2\n", 'nc is "2", but there are 1 names'],
    ["names: [\ufffd\ufffd]\n", "is not UTF-8"],
    ["names: *x\n", 'the alias "x" stands for nothing'],
    ["names: [x\n", "line 2: Flow sequence"],
    ["names:\n  0: x\n  2: z\n", "class 1 has no name"],
    ["names:\n  zero: x\n", 'found the key "zero", expected a class number'],
    ["- a\n- b\n", "expected a dataset yaml"],
    ["names: [x]\n<xml>\n", "line 2: Implicit map keys"],
    ["names:\n  999999999: x\n", "expected a class number"],
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
      "&a ",
      "*a",
      "!!x ",
      "? ",
      "|\n",
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
      `names: [${"'a".repeat(10_000)}]`,
      `names: ["${'\\"'.repeat(10_000)}]`,
      `names: [${"\n'a".repeat(10_000)}`,
      `names: [${"\na".repeat(10_000)}`,
      `names:${"\n  'a".repeat(10_000)}`,
      `names: ${"[".repeat(30_000)}`,
      "{a: ".repeat(10_000),
      "- ".repeat(10_000),
      "&a ".repeat(10_000),
      ": ".repeat(10_000),
      `a: &a x\nnames: [${"*a,".repeat(10_000)}]`,
      `names: [a]\n#${"a".repeat(1_000_000)}`,
    ];
    for (const text of long) {
      const before = process.cpuUsage();
      expect(() => parseDatasetYaml(text, "d.yaml"), text.slice(0, 20)).toThrow(FormatError);
      expect(process.cpuUsage(before).user / 1e6, text.slice(0, 20)).toBeLessThan(4); // about 0.5 s alone
    }
  }, 60_000);

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

test("a dataset yaml that is nested without end", () => {
  for (const text of [
    `names: ${"[".repeat(50_000)}`,
    `names: [${"a: ".repeat(20_000)}]`,
    `${"- ".repeat(50_000)}`,
  ]) {
    expect(() => parseDatasetYaml(text, "d.yaml")).toThrow(FormatError);
    expect(() => parseDatasetYaml(text, "d.yaml")).not.toThrow(/call stack/);
  }
});
