/** What `.param` texts in the wild do beyond the rules. */
import { describe, expect, it } from "vitest";
import { parseParam } from "../../../src/formats/ncnn/index.ts";

const param = (...lines: string[]): string => `7767517\n${lines.length} 100\n${lines.join("\n")}\n`;

describe("layers that have one name", () => {
  it("get names of their own, with a warning; blobs and reading order stay", () => {
    const warnings: string[] = [];
    const text = param(
      "Input in0 0 1 in0 0=8 1=8 2=4",
      "ReLU a 1 1 in0 x",
      "ReLU a_1 1 1 x y",
      "Sigmoid a 1 1 y z",
      "TanH a 1 1 z out",
    );
    const graph = parseParam(text, "m.param", (message) => warnings.push(message));
    expect(graph.nodes.map(({ name }) => name)).toEqual(["in0", "a", "a_1", "a_2", "a_3"]);
    expect(graph.outputs).toEqual(["out"]);
    expect(warnings).toEqual([
      'several layers have one name: Sigmoid "a" is now "a_2", TanH "a" is now "a_3"',
    ]);
  });
  it("may be a Split and its readers", () => {
    const graph = parseParam(
      param(
        "Input a 0 1 a 0=8",
        "Split a 1 2 a p q",
        "ReLU a 1 1 p x",
        "ReLU a 1 1 q y",
        "Concat c 2 1 x y out",
      ),
    );
    expect(graph.nodes.map(({ name, inputs }) => `${name}:${inputs}`)).toEqual([
      "a:",
      "a_2:a",
      "a_3:a",
      "c:x,y",
    ]);
  });
  it("are renamed in linear time, within ncnn's limit on names", () => {
    const name = "n".repeat(255);
    const lines = Array.from({ length: 20_000 }, (_, i) => `ReLU ${name} 1 1 b${i} b${i + 1}`);
    const text = `7767517\n20001 20001\nInput i 0 1 b0 0=1\n${lines.join("\n")}\n`;
    const names = parseParam(text).nodes.map((node) => node.name);
    expect(new Set(names).size).toBe(20_001);
    expect(Math.max(...names.map((each) => each.length))).toBe(255);
  });
});
