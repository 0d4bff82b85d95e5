/** Sliding windows with any mixture of kernels, strides and pads, against native ncnn (scripts/window-goldens.py). */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { runReference } from "../../src/engine/reference/index.ts";
import { parseParam } from "../../src/formats/ncnn/index.ts";
import { f32Weight } from "../../src/ir/weight.ts";
import { floatMachines, graphOf, runEngine } from "../engine/harness.ts";

interface Case {
  line: string;
  shape: number[];
  x: number[];
  weights: number[][];
  y: (number | null)[];
  yShape: number[];
}
const cases = JSON.parse(readFileSync(new URL("data/windows.json", import.meta.url), "utf8")) as Case[];

describe("windows as native ncnn has them", () => {
  it.each(cases.map((each): [string, Case] => [`${each.line} of ${each.shape}`, each]))(
    "%s",
    async (_, each) => {
      const { line, shape, x, weights, y, yShape } = each;
      const graph = parseParam(`7767517\n2 2\nInput x 0 1 x\n${line}\n`);
      const scaled = weights.map((values) => f32Weight(values.map((v) => v / 16)));
      if (scaled.length) graph.node("l")!.weights = { weight: scaled[0], bias: scaled[1] };
      const inputs = { x: { shape, data: Float32Array.from(x, (v) => v / 16) } };
      const engine = await runEngine(graph, inputs, floatMachines[0][1]);
      for (const found of [runReference(graph, inputs).y, engine.outputs.y]) {
        expect(found.shape).toEqual(yShape);
        const wrong = [...found.data].filter((v, i) => {
          const native = y[i];
          return native === null
            ? !Number.isNaN(v)
            : !(Math.abs(v - native) <= 1e-4 * (1 + Math.abs(native)));
        });
        expect(wrong).toEqual([]);
      }
    },
  );

  it.each([
    ["Convolution l 1 1 x y 0=1 1=3 6=9 4=-233 15=1", /pads are -233, 1, -233, -233; expected/],
    ["ConvolutionDepthWise l 1 1 x y 0=1 1=3 6=9 4=0 14=-234 15=2 7=1", /pads are/],
    ["Deconvolution l 1 1 x y 0=1 1=3 6=9 4=1 16=-233", /pads are/],
    ["Deconvolution l 1 1 x y 0=1 1=3 6=9 20=5 21=5", /needs to know where to cut/],
  ])("%s is refused, as native fails", (line, problem) => {
    expect(() => graphOf(line, { x: [1, 6, 6] })).toThrow(problem);
  });
});
