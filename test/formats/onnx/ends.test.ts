import { describe, expect, test } from "vitest";
import { importOnnx } from "../../../src/formats/onnx/index.ts";
import { int, type OnnxModel } from "../../../src/formats/onnx/model.ts";
import { foundIn } from "../../heads/_recognise.ts";
import { type Decode, dotModel, otherDecode, yolov5 } from "./_dot.ts";
import { floats, int64s, makeModel, type NodeLine } from "./_model.ts";

const anchors = [10, 13, 16, 30, 33, 23];
const axis1 = { axis: int(1) };

/** Boxes and scores apart, the best ten chosen. */
function chosen(decode: Decode): Decode {
  const slice = (from: number, to: number, output: string): NodeLine => [
    "Slice",
    ["y", `n${from}`, `n${to}`, "n2"],
    [output],
  ];
  return {
    nodes: [
      ...decode.nodes,
      slice(0, 4, "box"),
      slice(4, 5, "object"),
      slice(5, 7, "class"),
      ["Mul", ["class", "object"], ["scores"]],
      ["ReduceMax", ["scores"], ["best"], { axes: { kind: "ints", value: [2] }, keepdims: int(0) }],
      ["TopK", ["best", "ten"], ["values", "places"], axis1],
      ["Unsqueeze", ["places", "n2"], ["column"]],
      ["Expand", ["column", "four"], ["rows4"]],
      ["GatherElements", ["box", "rows4"], ["boxes"], axis1],
    ],
    outputs: ["boxes", "values"],
    constants: {
      ...decode.constants,
      ...Object.fromEntries([0, 2, 4, 5, 7].map((n) => [`n${n}`, int64s(n)])),
      ten: int64s(10),
      four: int64s(1, 10, 4),
    },
  };
}

describe("an end that chooses", () => {
  test("behind YOLOv5's decoding goes with it", () => {
    const { heads, graph, warnings } = foundIn(dotModel(chosen(yolov5(anchors))));
    expect(heads).toEqual([expect.objectContaining({ stride: 8, anchors })]);
    expect([graph.nodes.at(-1)?.type, warnings]).toEqual(["Permute", []]);
  });
  test("behind another decoding is cut off at what it chooses from, and said", () => {
    const { graph, choice } = importOnnx(dotModel(chosen(otherDecode(anchors, { power: 3 }))));
    expect(graph.outputs.at(-1)).toBe("y");
    expect(choice).toMatch(
      /^the graph ends in TopK, .* the outputs are what it is chosen from, "y" \[1, 48, 7\]$/,
    );
  });
  test("stays with keepDecode, as an error", () => {
    const model = dotModel(chosen(yolov5(anchors)));
    expect(() => importOnnx(model, { keepDecode: true })).toThrow(/TopK/);
  });
  test("of scores alone", () => {
    const model = makeModel({
      nodes: [
        ["Flatten", ["x"], ["f"]],
        ["TopK", ["f", "k"], ["y", "i"], axis1],
      ],
      constants: { k: int64s(5) },
    });
    const { graph, choice } = importOnnx(model);
    expect([graph.outputs, choice]).toEqual([["f"], expect.stringContaining('from, "f" [1, 192]')]);
  });
  test("in the middle of a network is no end", () => {
    const model = makeModel({
      nodes: [
        ["ArgMax", ["x"], ["a"], axis1],
        ["Cast", ["a"], ["f"], { to: int(1) }],
        ["Conv", ["f", "w"], ["y"]],
      ],
      constants: { w: floats([1, 1, 1, 1]) },
    });
    expect(() => importOnnx(model)).toThrow(/ArgMax/);
  });
});

test("what the file says that it is for", () => {
  const model = makeModel({ nodes: [["Flatten", ["x"], ["y"]]], metadata: { task: "segment" } });
  expect(importOnnx(model).task).toBe("segment");
});

describe("a fixed batch", () => {
  const batched = (model: OnnxModel, batch: number): OnnxModel => {
    model.graph.inputs = model.graph.inputs.map((info) => ({
      ...info,
      shape: [batch, ...(info.shape ?? []).slice(1)],
    }));
    for (const name of ["apart", "rows"]) {
      const [, ...rest] = Array.from(model.graph.initializers.get(name)?.data ?? []);
      model.graph.initializers.set(name, int64s(batch, ...rest));
    }
    return model;
  };
  test.each([2, 3, 4])("of %i is taken as one, and said", (batch) => {
    const { heads, warnings } = foundIn(batched(dotModel(yolov5(anchors)), batch));
    expect(heads).toEqual([expect.objectContaining({ stride: 8, anchors })]);
    expect(warnings).toEqual([`the file is made for ${batch} pictures at once; here it takes one`]);
  });
  test("a grid written out for every picture", () => {
    const model = batched(dotModel(yolov5(anchors)), 2);
    const cells = model.graph.initializers.get("cells");
    const twice = [...Array.from(cells?.data ?? []), ...Array.from(cells?.data ?? [])];
    model.graph.initializers.set("cells", floats([2, 1, 4, 4, 2], twice));
    expect(foundIn(model).heads).toMatchObject([{ anchors }]);
  });
  test("constants that differ from picture to picture are refused", () => {
    const model = makeModel({
      nodes: [["Add", ["x", "k"], ["y"]]],
      inputs: { x: [2, 3, 4, 4] },
      constants: {
        k: floats(
          [2, 3, 4, 4],
          Array.from({ length: 96 }, (_, i) => i),
        ),
      },
    });
    expect(() => importOnnx(model)).toThrow(
      /one picture instead of 2.*"y" is \[2, 3, 4, 4\] all the same: constants of the file differ/,
    );
  });
  test("that the graph itself depends on is refused", () => {
    const model = makeModel({
      nodes: [
        ["Reshape", ["x", "s"], ["f"]],
        ["Relu", ["f"], ["y"]],
      ],
      inputs: { x: [2, 3, 8, 8] },
      constants: { s: int64s(6, 8, 8) },
    });
    expect(() => importOnnx(model)).toThrow(/taken for one picture instead of 2 \(better export/);
  });
});
