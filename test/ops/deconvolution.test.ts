import { expect, test } from "vitest";
import { parseParam } from "../../src/formats/ncnn/index.ts";
import { inferShapes } from "../../src/ir/graph.ts";
import { ops } from "../../src/ops/index.ts";

test("a negative output_pad is refused: rows would run into each other", () => {
  const text = (pad: number) =>
    `7767517\n2 2\nInput x 0 1 x\nDeconvolution d 1 1 x y 0=1 1=3 2=2 6=9 18=${pad}\n`;
  const shapeAt = (pad: number) => inferShapes(parseParam(text(pad)), ops, { x: [1, 4, 4] }).get("y");
  expect(shapeAt(1)).toEqual([1, 9, 9]);
  expect(() => shapeAt(-2)).toThrow("output_pad_right is -2, expected at least 0");
});
