/** The files of people who reported what we did to them: `.param`, operators and tables. Each README there gives the right value. */
import { readFileSync } from "node:fs";
import { describe, expect } from "vitest";
import { load, tensor } from "../../src/node.ts";
import { run, temporaryFolder } from "../cli/_run.ts";
import { dataPath, testData } from "../data.ts";

const trial = (name: string): string => dataPath(`trials/${name}`);
const folder = temporaryFolder();
const names = (name: string): string[] => ["--labels", trial(`${name}/names.txt`)];

describe("trials", () => {
  testData("conv1d: a Convolution on a vector", async () => {
    const model = await load(trial("conv1d/m.param"));
    const in0 = tensor(
      [4, 8, 8],
      Float32Array.from({ length: 256 }, (_, i) => i / 100),
    );
    const { out } = await model.run({ in0 });
    model.close();
    expect([...out.data]).toEqual([expect.closeTo(0.46563554, 5), expect.closeTo(3.1077719, 5)]);
  });

  testData("duplicate-names: made unique, with a warning", async () => {
    const model = await load(trial("duplicate-names/m.param"));
    const { out } = await model.run({
      in0: tensor(
        [4, 8, 8],
        Float32Array.from({ length: 256 }, (_, i) => i / 100),
      ),
    });
    expect(model.assumptions[0]).toMatch(/several layers have one name: Sigmoid "a" is now "a_1"/);
    model.close();
    expect([...out.data.slice(0, 2)]).toEqual([expect.closeTo(0.4621172, 5), expect.closeTo(0.46408105, 5)]);
  });

  testData("reshape-expr: sizes of the second input", async () => {
    const model = await load(trial("reshape-expr/m.param"));
    const in0 = tensor(
      [4, 6, 8],
      Float32Array.from({ length: 192 }, (_, i) => i),
    );
    const { out } = await model.run({ in0 });
    model.close();
    expect(out).toEqual(in0);
  });

  // A white cell at (40, 24) of 8x8 pixels, which the first anchor of the first head sees.
  testData.each([
    ["pnnx-heads", "pnnx"],
    ["pnnx-heads", "pnnx-expr"],
    ["fixed-reshape", "fixed640"],
    ["yolov5focus", "focus"],
  ])("%s: %s finds the dot", async (name, model) => {
    const args = [
      trial(`${name}/${model}.param`),
      trial(`${name}/dot.png`),
      ...names(name),
      "--size",
      "128",
      "--json",
    ];
    const { code, out } = await run("detect", ...args);
    expect(code).toBe(0);
    const [{ detections }] = JSON.parse(out).images;
    expect(detections).toMatchObject([{ label: "dot", box: { x: 39, y: 21.5, width: 10, height: 13 } }]);
  });

  testData("yolov5focus: a layer that nobody knows is named", async () => {
    const { code, err } = await run("inspect", trial("yolov5focus/custom.param"));
    expect(code).toBe(1);
    expect(err).toMatch(/custom\.param: line 5: unknown layer type "MyOwnLayer"; a custom layer/);
  });

  const quantized = async (table: string) => {
    const args = [
      "ncnn2int8",
      trial("tables/m.param"),
      trial("tables/m.bin"),
      `${folder}/t.param`,
      `${folder}/t.bin`,
    ];
    const { code, err } = await run(...args, trial(`tables/${table}.table`));
    return { code, err, bin: code === 0 ? readFileSync(`${folder}/t.bin`) : undefined };
  };
  testData("tables: spellings of one table", async () => {
    const { bin } = await quantized("good");
    for (const table of ["blankline", "bom", "crlf"])
      expect((await quantized(table)).bin, table).toEqual(bin);
  });
  testData.each([
    ["inf", 0, /warning: .*layer conv1: the scale of its input is inf/],
    ["noinput", 0, /^(?![\s\S]*quantize_convolution conv1)/],
    ["nan", 1, /line 8: conv1: scale "-nan"/],
    ["zero", 1, /line 8: conv1: the scale of the layer's input is 0\.000000/],
    ["oldformat", 1, /old ncnn, which had one weight scale a layer/],
    ["onlyinputs", 1, /no weight scales \(conv0_param_0\)/],
    ["othermodel", 1, /belongs to another model: 6 of its 6 layers/],
    ["short", 1, /"conv1" has 8 weight scales, the table gives 5/],
  ])("tables: %s", async (table, code, problem) => {
    const result = await quantized(table);
    expect(result.code).toBe(code);
    expect(result.err).toMatch(problem);
    if (code) expect(result.err).toContain(`${table}.table: `);
  });
});
