/** The real ncnn models: byte-exact round trips, and native ncnn's outputs from the reference backend. */
import { expect, it } from "vitest";
import { bitsToF32 } from "../../../src/base/fp16.ts";
import {
  parseBinaryParam,
  parseParam,
  printParam,
  readWeights,
  writeBinaryParam,
  writeWeights,
} from "../../../src/formats/ncnn/index.ts";
import { dataBytes, dataFiles, dataText, describeData } from "../../data.ts";

/** Without what a rewrite may spell differently: floats, columns, and lines beyond the declared layer count. */
const normalise = (text: string): string =>
  text
    .trim()
    .split("\n")
    .slice(0, 2 + Number(text.split(/\s+/)[1]))
    .map((line) =>
      line
        .trim()
        .split(/\s+/)
        .map((token) =>
          bitsAsFloats(token).replace(/(^|[=,])(-?\d+\.\d*(e[+-]?\d+)?)(?=,|$)/g, (_, a, n) => a + Number(n)),
        )
        .join(" "),
    )
    .join("\n");

/** Masks of Yolov3DetectionOutput spell floats as the integers that have their bits; they are written as floats. */
const bitsAsFloats = (token: string): string =>
  token.replace(/(?<=[,=])\d{9,10}(?=,|$)/g, (bits) => String(bitsToF32(Number(bits))));

describeData("real ncnn models", () => {
  const models = [...dataFiles("models", ".param"), "golden/off-kl-320.param"];
  const zoo = dataFiles("models/benchncnn");
  it.each(models)("%s: written again, the .bin is byte-identical and the .param too", (file) => {
    const text = dataText(file);
    const bin = dataBytes(file.replace(".param", ".bin"));
    const graph = parseParam(text, file);
    readWeights(graph, bin, file);
    expect(Buffer.compare(writeWeights(graph), bin)).toBe(0);
    // Only nanodet_m spells floats as `2.0`, which becomes `2.000000e+00`.
    if (file.includes("nanodet_m")) expect(normalise(printParam(graph))).toBe(normalise(text));
    else expect(printParam(graph)).toBe(text);
  });
  it.each(zoo)("%s: written again, the same but for float spelling and columns", (file) => {
    const text = dataText(file);
    expect(normalise(printParam(parseParam(text, file)))).toBe(normalise(text));
  });
  it.each(models)("%s: the binary form gives the same network", (file) => {
    const graph = parseParam(dataText(file), file);
    const binary = writeBinaryParam(graph);
    const again = parseBinaryParam(binary);
    expect(Buffer.compare(writeBinaryParam(again), binary)).toBe(0);
    expect(again.nodes.map((node) => [node.type, node.params])).toEqual(
      graph.nodes.map((node) => [node.type, node.params]),
    );
  });
});
