import { describe, expect, test } from "vitest";
import { FormatError, GraphError, InputError, UnsupportedError } from "../../../src/base/errors.ts";
import {
  type ElementType,
  elementTypes,
  fromNumbers,
  toNumbers,
} from "../../../src/formats/onnx/elements.ts";
import { importOnnx, readOnnx, readOnnxModel, writeOnnx } from "../../../src/formats/onnx/index.ts";
import { int, ints, type OnnxAttribute, type OnnxGraph } from "../../../src/formats/onnx/model.ts";
import { fixtures, outcomeOf } from "./_fixtures.ts";
import { floats, int64s, makeModel, type NodeLine } from "./_model.ts";

/** A protobuf field: bytes under a field number. */
const field = (number: number, ...bytes: number[]): number[] => [
  (number << 3) | 2,
  ...varint(bytes.length),
  ...bytes,
];
const varint = (value: number): number[] =>
  value < 128 ? [value] : [(value & 127) | 128, ...varint(value >> 7)];
const ascii = (text: string): number[] => [...new TextEncoder().encode(text)];
const opset17 = field(8, ...field(1), 0x10, 17);
/** A model whose graph has one initializer made of `tensor` fields. */
const withTensor = (...tensor: number[]): Uint8Array =>
  Uint8Array.from([...opset17, ...field(7, ...field(5, ...tensor))]);
const read = (bytes: Uint8Array) => readOnnxModel(bytes, "m.onnx");

describe("tensors", () => {
  test.each(Object.keys(elementTypes) as ElementType[])("%s survives writing and reading", (type) => {
    const values = type.startsWith("u") || type === "bool" ? [0, 1, 1, 0] : [0, 1, -1, 2];
    const tensor = { type, dims: [2, 2], data: fromNumbers(type, values) };
    const model = makeModel({ nodes: [["Identity", ["c"], ["y"]]], inputs: {}, constants: { c: tensor } });
    const found = read(writeOnnx(model)).graph.initializers.get("c");
    expect(found?.type).toBe(type);
    expect(found?.dims).toEqual([2, 2]);
    expect(Array.from(toNumbers(type, found?.data ?? new Uint8Array()))).toEqual(values);
  });
  test("typed fields: floats packed and not, half floats as bits, 64-bit integers", () => {
    const one = [0, 0, 0x80, 0x3f];
    const packed = read(
      withTensor(0x08, 2, 0x10, 1, ...field(4, ...one, ...one), ...field(8, ...ascii("a"))),
    );
    expect(Array.from(packed.graph.initializers.get("a")?.data ?? [])).toEqual([1, 1]);
    const loose = read(withTensor(0x08, 2, 0x10, 1, 0x25, ...one, 0x25, ...one));
    expect(Array.from(loose.graph.initializers.get("")?.data ?? [])).toEqual([1, 1]);
    const half = read(withTensor(0x08, 1, 0x10, 10, ...field(5, ...varint(0x3c00))));
    expect(Array.from(half.graph.initializers.get("")?.data ?? [])).toEqual([0x3c00]);
    const minusOne = new Array<number>(9).fill(255).concat(1);
    const long = read(withTensor(0x08, 2, 0x10, 7, ...field(7, 5, ...minusOne)));
    expect(Array.from(long.graph.initializers.get("")?.data ?? [])).toEqual([5, -1]);
  });
  test("int64 bounds stay bounds when written back", () => {
    const limits = { type: "int64", dims: [2], data: Float64Array.of(-(2 ** 63), 2 ** 63) } as const;
    const model = makeModel({ nodes: [["Identity", ["c"], ["y"]]], inputs: {}, constants: { c: limits } });
    const bytes = writeOnnx(model);
    const tail = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f].join();
    expect(Array.from(bytes).join()).toContain(tail);
  });
  test("wrong amounts of data", () => {
    expect(() => read(withTensor(0x08, 2, 0x10, 1, ...field(9, 0, 0, 0, 0)))).toThrow(/4 bytes.*needs 8/);
    expect(() => read(withTensor(0x08, 2, 0x10, 1, 0x25, 0, 0, 0, 0))).toThrow(/1 elements.*needs 2/);
    expect(() => read(withTensor(0x08, 2, 0x10, 8, ...field(9)))).toThrow(/element type 8/);
  });
  test("giant and negative extents", () => {
    const giant = [0x08, ...varint(2 ** 30), 0x08, ...varint(2 ** 30)];
    expect(() => read(withTensor(...giant, 0x10, 1))).toThrow(/larger than/);
    const negative = [0x08, ...new Array<number>(9).fill(255), 1];
    expect(() => read(withTensor(...negative, 0x10, 1))).toThrow(/extent -1/);
  });
});

describe("external data", () => {
  const external = (path: string, ...more: number[]): Uint8Array =>
    withTensor(
      ...[0x08, 2, 0x10, 1, 0x70, 1],
      ...field(13, ...field(1, ...ascii("location")), ...field(2, ...ascii(path))),
      ...more,
    );
  const entry = (key: string, value: string): number[] =>
    field(13, ...field(1, ...ascii(key)), ...field(2, ...ascii(value)));
  test("is read from the named place", () => {
    const file = new Uint8Array(Float32Array.of(9, 1, 2).buffer);
    const bytes = external("w.bin", ...entry("offset", "4"), ...entry("length", "8"));
    const model = readOnnxModel(bytes, "m.onnx", (path) => {
      expect(path).toBe("w.bin");
      return file;
    });
    expect(Array.from(model.graph.initializers.get("")?.data ?? [])).toEqual([1, 2]);
  });
  test.each(["../w.bin", "/etc/passwd", "a/../../b", "C:\\w.bin", "..\\w.bin", ""])("refuses %j", (path) => {
    const never = (): Uint8Array => {
      throw new Error("must not be asked");
    };
    expect(() => readOnnxModel(external(path), "m.onnx", never)).toThrow(InputError);
  });
  test("says what is missing", () => {
    expect(() => read(external("w.bin"))).toThrow(/"w\.bin".*give that file/);
    expect(() =>
      readOnnxModel(external("w.bin", ...entry("offset", "-4")), "m", () => new Uint8Array(8)),
    ).toThrow(InputError);
    expect(() => readOnnxModel(external("w.bin"), "m", () => new Uint8Array(7))).toThrow(/the file has 7/);
  });
});

describe("damaged files", () => {
  test.each([
    ["nothing", []],
    ["text", ascii("hello, this is not a model")],
    ["a length beyond the end", [0x3a, 0xff, 0xff, 0xff, 0x0f]],
    ["an endless number", new Array<number>(40).fill(0xff)],
    ["an unknown wire type", [0x0b, 1, 2]],
    ["field number 0", [0x00, 1]],
  ])("%s", (_, bytes) => {
    expect(() => read(Uint8Array.from(bytes))).toThrow(FormatError);
  });
  test("old operator sets", () => {
    const old = makeModel({ nodes: [["Relu", ["x"], ["y"]]], opset: 8 });
    expect(() => read(writeOnnx(old))).toThrow(/operator set 8 is too old/);
  });
  test("sub-graphs nested without end", () => {
    let graph: OnnxGraph = makeModel({ nodes: [["Relu", ["x"], ["y"]]] }).graph;
    for (let i = 0; i < 200; i++) {
      const branch: OnnxAttribute = { kind: "graph", value: graph };
      graph = makeModel({
        nodes: [["If", ["c"], ["y"], { then_branch: branch, else_branch: branch }]],
      }).graph;
      if (i > 40) graph.nodes[0].attributes = { then_branch: branch };
      if (i < 40) graph.nodes[0].attributes = { else_branch: branch };
    }
    const bytes = writeOnnx({ ...makeModel({ nodes: [] }), graph });
    expect(() => read(bytes)).toThrow(/nested more than/);
  });
  test("every prefix of a file is an error, not a hang", () => {
    const [{ bytes }] = fixtures().filter(({ file }) => file.startsWith("op-se-block"));
    for (let length = 0; length < bytes.length; length += 3) {
      expect(outcomeOf(bytes.subarray(0, length)).kind, `${length} bytes`).not.toBe("defect");
    }
  });
});

describe("graphs that contradict themselves", () => {
  const convert = (lines: Parameters<typeof makeModel>[0]) => importOnnx(makeModel(lines));
  test("a cycle", () => {
    const nodes = [
      ["Add", ["x", "b"], ["a"]],
      ["Relu", ["a"], ["b"]],
      ["Relu", ["a"], ["y"]],
    ] as const;
    expect(() => convert({ nodes: nodes.map(([t, i, o]) => [t, [...i], [...o]]) })).toThrow(/cycle/);
  });
  test("a missing initializer", () => {
    expect(() => convert({ nodes: [["Conv", ["x", "w"], ["y"]]] })).toThrow(/input "w" is neither/);
  });
  test("two producers", () => {
    const nodes = [
      ["Relu", ["x"], ["y"]],
      ["Neg", ["x"], ["y"]],
    ] as const;
    expect(() => convert({ nodes: nodes.map(([t, i, o]) => [t, [...i], [...o]]) })).toThrow(/two producers/);
  });
  test("an output that nothing produces", () => {
    expect(() => convert({ nodes: [["Relu", ["x"], ["z"]]] })).toThrow(/"y" is produced by no node/);
  });
  test("shapes that do not fit", () => {
    expect(() =>
      convert({ nodes: [["Conv", ["x", "w"], ["y"]]], constants: { w: floats([4, 5, 3, 3]) } }),
    ).toThrow(/3 input channels/);
    expect(() =>
      convert({ nodes: [["Reshape", ["x", "s"], ["y"]]], constants: { s: int64s(1, 7, -1) } }),
    ).toThrow(GraphError);
    expect(() => convert({ nodes: [["MaxPool", ["x"], ["y"], { kernel_shape: ints([9, 9]) }]] })).toThrow(
      /smaller than the window/,
    );
  });
  test("numbers that no layer can hold, and a factor without end", () => {
    const pool = { kernel_shape: ints([1, 1]), strides: ints([2 ** 40, 1]) };
    expect(() => convert({ nodes: [["MaxPool", ["x"], ["y"], pool]] })).toThrow(
      /stride_h is 1099511627776, expected a whole number of 32 bits/,
    );
    const constants = { s: floats([4], [1, 1, 2 ** 32, 0.5]) };
    const mode: OnnxAttribute = { kind: "string", value: "linear" };
    expect(() => convert({ nodes: [["Resize", ["x", "", "s"], ["y"], { mode }]], constants })).toThrow(
      /resizing to 34359738368x4 cannot be lowered/,
    );
  });
  test("an input without axes", () => {
    const one: OnnxAttribute = { kind: "int", value: 1 };
    const node: NodeLine = ["GroupNormalization", ["k", "s", "s"], ["y"], { num_groups: one }];
    const constants = { k: floats([], [1]), s: floats([1]) };
    expect(() => convert({ nodes: [node], constants, opset: 21 })).toThrow(/a single number as input/);
  });
  test("too few inputs", () => {
    expect(() => convert({ nodes: [["MatMul", ["x"], ["y"]]] })).toThrow(/inputs/);
  });
  test("constants that ask for all memory", () => {
    const lines = {
      nodes: [
        ["ConstantOfShape", ["s"], ["c"]],
        ["Add", ["x", "c"], ["y"]],
      ] as [string, string[], string[]][],
      constants: { s: int64s(1, 100_000, 100_000, 100_000) },
    };
    expect(() => convert(lines)).toThrow();
    expect(() => convert({ ...lines, constants: { s: int64s(2 ** 40, 2 ** 40) } })).toThrow();
    expect(() =>
      convert({ nodes: [["Tile", ["x", "r"], ["y"]]], constants: { r: int64s(1, 2 ** 20, 2 ** 20, 1) } }),
    ).toThrow();
  });
  test("a long chain does not overflow the stack", () => {
    const n = 50_000;
    const nodes = Array.from({ length: n }, (_, i): [string, string[], string[]] => [
      "Identity",
      [i ? `v${i}` : "x"],
      [i === n - 1 ? "y" : `v${i + 1}`],
    ]);
    expect(convert({ nodes: nodes.reverse() }).graph.nodes.map((node) => node.type)).toEqual([
      "Input",
      "Noop",
    ]);
  });
});

describe("what cannot be lowered", () => {
  const failure = (lines: Parameters<typeof makeModel>[0]): Error => {
    try {
      importOnnx(makeModel(lines));
    } catch (error) {
      if (error instanceof UnsupportedError) return error;
      throw error;
    }
    throw new Error("was converted");
  };
  test("names the node, the operator, the opset and what to do", () => {
    const error = failure({ nodes: [["NonMaxSuppression", ["x", "x"], ["y"]]], outputs: ["y"] });
    expect(error.message).toMatch(/NonMaxSuppression node "y" \(opset 17\).*export without NMS/);
    const unknown = failure({ nodes: [["Frobnicate", ["x"], ["y"]]] });
    expect(unknown.message).toMatch(/Frobnicate node "y".*supported are Abs, /);
  });
  test("forms that ncnn does not have", () => {
    const resize = failure({
      nodes: [["Resize", ["x", "", "s"], ["y"], { mode: { kind: "string", value: "tf" } }]],
      constants: { s: floats([4], [1, 1, 2, 2]) },
    });
    expect(resize.message).toMatch(/supported: nearest, linear or cubic/);
    const dilated = failure({
      nodes: [["MaxPool", ["x"], ["y"], { kernel_shape: ints([2, 2]), dilations: ints([2, 2]) }]],
    });
    expect(dilated.message).toMatch(/MaxPool node "y" \(opset 17\): pooling with dilation/);
    const softmax = failure({ nodes: [["ArgMax", ["x"], ["y"], { axis: int(1) }]] });
    expect(softmax.message).toMatch(/ArgMax cannot be lowered.*scores/);
  });
});

test("names: blobs keep theirs, spaces and long names are made legal, nodes without names get one", () => {
  const long = `deep/${"x".repeat(300)}`;
  const model = makeModel({
    nodes: [
      ["Relu", ["in put"], [long]],
      ["Sigmoid", [long], ["y"]],
      ["Tanh", [long], ["z z"]],
    ],
    inputs: { "in put": [1, 3, 8, 8] },
    outputs: ["y", "z z"],
  });
  const { graph } = importOnnx(model);
  expect(graph.inputs).toEqual(["in_put"]);
  expect(graph.outputs).toEqual(["y", "z_z"]);
  for (const node of graph.nodes) {
    for (const name of [node.name, ...node.inputs, ...node.outputs]) expect(name).toMatch(/^\S{1,255}$/);
  }
});

test("reads in the browser's terms: any Uint8Array view", () => {
  const [{ bytes, file }] = fixtures().filter((fixture) => fixture.file.startsWith("op-conv"));
  const padded = new Uint8Array(bytes.length + 11);
  padded.set(bytes, 7);
  const view = padded.subarray(7, 7 + bytes.length);
  expect(readOnnx(view, file).report).toEqual(readOnnx(bytes, file).report);
});
