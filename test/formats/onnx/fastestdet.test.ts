/** A real exported detector on real pictures: as few layers as its author's conversion, outputs as onnxruntime's. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { runReference } from "../../../src/engine/reference/index.ts";
import { parseParam } from "../../../src/formats/ncnn/index.ts";
import { readOnnx } from "../../../src/formats/onnx/index.ts";
import { optimize, runPasses } from "../../../src/passes/index.ts";
import { dataBytes, dataText, describeData, readNpy } from "../../data.ts";
import type { Sample } from "./_fixtures.ts";

/** Made by scripts/onnx-fixtures.py. */
const expected = JSON.parse(
  readFileSync(new URL("./data/fastestdet.json", import.meta.url), "utf8"),
) as Record<string, Sample>;
const side = 352;

/** The upper left of a letterboxed picture as `[c, h, w]`, levels / 255; 0 beside a smaller one. */
function picture(file: string): Float32Array {
  const { shape, data } = readNpy(file);
  const out = new Float32Array(3 * side * side);
  for (let y = 0; y < Math.min(side, shape[0]); y++) {
    for (let x = 0; x < Math.min(side, shape[1]); x++) {
      for (let c = 0; c < 3; c++) out[(c * side + y) * side + x] = data[(y * shape[1] + x) * 3 + c] / 255;
    }
  }
  return out;
}

describeData("FastestDet", () => {
  const { graph, report, inputSize } = readOnnx(dataBytes("models/FastestDet.onnx"), "FastestDet.onnx");
  runPasses(graph, optimize);
  test("has no more layers than the author's conversion", () => {
    const theirs = parseParam(dataText("models/FastestDet.param"), "FastestDet.param");
    const types = (nodes: typeof graph.nodes) => nodes.map((node) => node.type).sort();
    // The author's has a Permute before its Softmax and one after it.
    const left = types(theirs.nodes).filter((type) => type !== "Permute");
    expect(types(graph.nodes)).toEqual(left);
    expect(graph.nodes.length).toBe(theirs.nodes.length - 2);
    expect(report.opset).toBe(11);
    expect(inputSize).toEqual({ width: side, height: side });
  });
  test.each(Object.entries(expected))("gives what onnxruntime gives on %s", (file, sample) => {
    const found = runReference(graph, { [graph.inputs[0]]: { shape: [3, side, side], data: picture(file) } });
    const output = found[sample.name];
    expect([1, ...output.shape]).toEqual(sample.shape);
    const scale = Math.max(...sample.values.map(Math.abs));
    sample.values.forEach((v, i) => {
      expect(Math.abs(output.data[i * sample.step] - v) / scale).toBeLessThan(1e-4);
    });
  });
});
