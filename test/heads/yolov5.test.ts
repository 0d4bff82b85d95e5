import { describe, expect, test } from "vitest";
import { int, ints } from "../../src/formats/onnx/model.ts";
import type { FamilyName } from "../../src/heads/families.ts";
import { type Decode, dotModel, otherDecode, raw, yolov5, yolov7 } from "../formats/onnx/_dot.ts";
import { int64s } from "../formats/onnx/_model.ts";
import { foundIn, yolov5Near } from "./_recognise.ts";

const anchors = [10, 13, 16, 30, 33, 23];
const heads = (decode: Decode, options = {}) => foundIn(dotModel(decode, options)).heads;
const found = (of = anchors, stride = 8) => [
  expect.objectContaining({ kind: "yolov5", stride, anchors: of }),
];
const v5 = yolov5(anchors);

describe("YOLOv5's formula, however it is spelled", () => {
  test.each<[string, Decode]>([
    ["step by step", v5],
    ["constants merged, as YOLOv7 --grid has them", yolov7(anchors)],
    ["in parts of the input", yolov7(anchors, 1 / 32)],
    ["in cells", yolov7(anchors, 1 / 8)],
    ["numbers first", { ...v5, nodes: [...v5.nodes, ["Transpose", ["y"], ["z"]]], outputs: ["z"] }],
    [
      "without the batch",
      {
        ...v5,
        nodes: [...v5.nodes, ["Squeeze", ["y", "zero"], ["z"]]],
        outputs: ["z"],
        constants: { ...v5.constants, zero: int64s(0) },
      },
    ],
    ["beside the logits", { ...v5, outputs: ["y", "r"] }],
    ["corners and products of scores", corners()],
  ])("%s", (_, decode) => {
    const { heads, isCut, graph, classes } = foundIn(dotModel(decode));
    expect(heads).toEqual(found());
    expect([isCut, classes, graph.nodes.map(({ type }) => type)]).toEqual([
      true,
      2,
      ["Input", "Convolution", "Reshape", "Permute"],
    ]);
  });
  test("with y first, but not with height for width", () => {
    const ordered = (...order: number[]): Decode => ({
      nodes: [...v5.nodes, ["Gather", ["y", "order"], ["z"], { axis: int(2) }]],
      outputs: ["z"],
      constants: { ...v5.constants, order: int64s(...order) },
    });
    expect(heads(ordered(1, 0, 3, 2, 4, 5, 6))).toEqual(found());
    expect(heads(ordered(0, 1, 3, 2, 4, 5, 6))?.map(({ kind }) => kind)).not.toEqual(["yolov5"]);
  });
  test("other numbers of anchors, strides and classes", () => {
    expect(heads(yolov5([30, 61, 62, 45], 16, 2), { anchors: [30, 61, 62, 45], stride: 16 })).toEqual(
      found([30, 61, 62, 45], 16),
    );
    expect(heads(yolov7([10.5, 13.25, 7, 8], 1), { anchors: [10.5, 13.25, 7, 8] })).toEqual(
      found([10.5, 13.25, 7, 8]),
    );
  });
  test("one anchor keeps its axis", () => {
    const { heads, graph } = foundIn(dotModel(yolov5([9, 7]), { anchors: [9, 7] }));
    expect(heads).toEqual(found([9, 7]));
    expect(heads).toMatchObject([{ blob: graph.outputs[0] }]);
    expect(graph.nodes.slice(-2).map(({ type, params }) => [type, params])).toEqual([
      ["Reshape", { w: -1, h: 7, c: 1 }],
      ["Permute", { order_type: 1 }],
    ]);
  });
  test("factors per channel behind the convolution belong to the network", () => {
    const model = dotModel(v5);
    const [, reshape] = model.graph.nodes;
    model.graph.nodes.splice(1, 0, {
      ...reshape,
      opType: "Mul",
      inputs: ["c", "implicit"],
      outputs: ["m"],
    });
    reshape.inputs[0] = "m";
    const data = Float32Array.from({ length: 21 }, (_, i) => 1 + i / 100);
    model.graph.initializers.set("implicit", { type: "float32", dims: [1, 21, 1, 1], data });
    expect(foundIn(model).heads).toEqual(found());
  });
});

/** `centre ∓ size/2` by a matrix, and σ(objectness)·σ(class). */
function corners(): Decode {
  const slice = (from: number, to: number, output: string): Decode["nodes"][number] => [
    "Slice",
    ["y", `n${from}`, `n${to}`, "n2"],
    [output],
  ];
  const box = [1, 0, 1, 0, 0, 1, 0, 1, -0.5, 0, 0.5, 0, 0, -0.5, 0, 0.5];
  return {
    nodes: [
      ...v5.nodes,
      slice(0, 4, "box"),
      slice(4, 5, "object"),
      slice(5, 7, "class"),
      ["MatMul", ["box", "matrix"], ["corners"]],
      ["Mul", ["class", "object"], ["scores"]],
    ],
    outputs: ["corners", "scores"],
    constants: {
      ...v5.constants,
      ...Object.fromEntries([0, 2, 4, 5, 7].map((n) => [`n${n}`, int64s(n)])),
      matrix: { type: "float32", dims: [4, 4], data: Float32Array.from(box) },
    },
  };
}

describe("logits", () => {
  test.each<[string, Decode]>([
    ["in the view of YOLOv5", raw(false)],
    ["in rows", raw(true)],
    [
      "rows of cells with a row for each anchor",
      {
        nodes: [
          ["Transpose", ["t"], ["r"], { perm: ints([0, 3, 4, 1, 2]) }],
          ["Reshape", ["r", "rows"], ["y"]],
        ],
        outputs: ["y"],
      },
    ],
    ["behind a sigmoid", { nodes: [...raw(true).nodes, ["Sigmoid", ["y"], ["z"]]], outputs: ["z"] }],
  ])("%s: heads whose anchors are asked for", (_, decode) => {
    expect(yolov5Near(dotModel(decode))).toMatch(/^the anchors of 1 heads with 3 anchors are not known/);
    const { heads, classes, graph } = foundIn(dotModel(decode), { anchors: [anchors] });
    const [blob] = graph.outputs;
    expect([heads, classes]).toEqual([[{ kind: "yolov5", stride: 8, blob, anchors }], 2]);
  });
});

test("logits of relatives, by the caller's word", () => {
  const told = (family: FamilyName, options = {}) =>
    foundIn(dotModel(raw(true), options), { anchors: [anchors], family }).heads;
  expect(told("yolov3")).toMatchObject([{ kind: "yolov5", centerScale: 1, size: "exp", anchors }]);
  expect(told("yolov4", { stride: 16 })).toMatchObject([{ stride: 16, centerScale: 1.05, size: "exp" }]);
  expect(told("darknet")?.[0]).not.toHaveProperty("size");
});

describe("formulas of its relatives", () => {
  test.each<[string, Decode, object]>([
    ["YOLOv3", otherDecode(anchors, { slope: 1, offset: 0 }), { centerScale: 1, size: "exp" }],
    ["exp with YOLOv5's centres", otherDecode(anchors, {}), { size: "exp" }],
    ["YOLOv4", otherDecode(anchors, { slope: 1.2, offset: -0.1 }), { centerScale: 1.2, size: "exp" }],
    [
      "squares in their cell",
      otherDecode(anchors, { slope: 1.05, offset: -0.025, power: 2 }),
      { centerScale: 1.05 },
    ],
  ])("%s", (_, decode, formula) => {
    const { heads, isCut, graph } = foundIn(dotModel(decode));
    const [blob] = graph.outputs;
    expect([isCut, heads]).toEqual([true, [{ kind: "yolov5", blob, stride: 8, anchors, ...formula }]]);
  });
});

describe("another formula is named", () => {
  test.each<[string, Decode, string]>([
    [
      "centres off the middle",
      otherDecode(anchors, { slope: 1.2, offset: 0, power: 2 }),
      "a centre is 9.6·σ(t) + 0 at cell 0",
    ],
    ["another power", otherDecode(anchors, { power: 3 }), "centres without sizes of the form"],
    [
      "objectness dropped",
      {
        ...v5,
        nodes: [...v5.nodes, ["Gather", ["y", "kept"], ["z"], { axis: int(2) }]],
        outputs: ["z"],
        constants: { ...v5.constants, kept: int64s(0, 1, 2, 3, 5, 6) },
      },
      "objectness is not σ(t)",
    ],
  ])("%s", (_, decode, nearest) => {
    expect(yolov5Near(dotModel(decode))).toContain(nearest);
  });
  test("an output from elsewhere", () => {
    const decode = { ...v5, nodes: [...v5.nodes, ["Tanh", ["images"], ["z"]] as Decode["nodes"][number]] };
    const { heads, graph } = foundIn(dotModel({ ...decode, outputs: ["y", "z"] }));
    expect([heads, graph.outputs]).toEqual([undefined, ["z", "y"]]);
  });
  test("mask coefficients: a segmentation model", () => {
    const decode: Decode = {
      nodes: [
        ["Transpose", ["t"], ["r"], { perm: { kind: "ints", value: [0, 1, 3, 4, 2] } }],
        ["Slice", ["r", "zero", "seven", "four"], ["head"]],
        ["Slice", ["r", "seven", "nine", "four"], ["masks"]],
        ...v5.nodes
          .slice(1, -1)
          .map(([type, inputs, outputs, attributes]): Decode["nodes"][number] => [
            type,
            inputs.map((name) => (name === "r" ? "head" : name)),
            outputs,
            attributes,
          ]),
        ["Concat", ["all", "masks"], ["y"], { axis: int(4) }],
      ],
      outputs: ["y"],
      constants: { ...v5.constants, zero: int64s(0), seven: int64s(7), nine: int64s(9), four: int64s(4) },
    };
    expect(yolov5Near(dotModel(decode, { classes: 4 }))).toMatch(/segmentation model \(2 mask/);
  });
});
