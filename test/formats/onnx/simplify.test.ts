import { describe, expect, test } from "vitest";
import { GraphError } from "../../../src/base/errors.ts";
import { broadcastDims, divideDims, multiplyDims } from "../../../src/formats/onnx/dims.ts";

import { readOnnxModel, simplify } from "../../../src/formats/onnx/index.ts";
import { int, ints, type OnnxAttribute, tensorNumbers } from "../../../src/formats/onnx/model.ts";
import { fixtures } from "./_fixtures.ts";
import { floats, int64s, type ModelLines, makeModel, type NodeLine } from "./_model.ts";

const run = (lines: ModelLines, overwriteShapes?: Record<string, (number | string)[]>) => {
  const result = simplify(makeModel(lines), { overwriteShapes });
  const { graph } = result.model;
  return { ...result, graph, types: graph.nodes.map((node) => node.opType) };
};

describe("constants", () => {
  test("shape arithmetic of a fixed input folds away", () => {
    const { graph, types, shapes } = run({
      nodes: [
        ["Shape", ["x"], ["s"]],
        ["Gather", ["s", "two"], ["h"]],
        ["Unsqueeze", ["h", "zero"], ["h1"]],
        ["Mul", ["h1", "h1"], ["hh"]],
        ["Concat", ["batch", "hh"], ["target"], { axis: int(0) }],
        ["Reshape", ["x", "target"], ["y"]],
      ],
      constants: {
        two: { type: "int64", dims: [], data: Float64Array.of(2) },
        zero: int64s(0),
        batch: int64s(-1),
      },
    });
    expect(types).toEqual(["Reshape"]);
    expect(shapes.get("y")).toEqual([3, 64]);
    expect([...graph.initializers.keys()]).toEqual(["target"]);
  });
  test.each([
    ["Add", [1, 2, 3], [10], [11, 12, 13]],
    ["Div", [7, -7, 9], [2], [3, -3, 4]],
    ["Mod", [7, -7, 9], [4], [3, 1, 1]],
    ["Equal", [1, 2, 3], [2], [0, 1, 0]],
    ["Max", [1, 2, 3], [2], [2, 2, 3]],
  ] as const)("%s of whole numbers", (op, a, b, expected) => {
    const { graph } = run({
      nodes: [[op, ["a", "b"], ["y"]]],
      inputs: {},
      constants: { a: int64s(...a), b: int64s(...b) },
    });
    const value = graph.initializers.get("y_value");
    expect(value && Array.from(tensorNumbers(value))).toEqual(expected);
    expect(graph.nodes.map((node) => node.opType)).toEqual(["Identity"]);
  });
  test("NonZero of a constant, as older exports spell arange", () => {
    const { graph } = run({
      nodes: [
        ["ConstantOfShape", ["n"], ["zeros"], { value: { kind: "tensor", value: int64s(1) } }],
        ["NonZero", ["zeros"], ["rows"]],
        ["Transpose", ["rows"], ["columns"]],
        ["Squeeze", ["columns", "one"], ["y"]],
        ["NonZero", ["square"], ["z"]],
      ],
      inputs: {},
      outputs: ["y", "z"],
      constants: { n: int64s(4), one: int64s(1), square: floats([2, 3], [0, 1, 0, Number.NaN, 0, -2]) },
    });
    const value = (name: string) => {
      const tensor = graph.initializers.get(name);
      return tensor && [tensor.dims, Array.from(tensorNumbers(tensor))];
    };
    expect(value("y_value")).toEqual([[4], [0, 1, 2, 3]]);
    expect(value("z_value")).toEqual([
      [2, 3],
      [0, 1, 1, 1, 0, 2],
    ]);
  });
  test("too large a constant is left to the run time, an impossible one is an error", () => {
    const nodes: ModelLines["nodes"] = [
      ["ConstantOfShape", ["s"], ["c"]],
      ["Add", ["x", "c"], ["y"]],
    ];
    expect(run({ nodes, constants: { s: int64s(4096, 4096, 1, 1, 1, 1) } }).types).toEqual([
      "ConstantOfShape",
      "Add",
    ]);
    expect(() => run({ nodes, constants: { s: int64s(-4) } })).toThrow(GraphError);
  });
});

describe("nodes that do nothing", () => {
  test("go, and outputs keep their names", () => {
    const { types, graph } = run({
      nodes: [
        ["Identity", ["x"], ["a"]],
        ["Relu", ["a"], ["b"]],
        ["Dropout", ["b"], ["c"]],
        ["Transpose", ["c"], ["d"], { perm: ints([0, 1, 2, 3]) }],
        ["Mul", ["d", "one"], ["e"]],
        ["Reshape", ["e", "same"], ["y"]],
        ["Sigmoid", ["b"], ["dead"]],
      ],
      constants: { one: floats([1], [1]), same: int64s(1, 3, 8, 8) },
    });
    expect(types).toEqual(["Relu"]);
    expect(graph.nodes[0].inputs).toEqual(["x"]);
    expect(graph.nodes[0].outputs).toEqual(["y"]);
  });
  test("an output that is the input, and two names for one value, stay Identity", () => {
    const { types, graph } = run({
      nodes: [
        ["Identity", ["x"], ["y"]],
        ["Relu", ["x"], ["r"]],
        ["Identity", ["r"], ["z"]],
        ["Identity", ["r"], ["w"]],
      ],
      outputs: ["y", "z", "w"],
    });
    expect(types.toSorted()).toEqual(["Identity", "Identity", "Relu"]);
    const produced = graph.nodes.flatMap((node) => node.outputs);
    expect(produced.toSorted()).toEqual(["w", "y", "z"]);
  });
});

describe("If", () => {
  const branch = (opType: string): OnnxAttribute => ({
    kind: "graph",
    value: makeModel({ nodes: [[opType, ["x"], ["inner"]]], inputs: {}, outputs: ["inner"] }).graph,
  });
  const attributes = { then_branch: branch("Relu"), else_branch: branch("Sigmoid") };
  test("with a known condition becomes its branch", () => {
    for (const [value, type] of [
      [1, "Relu"],
      [0, "Sigmoid"],
    ] as const) {
      const condition = { type: "bool", dims: [], data: Uint8Array.of(value) } as const;
      const { types, graph } = run({
        nodes: [["If", ["c"], ["y"], attributes]],
        constants: { c: condition },
      });
      expect(types).toEqual([type]);
      expect(graph.nodes[0].outputs).toEqual(["y"]);
    }
  });
  test("in a branch, with values of the branch, some under a name that stands outside too", () => {
    const graph = (nodes: NodeLine[], output: string): OnnxAttribute => ({
      kind: "graph",
      value: makeModel({ nodes, inputs: {}, outputs: [output] }).graph,
    });
    const inner = { then_branch: graph([["Neg", ["r"], ["q"]]], "q"), else_branch: branch("Sigmoid") };
    const lines: NodeLine[] = [
      ["Relu", ["x"], ["r"]],
      ["If", ["c"], ["p"], inner],
    ];
    const outer = { then_branch: graph(lines, "p"), else_branch: branch("Sigmoid") };
    const { graph: found } = run({
      nodes: [
        ["Abs", ["x"], ["r"]],
        ["If", ["c"], ["t"], outer],
        ["Add", ["t", "r"], ["y"]],
      ],
      constants: { c: { type: "bool", dims: [], data: Uint8Array.of(1) } },
    });
    const text = found.nodes.map(({ opType, inputs, outputs }) => `${opType} ${inputs} > ${outputs}`);
    expect(text).toEqual(["Abs x > r", "Relu x > t/r", "Neg t/r > t/p/q", "Add t/p/q,r > y"]);
  });
  test("with another is an error that says what to do", () => {
    expect(() => run({ nodes: [["If", ["x"], ["y"], attributes]] })).toThrow(/If node "y".*fixed shapes/);
  });
});

describe("open extents", () => {
  const [dynamic] = fixtures().filter(({ network }) => network === "yolov5-v6-dynamic");
  const model = readOnnxModel(dynamic.bytes, dynamic.file);
  test("are kept by name through the network", () => {
    const { model: simple, shapes, before, after } = simplify(model);
    expect(simple.graph.inputs[0].shape).toEqual(["batch", 3, "height", "width"]);
    const [conv] = simple.graph.nodes;
    expect(shapes.get(conv.outputs[0])?.slice(0, 2)).toEqual(["batch", 4]);
    expect([...after.values()].reduce((a, b) => a + b)).toBeLessThan(
      [...before.values()].reduce((a, b) => a + b),
    );
    expect(after.has("Shape")).toBe(true);
  });
  test("fixing the batch alone, and fixing all", () => {
    const batch = simplify(model, { overwriteShapes: { images: [1, 3, "h", "w"] } });
    expect(batch.model.graph.inputs[0].shape).toEqual([1, 3, "h", "w"]);
    const all = simplify(model, { overwriteShapes: { images: [1, 3, 64, 96] } });
    expect(all.after.has("Shape")).toBe(false);
    expect(all.model.graph.outputs[0].shape).toEqual([1, 3 * (8 * 12 + 4 * 6 + 2 * 3), 8]);
    expect(() => simplify(model, { overwriteShapes: { image: [1] } })).toThrow(/has: images/);
  });
  test("arithmetic on names", () => {
    expect(multiplyDims(["h", 2, "w", 3])).toBe("6*h*w");
    expect(divideDims("6*h*w", "2*w")).toBe("3*h");
    expect(divideDims("h", "w")).toBeUndefined();
    expect(broadcastDims(["n", 1, 4], [3, 1])).toEqual(["n", 3, 4]);
    expect(broadcastDims([2], [3])).toBeUndefined();
  });
});

test("BatchNormalization folds into the convolution before it, unless that has another reader", () => {
  const four = floats([4], [1, 2, 3, 4]);
  const lines: ModelLines = {
    nodes: [
      ["Conv", ["x", "w"], ["c"]],
      ["BatchNormalization", ["c", "v", "v", "v", "v"], ["y"]],
    ],
    constants: { w: floats([4, 3, 3, 3]), v: four },
  };
  expect(run(lines).types).toEqual(["Conv"]);
  expect(run({ ...lines, outputs: ["y", "c"] }).types).toEqual(["Conv", "BatchNormalization"]);
  // Names that the new constants would have belong to others: constants with other readers, results, inputs.
  const busy = run({
    nodes: [
      ["Conv", ["x", "y_weight"], ["c"]],
      ["BatchNormalization", ["c", "v", "v", "v", "v"], ["y"]],
      ["Conv", ["x", "y_weight"], ["y_bias"]],
      ["Add", ["y", "y_bias"], ["sum"]],
    ],
    constants: { y_weight: floats([4, 3, 3, 3], new Array(108).fill(1)), v: four },
    outputs: ["sum"],
  });
  expect(busy.types).toEqual(["Conv", "Conv", "Add"]);
  const [folded, plain] = busy.graph.nodes;
  expect([folded.inputs, plain.inputs]).toEqual([
    ["x", "y_weight_folded", "y_bias_folded"],
    ["x", "y_weight"],
  ]);
  const weights = (name: string) => Array.from(tensorNumbers(busy.graph.initializers.get(name) ?? four));
  expect(weights("y_weight")).toEqual(new Array(108).fill(1));
  expect(weights("y_weight_folded")[107]).toBeCloseTo(2, 4);
});
