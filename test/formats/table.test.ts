import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FormatError, UnsupportedError } from "../../src/base/errors.ts";
import { emptyTable, parseTable, printTable, roundTable } from "../../src/formats/table.ts";
import { dataText, testData } from "../data.ts";

const numbers = (values: Iterable<number> | undefined): number[] => [...(values ?? [])];

describe("reading a calibration table", () => {
  it("tells weights from activations and rounds to float32", () => {
    const table = parseTable("conv_param_0 47.187229 inf \nconv 127.1 \n");
    expect(numbers(table.weights.get("conv"))).toEqual([Math.fround(47.187229), Number.POSITIVE_INFINITY]);
    expect(table.activations.get("conv")).toBe(Math.fround(127.1));
  });

  it("skips empty lines and comments, takes the last duplicate, reads CRLF and a byte order mark", () => {
    const table = parseTable("\uFEFF#a 9 \na 1 \r\na 2 \n\n \t\r\nb 3 \n\n");
    expect([...table.activations]).toEqual([
      ["a", 2],
      ["b", 3],
    ]);
  });

  it("warns of scales that silence a layer or a channel", () => {
    const warnings: string[] = [];
    const table = parseTable("a_param_0 0 inf 3 2 \na inf \nb 2 \n", "t", (message) =>
      warnings.push(message),
    );
    expect(table.activations.get("a")).toBe(Number.POSITIVE_INFINITY);
    expect(warnings).toEqual([
      expect.stringMatching(/^layer a: the scale of its input is inf: it was 0 in every calibration picture/),
      expect.stringMatching(/^layer a: 2 of 4 weight scales are 0 or inf/),
    ]);
  });

  it("warns of records that contradict each other", () => {
    const warnings: string[] = [];
    const text = "a_param_0 1 2 \na_param_0 1 2 \na 3 \nb 4 \na 5 \n";
    expect(parseTable(text, "t", (message) => warnings.push(message)).activations.get("a")).toBe(5);
    expect(warnings).toEqual(["a stands there twice with different scales: the later counts"]);
  });

  it.each([
    ["a", "line 1: a has 0 scales"],
    ["a 1 2", "line 1: a has 2 scales"],
    ["x_param_0 ", "line 1: x_param_0 has no scales"],
    ["a 1\nb nan", 'line 2: b: scale "nan"'],
    ["a -1", 'scale "-1"'],
    ["a -nan", 'a: scale "-nan", expected a number of at least 0 or inf'],
    ["a -inf", 'scale "-inf"'],
    ["a 0.000000", "line 1: a: the scale of the layer's input is 0.000000, expected more than 0"],
    ["\n\na 1e-50", "line 3: a: the scale of the layer's input is 1e-50"],
    ["a 1e", 'scale "1e"'],
    [`a ${"0".repeat(200_000)}x`, 'scale "000'], // at once: no pattern tries all ways to split a number
    ["a 0x10", 'scale "0x10"'],
    [`${"n".repeat(256)} 1`, "256 characters"],
  ])("refuses %j", (text, message) => {
    expect(() => parseTable(text)).toThrow(message);
    expect(() => parseTable(text)).toThrow(FormatError);
  });
});

describe("printing a calibration table", () => {
  it("spells numbers as C's %f: ties to even, no exponents", () => {
    const table = emptyTable();
    table.weights.set(
      "a",
      Float32Array.of(1 / 128, 3 / 128, 0.1, 34366232, 1e22, Number.POSITIVE_INFINITY, 0),
    );
    // What printf("%f") gives for these floats.
    expect(printTable(table)).toBe(
      "a_param_0 0.007812 0.023438 0.100000 34366232.000000 9999999778196308361216.000000 inf 0.000000 \n",
    );
  });

  it("refuses names that would not survive", () => {
    for (const name of ["", "a b", "#a"]) {
      const table = emptyTable();
      table.activations.set(name, 1);
      expect(() => printTable(table)).toThrow(UnsupportedError);
    }
  });

  it("is stable after one round", () => {
    fc.assert(
      fc.property(fc.array(fc.float({ min: 0, noNaN: true }), { minLength: 1 }), (scales) => {
        const table = emptyTable();
        table.weights.set("a", Float32Array.from(scales));
        const text = printTable(table);
        expect(printTable(roundTable(table))).toBe(text);
      }),
      { numRuns: 300 },
    );
  });

  testData.each(["off-kl-320", "off-aciq-320"])("gives back %s.table byte for byte", (name) => {
    const text = dataText(`golden/${name}.table`);
    expect(printTable(parseTable(text)) === text).toBe(true);
  });
});
