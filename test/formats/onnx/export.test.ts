import { describe, expect, test } from "vitest";
import { UnsupportedError } from "../../../src/base/errors.ts";
import { Random } from "../../../src/base/random.ts";
import { runReference } from "../../../src/engine/reference/index.ts";
import { exportOnnx, readOnnx } from "../../../src/formats/onnx/index.ts";
import type { Graph } from "../../../src/ir/graph.ts";
import { makeSizesDynamic, optimize, runPasses } from "../../../src/passes/index.ts";
import { type Fixture, fixtures } from "./_fixtures.ts";

/** Layers without a form in the exported operator set. */
const without = ["op-mod", "op-conv-1d", "op-cast-integers", "yolov5-v5-inplace"];
const all = fixtures().filter(({ file }) => !without.some((name) => file.startsWith(name)));

function sizeOf({ input }: Fixture): { width: number; height: number } | undefined {
  return input.shape.length === 4 ? { height: input.shape[2], width: input.shape[3] } : undefined;
}
function outputs(graph: Graph, shape: readonly number[]): Float32Array[] {
  const size = shape.reduce((a, b) => a * b, 1);
  const data = new Random(5).floats(size, 0, 1);
  const found = runReference(graph, { [graph.inputs[0]]: { shape: shape.slice(1), data } });
  return Object.keys(found)
    .sort()
    .map((name) => Float32Array.from(found[name].data));
}
function difference(a: readonly Float32Array[], b: readonly Float32Array[]): number {
  expect(b.map((list) => list.length)).toEqual(a.map((list) => list.length));
  const errors = a.map((list, k) => {
    const scale = list.reduce((most, v) => Math.max(most, Math.abs(v)), 1e-6);
    return list.reduce((most, v, i) => Math.max(most, Math.abs(v - b[k][i])), 0) / scale;
  });
  return Math.max(...errors);
}

// One exporter of every network: the others give the same graph.
const once = all.filter((fixture, i) => {
  return fixture.network === "operator" || all.findIndex(({ network }) => network === fixture.network) === i;
});
test.each(once.map((fixture) => [fixture.file, fixture] as const))("%s survives export", (_, fixture) => {
  const options = { keepDecode: true, inputSize: sizeOf(fixture) };
  const { graph } = readOnnx(fixture.bytes, fixture.file, options);
  runPasses(graph, optimize);
  const again = readOnnx(exportOnnx(graph), "again.onnx", options).graph;
  expect(again.outputs.toSorted()).toEqual(graph.outputs.toSorted());
  expect(difference(outputs(graph, fixture.input.shape), outputs(again, fixture.input.shape))).toBeLessThan(
    2e-5,
  );
});

describe("open sizes", () => {
  const raw = all.filter(({ file }) =>
    ["yolov5-v6-t12.onnx", "yolov5-v5-t17.onnx", "shufflenet-t17.onnx"].includes(file),
  );
  test.each(raw.map((fixture) => [fixture.file, fixture] as const))("%s works at two sizes", (_, fixture) => {
    const { graph } = readOnnx(fixture.bytes, fixture.file);
    makeSizesDynamic().run(graph);
    const bytes = exportOnnx(graph, {}, { dynamic: true });
    for (const [height, width] of [
      [64, 64],
      [96, 128],
    ]) {
      const again = readOnnx(bytes, "again.onnx", { inputSize: { height, width } }).graph;
      const shape = [1, 3, height, width];
      expect(difference(outputs(graph, shape), outputs(again, shape))).toBeLessThan(2e-5);
    }
  });
});

test("int8 layers and layers without a form are errors that name the layer", () => {
  const [fixture] = all.filter(({ file }) => file === "op-conv.onnx");
  const { graph } = readOnnx(fixture.bytes, fixture.file);
  graph.nodes[1].params.int8_scale_term = 2;
  expect(() => exportOnnx(graph)).toThrow(/Convolution "y".*float model/);
  graph.nodes[1].type = "ArgMax";
  graph.nodes[1].params = {};
  expect(() => exportOnnx(graph)).toThrow(UnsupportedError);
  expect(() => exportOnnx(graph)).toThrow(/ArgMax "y" cannot be exported/);
});
