/** Odd but legal `.param` files, and files that only look so. */
import { describe, expect, test } from "vitest";
import { ByteWriter } from "../../../src/base/bytes.ts";
import { FormatError } from "../../../src/base/errors.ts";
import { parseBinaryParam, parseParam, printParam, readNcnn } from "../../../src/formats/ncnn/index.ts";

describe("parameters that are not finite", () => {
  // ncnn keeps integers and floats in the same 32 bits: 2139095040 is infinity, 2143289344 is NaN.
  test.each([
    ["1e39", Number.POSITIVE_INFINITY, "2139095040"],
    ["-1e39", Number.NEGATIVE_INFINITY, "-8388608"],
    ["2143289344", Number.NaN, "2143289344"],
  ])("%s", (spelling, value, printed) => {
    const graph = parseParam(`7767517\n2 2\nInput x 0 1 x\nClip c 1 1 x y 1=${spelling}\n`);
    expect(graph.node("c")?.params.max).toBe(value);
    const text = printParam(graph);
    expect(text).toContain(` 1=${printed}\n`);
    expect(parseParam(text).node("c")?.params.max).toBe(value);
  });
});

test("a binary param without layers is refused as the text is", () => {
  const empty = new ByteWriter().i32(7767517).i32(0).i32(0).finish();
  expect(() => parseBinaryParam(empty)).toThrow(FormatError);
  expect(() => parseParam("7767517\n0 0\n")).toThrow(FormatError);
});

test("an int8 scale that is NaN is refused", () => {
  const param = "7767517\n2 2\nInput x 0 1 x\nQuantize q 1 1 x y 0=1\n";
  const graphOf = (scale: number) => readNcnn(param, new ByteWriter().f32(scale).finish());
  expect(graphOf(2).nodes).toHaveLength(2);
  expect(() => graphOf(Number.NaN)).toThrow(/scale of Quantize "q" \(1 values\) holds NaN/);
});
