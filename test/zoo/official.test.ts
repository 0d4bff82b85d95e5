/** The built networks against the `.param` files of ncnn's benchmark and the YOLOv5-Lite models. */
import { expect, test } from "vitest";
import { parseParam } from "../../src/formats/ncnn/index.ts";
import type { Graph } from "../../src/ir/graph.ts";
import { summarize } from "../../src/open/summary.ts";
import { zoo } from "../../src/zoo/index.ts";
import { dataFiles, dataText, describeData } from "../data.ts";
import { structuralDifferences } from "./_compare.ts";

/** The file that a row of the table is the image of; none for the int8 forms of YOLOv5-Lite. */
function fileOf(name: string): string | undefined {
  const lite = /^(yolov5ss|v5lite-[es])_\d+$/.exec(name);
  if (lite) return `models/${lite[1]}.param`;
  return /^(yolov5ss|v5lite)/.test(name) ? undefined : `models/benchncnn/${name}.param`;
}

const counts = (graph: Graph, size: number): unknown => {
  const { parameters, macs, layersByType } = summarize(graph, { [graph.inputs[0]]: [3, size, size] });
  return { parameters, macs, layersByType };
};

describeData("built networks have the structure of the official files", () => {
  for (const { name, size, build } of zoo) {
    const file = fileOf(name);
    if (!file) continue;
    test(name, () => {
      const official = parseParam(dataText(file), file);
      const built = build();
      expect(structuralDifferences(built, official, size)).toEqual({ first: [], second: [] });
      expect(counts(built, size)).toEqual(counts(official, size));
    });
  }

  test("no file is left out", () => {
    const files = dataFiles("models/benchncnn");
    expect(files.filter((file) => !zoo.some(({ name }) => fileOf(name) === file))).toEqual([]);
    expect(files).toHaveLength(35);
  });
});

test("names are unique", () => {
  const names = zoo.map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
});
