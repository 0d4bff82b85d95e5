import { expect, test } from "vitest";
import { parseNames } from "../../../src/formats/onnx/names.ts";

test.each<[string, string[]]>([
  ["{0: 'person', 1: 'traffic light'}", ["person", "traffic light"]],
  [`{0: "driver's seat", 1: 'a "b"'}`, ["driver's seat", 'a "b"']],
  ["['a', 'b',]", ["a", "b"]],
  ["('a', 'b')", ["a", "b"]],
  ["{0: 'a',\n 1: 'b',\n}", ["a", "b"]],
  ['{"0": "x"}', ["x"]],
  ['["a","b"]', ["a", "b"]],
  ["{1: 'b', 0: 'a'}", ["a", "b"]],
  ["{0: '安全帽', 1: '反光衣'}", ["安全帽", "反光衣"]],
  [
    String.raw`{"0": "\u5b89\u5168\u5e3d", "1": "caf\u00e9", "2": "\ud83d\ude00", "3": "a\/b"}`,
    ["安全帽", "café", "😀", "a/b"],
  ],
  [
    String.raw`{0: 'tab\there', 1: 'x\xa0y', 2: 'it\'s', 3: 'a\\b', 4: '\u5b89', 5: '\U0001f600', 6: 'a\/b', 7: '\101'}`,
    ["tab\there", "x\xa0y", "it's", "a\\b", "安", "😀", "a\\/b", "A"],
  ],
  ["{0: 0, 1: -1.5, 2: True}", ["0", "-1.5", "True"]],
  ['{"0": 0, "1": 1}', ["0", "1"]],
  ["{0: u'a', 1: r'b\\n'}", ["a", "b\\n"]],
])("%s", (text, labels) => {
  expect(parseNames(text)).toEqual({ labels });
});

test("counted from 1: taken in order, and said", () => {
  for (const text of ["{1: 'a', 2: 'b'}", '{"1": "a", "2": "b"}']) {
    expect(parseNames(text)).toEqual({
      labels: ["a", "b"],
      problem:
        "the names in the metadata are numbered 1 to 2; they are taken in this order for the classes 0 to 1",
    });
  }
});

test.each(["{0: 'a', 2: 'b'}", "{0: 'a', 0: 'b'}", "{5: 'a'}"])("%s is told, not used", (text) => {
  expect(parseNames(text)).toEqual({ problem: expect.stringContaining("not numbered 0, 1, 2") });
});

test.each([
  "",
  "{}",
  "[]",
  "person,car",
  "{0: 'a' 1: 'b'}",
  "['a'",
  "{0: a}",
  "{0: ['a']}",
  "{'a': 0}",
  "__import__('os')",
  "{0: 'a'} x",
])("%j is told, not used", (text) => {
  expect(parseNames(text)).toEqual({ problem: expect.stringContaining("cannot be read") });
});

test("no names are no problem", () => {
  expect(parseNames(undefined)).toEqual({});
});

test("hostile text takes no time", () => {
  const start = performance.now();
  for (const text of [
    `{0: '${"\\".repeat(200_001)}`,
    `[${"'a',".repeat(100_000)}`,
    " ".repeat(2 ** 20),
    `{${"0".repeat(500_000)}`,
  ]) {
    expect(parseNames(text).labels).toBeUndefined();
  }
  expect(performance.now() - start).toBeLessThan(5000);
});
