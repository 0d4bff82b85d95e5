/** Size expressions: native ncnn's values, where layers take them, and what is none. */
import { readFileSync } from "node:fs";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { GraphError } from "../../src/base/errors.ts";
import { runReference } from "../../src/engine/reference/index.ts";
import { parseBinaryParam, parseParam, printParam, writeBinaryParam } from "../../src/formats/ncnn/index.ts";
import { inferShapes } from "../../src/ir/graph.ts";
import type { Shape } from "../../src/ir/tensor.ts";
import { evaluateSizes } from "../../src/ops/_expression.ts";
import { ops } from "../../src/ops/index.ts";
import { optimizePasses, runPasses } from "../../src/passes/index.ts";
import { floatMachines, graphOf, randomInputs, runEngine } from "../engine/harness.ts";

describe("a size expression", () => {
  const golden = JSON.parse(
    readFileSync(new URL("data/expressions.json", import.meta.url), "utf8"),
  ) as Record<string, number | null>;

  it("has native ncnn's value", () => {
    expect(Object.keys(golden).length).toBeGreaterThan(700);
    const wrong: unknown[] = [];
    for (const [expression, native] of Object.entries(golden)) {
      let found: number | undefined;
      try {
        found = evaluateSizes(`+(3000,${expression})`, [[6, 8000]])[0] - 3000;
      } catch (error) {
        expect(error).toBeInstanceOf(GraphError);
      }
      // Native refuses crops that do not fit, and takes what is no number for one.
      const fits = found !== undefined && found > -3000 && found < 5000;
      if (native !== (fits ? found : null)) wrong.push([expression, native, found]);
    }
    expect(wrong).toEqual([]);
  });

  it.each([
    ["0w,*(0h,0c)", "5,24"],
    ["1w,1h,4", "7,1,4"],
    ["0c,0d,0n,1c", "4,1,1,1"],
    ["+(1,*(2,3))", "7"],
    // Brackets only help the eye, in native too.
    ["*(2,3,4)", "6,4"],
  ])("%s is %s", (text, expected) => {
    expect(evaluateSizes(text, [[4, 6, 5], [7]]).join()).toBe(expected);
  });

  it.each([
    ["", /brackets and commas/],
    ["0w,", /brackets and commas/],
    ["0w,,1", /brackets and commas/],
    ["(0w,1)", /brackets and commas/],
    ["+(0w,1", /brackets and commas/],
    ["+(0w,1)2", /brackets and commas/],
    ["+(0w)", /"\+" lacks an operand/],
    ["0w, 0h", /" 0h" is no number/],
    ["2w", /2w: there are 2 inputs, counted from 0/],
    ["constructor(1)", /"constructor" is no number/],
    ["0x10", /"0x10" is no number/],
    ["//(3,0)", /division by 0/],
    ["/(3,0)", /Infinity is no size/],
    ["sqrt(-1)", /NaN is no size/],
    ["and(2,1.5)", /whole numbers/],
    ["exp(40)", /is no size/],
    ["+(".repeat(200), /400 characters, at most 255/],
  ])("%s is none", (text, problem) => {
    expect(() => evaluateSizes(text, [[4, 6, 5], [7]])).toThrow(problem);
  });

  it("gives whole numbers or a GraphError, whatever is written", () => {
    const piece = fc.constantFrom(
      ..."0w 1h 2c 7 -3 0.5 1e9 ( ) , + - * // / pow max floor lshift rsqrt".split(" "),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
        try {
          for (const size of evaluateSizes(pieces.join(""), [[4, 6, 5], [7]])) {
            expect(Number.isInteger(size)).toBe(true);
          }
        } catch (error) {
          expect(error).toBeInstanceOf(GraphError);
        }
      }),
      { numRuns: 2000 },
    );
  });
});

const shapeOf = (line: string, ...inputs: Shape[]): string => {
  const names = inputs.map((_, i) => `in${i}`);
  const head = names.map((name) => `Input ${name} 0 1 ${name}\n`).join("");
  const [type, ...params] = line.split(" ");
  const layer = [type, "l", names.length, 1, ...names, "out", ...params].join(" ");
  const graph = parseParam(`7767517\n${names.length + 1} ${names.length + 1}\n${head}${layer}\n`);
  const shapes = inferShapes(graph, ops, Object.fromEntries(names.map((name, i) => [name, inputs[i]])));
  return String(shapes.get("out"));
};

describe("layers with size expressions", () => {
  // Native's results for a blob of 8x6x4.
  it.each([
    ['Reshape 6="0w,0h,0c"', "4,6,8"],
    ['Reshape 6="*(0w,0h),0c"', "4,48"],
    ['Reshape 6="-1,0c"', "4,48"],
    ['Reshape 6="0,0,0"', "4,6,8"],
    ['Reshape 6="/(0w,3),-1"', "96,2"],
    ['Reshape 6="1,1,48,-1"', "4,48,1,1"],
    ['Interp 0=1 9="*(0w,2),*(0h,3)"', "4,18,16"],
    ['Interp 0=2 9="*(0w,1.5),*(0h,1.5)"', "4,9,12"],
    ['Interp 0=1 9="*(0w,2)"', "4,6,16"],
    ['Crop 19="1" 20="//(0c,2)" 21="0"', "1,6,8"],
    ['Crop 19="1,2" 20="3,-(0h,1)" 21="0,1"', "2,3,8"],
    ['Crop 19="0" 20="-1" 21="2"', "4,6,7"],
    ['Crop 19="//(0w,2)" 20="0w" 21="-1"', "4,6,4"],
    ['Crop 19="1" 20="100" 21="0"', "3,6,8"],
  ])("%s", (line, expected) => {
    expect(shapeOf(line, [4, 6, 8])).toBe(expected);
  });

  it.each([
    ['Reshape 6="1w,1h,4"', [3, 6, 8], "4,6,8"],
    ['Interp 0=2 9="1w,1h"', [3, 7, 9], "4,7,9"],
    ['Crop 19="0,1,1" 20="1c,1h,1w" 21="0,1,2"', [2, 3, 5], "2,2,4"],
  ])("%s takes sizes of the second input", (line, second, expected) => {
    expect(shapeOf(line, [4, 6, 8], second)).toBe(expected);
  });

  it.each([
    ['Reshape 6="7,-1"', /cannot take the shape -1x7|cannot take the shape 7x-1/],
    ['Reshape 6="-233,-1"', /cannot take the shape/],
    ['Reshape 6="1,1,1,1,-1"', /5 extents, expected 1 to 4/],
    ['Interp 0=1 9="8,8,8"', /3 extents, expected w and h/],
    ['Interp 0=1 9="0,8"', /too small or a parameter is wrong/],
    ['Crop 19="1" -23310=1,3 21="0"', /of one kind/],
  ])("%s is refused", (line, problem) => {
    expect(() => shapeOf(line, [4, 6, 8])).toThrow(problem);
  });

  it("a second input without an expression is an error", () => {
    expect(() => shapeOf("Reshape 0=-1", [4, 6, 8], [4])).toThrow(/2 inputs, but no size expression/);
  });

  const text = `
    Convolution a 1 1 x b 0=6 1=3 4=1 3=2 5=1
    Interp up 2 1 b x u 0=1 9="*(0w,2),//(1h,1)"
    Interp lin 1 1 b l 0=2 9="*(0w,2),*(0h,2)"
    BinaryOp sum 2 1 u l s 0=0
    Crop cut 1 1 s c 19="1" 20="-(0c,1)" 21="0"
    Reshape flat 2 1 c x r 6="*(0w,0h),0c"
    Reshape back 2 1 r x out 6="1w,1h,-1"`;

  it("run in the engine as in the reference, also optimised, at every size", async () => {
    const graph = graphOf(text, { x: [3, 8, 12] });
    graph.nodes[0].params = {};
    const optimized = graph.clone();
    runPasses(optimized, optimizePasses({ inputShapes: { x: [3, 8, 12] } }));
    for (const shape of [
      [3, 8, 12],
      [3, 16, 6],
    ]) {
      const inputs = randomInputs({ x: shape });
      const expected = runReference(graph, inputs).out;
      expect(expected.shape).toEqual([4, ...shape.slice(1)]);
      for (const each of [graph, optimized]) {
        const { outputs } = await runEngine(each, inputs, floatMachines[0][1]);
        expect(outputs.out.shape).toEqual(expected.shape);
        outputs.out.data.forEach((v, i) => {
          expect(v).toBeCloseTo(expected.data[i], 4);
        });
      }
    }
  });

  it("are written in quotes, since ncnn would take them for numbers", () => {
    const graph = graphOf(text, { x: [3, 8, 12] });
    const printed = printParam(graph);
    expect(printed).toMatch(/^Reshape +back .* 6="1w,1h,-1"$/m);
    const again = parseParam(printed);
    expect(printParam(again)).toBe(printed);
    expect(parseBinaryParam(writeBinaryParam(again)).nodes.at(-1)!.params).toEqual({
      shape_expr: "1w,1h,-1",
    });
  });
});
