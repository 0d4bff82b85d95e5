/** Every committed network and operator: converted, run on the reference backend, compared with onnxruntime. */
import { describe, expect, test } from "vitest";
import { Random } from "../../../src/base/random.ts";
import { runReference } from "../../../src/engine/reference/index.ts";
import { importOnnx, readOnnx, readOnnxModel, simplify, writeOnnx } from "../../../src/formats/onnx/index.ts";
import type { Graph } from "../../../src/ir/graph.ts";
import type { Tensor } from "../../../src/ir/tensor.ts";
import { makeSizesDynamic, optimize, runPasses } from "../../../src/passes/index.ts";
import { compareGraphs } from "../../passes/isomorphic.ts";
import { type Fixture, fixtures, type Sample, simplifiedByOnnxsim } from "./_fixtures.ts";

const all = fixtures();
const networks = all.filter((fixture) => fixture.network !== "operator");
const operators = all.filter((fixture) => fixture.network === "operator");
/** Decodes by assignment to slices (ScatterND), which has no form in ncnn: only the cut graph converts. */
const needsCut = (fixture: Fixture): boolean => fixture.network === "yolov5-v5-inplace";
const named = (list: readonly Fixture[]): [string, Fixture][] =>
  list.map((fixture) => [fixture.file, fixture]);

function sizeOf({ input }: Fixture): { width: number; height: number } | undefined {
  return input.shape.length === 4 ? { height: input.shape[2], width: input.shape[3] } : undefined;
}

function run(graph: Graph, shape: readonly number[], seed: number): Record<string, Tensor> {
  const size = shape.reduce((a, b) => a * b, 1);
  const data = new Random(seed).floats(size, 0, 1);
  const [input] = graph.nodes.filter((node) => node.type === "Input");
  return runReference(graph, { [input.outputs[0]]: { shape: shape.slice(1), data } });
}

/** Greatest error over the sampled elements, relative to the largest of them. */
function errorOf(expected: Sample, found: Tensor | undefined): number {
  if (!found || found.data.length !== expected.shape.reduce((a, b) => a * b, 1))
    return Number.POSITIVE_INFINITY;
  const scale = Math.max(...expected.values.map(Math.abs), 1e-6);
  return Math.max(...expected.values.map((v, i) => Math.abs(v - found.data[i * expected.step]))) / scale;
}

function worst(graph: Graph, fixture: Fixture): number {
  const found = run(graph, fixture.input.shape, fixture.seed);
  return Math.max(...fixture.outputs.map((sample) => errorOf(sample, found[sample.name])));
}

test("there is something to test", () => {
  expect(networks.length).toBeGreaterThan(25);
  expect(operators.length).toBeGreaterThan(200);
});

test.each(named(networks.filter((fixture) => !needsCut(fixture))))("%s equals onnxruntime", (_, fixture) => {
  const { graph } = readOnnx(fixture.bytes, fixture.file, { keepDecode: true, inputSize: sizeOf(fixture) });
  expect(worst(graph, fixture)).toBeLessThan(2e-5);
});

test.each(named(operators))("%s equals onnxruntime", (_, fixture) => {
  const { graph } = readOnnx(fixture.bytes, fixture.file, { keepDecode: true });
  expect(worst(graph, fixture)).toBeLessThan(2e-5);
});

test.each(named(networks.filter((fixture) => !needsCut(fixture))))(
  "%s gives the same graph after simplify and a round trip through bytes",
  (_, fixture) => {
    const simple = simplify(readOnnxModel(fixture.bytes, fixture.file)).model;
    const again = readOnnxModel(writeOnnx(simple), "again");
    const { graph } = importOnnx(again, { keepDecode: true, inputSize: sizeOf(fixture) });
    const direct = readOnnx(fixture.bytes, fixture.file, { keepDecode: true, inputSize: sizeOf(fixture) });
    expect(graph.nodes.map((node) => node.type)).toEqual(direct.graph.nodes.map((node) => node.type));
    expect(worst(graph, fixture)).toBeLessThan(2e-5);
  },
);

describe("simplified by onnxsim before, a network gives the same graph", () => {
  const simplified = simplifiedByOnnxsim();
  const convert = (bytes: Uint8Array, fixture: Fixture): Graph => {
    const { graph } = readOnnx(bytes, fixture.file, {
      keepDecode: !needsCut(fixture),
      inputSize: sizeOf(fixture),
    });
    runPasses(graph, optimize);
    return graph;
  };
  test.each(named(networks))("%s", (_, fixture) => {
    const [plain, simple] = [convert(fixture.bytes, fixture), convert(simplified[fixture.file], fixture)];
    const { pairs, onlyInFirst, onlyInSecond } = compareGraphs(plain, simple);
    expect({ onlyInFirst, onlyInSecond }).toEqual({ onlyInFirst: [], onlyInSecond: [] });
    expect(pairs).toHaveLength(plain.nodes.length);
    expect(simple.outputs).toEqual(plain.outputs);
  });
});

describe("all exports of a network give the same layers", () => {
  const counts = (graph: Graph): Record<string, number> => {
    const result: Record<string, number> = {};
    for (const { type } of graph.nodes) result[type] = (result[type] ?? 0) + 1;
    return result;
  };
  const names = [
    "yolov5-v6",
    "yolov5-v6-split",
    "yolov5-v5",
    "yolo11",
    "shufflenet",
    "mobilenetv3",
    "efficientnet",
  ];
  test.each([...names, "regnet", "resnet"])("%s", (network) => {
    const [first, ...rest] = networks.filter((fixture) => fixture.network === network);
    const convert = (fixture: Fixture) =>
      counts(readOnnx(fixture.bytes, fixture.file, { keepDecode: true }).graph);
    expect(rest.length).toBeGreaterThan(0);
    for (const other of rest) expect(convert(other)).toEqual(convert(first));
  });
});

describe("other input sizes than the exported one", () => {
  const others = networks.filter((fixture) => fixture.other);
  test.each(named(others))("%s", (_, fixture) => {
    const { other } = fixture;
    if (!other) throw new Error("filtered above");
    const { graph } = readOnnx(fixture.bytes, fixture.file);
    const bound: string[] = [];
    expect(makeSizesDynamic().run(graph, (message) => bound.push(message))).toBe(3);
    expect(bound).toEqual([]);
    const found = run(graph, other.shape, fixture.seed);
    for (const sample of other.outputs) expect(errorOf(sample, found[sample.name])).toBeLessThan(2e-5);
  });
  test("the reader keeps the sizes of the file", () => {
    const { graph } = readOnnx(others[0].bytes, others[0].file);
    const widths = graph.nodes.filter((node) => node.type === "Reshape").map((node) => node.params.w);
    expect(widths).toEqual([64, 16, 4]);
    expect(() => run(graph, [1, 3, 96, 32], 1)).toThrow(/Reshape/);
  });
});
