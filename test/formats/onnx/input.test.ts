import { describe, expect, test } from "vitest";
import { int, ints, type OnnxTensor } from "../../../src/formats/onnx/model.ts";
import { foundIn } from "../../heads/_recognise.ts";
import { type Before, dotModel, yolov5 } from "./_dot.ts";
import { floats, int64s, type NodeLine } from "./_model.ts";

const decode = yolov5([10, 13, 16, 30, 33, 23]);
const nchw = [1, 3, 32, 32];
const nhwc = [1, 32, 32, 3];
const toFloat: NodeLine = ["Cast", ["images"], ["f"], { to: int(1) }];
const constant = (value: number): OnnxTensor => floats([], [value]);
const perChannel = (...values: number[]): OnnxTensor => floats([1, 3, 1, 1], values);
const read = (before: Before, channels = 3) => foundIn(dotModel(decode, { channels }, before));
const types = (before: Before): string[] => read(before).graph.nodes.map(({ type }) => type);
const onlyNetwork = ["Input", "Convolution", "Reshape", "Permute"];
const n255 = 1 / 255;
const close = (...values: number[]) => values.map((value) => expect.closeTo(value, 6));

describe("pre-processing in the graph is cut off and told", () => {
  test.each<[string, Before, number[], number[]]>([
    [
      "a division by 255",
      { nodes: [["Div", ["images", "n"], ["x"]]], constants: { n: constant(255) }, shape: nchw },
      [0, 0, 0],
      [n255, n255, n255],
    ],
    [
      "a product with 1/255 of whole numbers, channels last",
      {
        nodes: [
          toFloat,
          ["Mul", ["f", "n"], ["g"]],
          ["Transpose", ["g"], ["x"], { perm: ints([0, 3, 1, 2]) }],
        ],
        constants: { n: constant(n255) },
        shape: nhwc,
        type: "uint8",
      },
      [0, 0, 0],
      [n255, n255, n255],
    ],
    [
      "whole numbers as they are",
      { nodes: [["Cast", ["images"], ["x"], { to: int(1) }]], shape: nchw, type: "uint8" },
      [0, 0, 0],
      [1, 1, 1],
    ],
    [
      "mean and deviation of levels",
      {
        nodes: [
          ["Sub", ["images", "m"], ["a"]],
          ["Div", ["a", "s"], ["x"]],
        ],
        constants: { m: perChannel(123.675, 116.28, 103.53), s: perChannel(58.395, 57.12, 57.375) },
        shape: nchw,
      },
      [123.675, 116.28, 103.53],
      [1 / 58.395, 1 / 57.12, 1 / 57.375],
    ],
    [
      "mean and deviation of fractions",
      {
        nodes: [
          ["Sub", ["images", "m"], ["a"]],
          ["Div", ["a", "s"], ["x"]],
        ],
        constants: { m: perChannel(0.485, 0.456, 0.406), s: perChannel(0.229, 0.224, 0.225) },
        shape: nchw,
      },
      [123.675, 116.28, 103.53],
      [n255 / 0.229, n255 / 0.224, n255 / 0.225],
    ],
    [
      "levels from fractions",
      { nodes: [["Mul", ["images", "n"], ["x"]]], constants: { n: constant(255) }, shape: nchw },
      [0, 0, 0],
      [1, 1, 1],
    ],
    [
      "levels less a mean",
      {
        nodes: [["Sub", ["images", "m"], ["x"]]],
        constants: { m: perChannel(104, 117, 123) },
        shape: nchw,
      },
      [104, 117, 123],
      [1, 1, 1],
    ],
    [
      "-1 to 1, clipped before",
      {
        nodes: [
          ["Clip", ["images", "zero", "one"], ["a"]],
          ["Mul", ["a", "two"], ["b2"]],
          ["Sub", ["b2", "one"], ["x"]],
        ],
        constants: { zero: constant(0), one: constant(1), two: constant(2) },
        shape: nchw,
      },
      [127.5, 127.5, 127.5],
      [1 / 127.5, 1 / 127.5, 1 / 127.5],
    ],
    [
      "without a batch",
      {
        nodes: [
          toFloat,
          ["Transpose", ["f"], ["a"], { perm: ints([2, 0, 1]) }],
          ["Unsqueeze", ["a", "zero"], ["u"]],
          ["Div", ["u", "n"], ["x"]],
        ],
        constants: { zero: int64s(0), n: constant(255) },
        shape: [32, 32, 3],
        type: "uint8",
      },
      [0, 0, 0],
      [n255, n255, n255],
    ],
  ])("%s", (_, before, mean, norm) => {
    const { input, graph, inputSize, heads } = read(before);
    expect(input?.levels).toEqual({ mean: close(...mean), norm: close(...norm) });
    expect(input?.isReversed).toBe(false);
    expect([types(before), graph.inputs, inputSize]).toEqual([
      onlyNetwork,
      ["images"],
      { width: 32, height: 32 },
    ]);
    expect(heads).toMatchObject([{ anchors: [10, 13, 16, 30, 33, 23] }]);
  });
  test("grey", () => {
    const before = {
      nodes: [["Div", ["images", "n"], ["x"]] as NodeLine],
      constants: { n: constant(255) },
      shape: [1, 1, 32, 32],
    };
    expect(read(before, 1).input?.levels).toEqual({ mean: [0], norm: [n255] });
  });
  test.each<[string, NodeLine[]]>([
    ["Gather", [["Gather", ["images", "swap"], ["x"], { axis: int(1) }]]],
    ["Slice backwards", [["Slice", ["images", "last", "end", "one", "back"], ["x"]]]],
    [
      "Split and Concat",
      [
        ["Split", ["images", "each"], ["r", "g", "b3"], { axis: int(1) }],
        ["Concat", ["b3", "g", "r"], ["x"], { axis: int(1) }],
      ],
    ],
  ])("reversed channels: %s", (_, nodes) => {
    const constants = {
      swap: int64s(2, 1, 0),
      last: int64s(-1),
      end: int64s(-4),
      one: int64s(1),
      back: int64s(-1),
      each: int64s(1, 1, 1),
    };
    const before = { nodes, constants, shape: nchw };
    expect(read(before).input).toEqual({ isReversed: true, isChannelsLast: false });
    expect(types(before)).toEqual(onlyNetwork);
  });
});

describe("what is no pre-processing stays", () => {
  test.each<[string, NodeLine[]]>([
    ["a square", [["Mul", ["images", "images"], ["x"]]]],
    ["other channels", [["Gather", ["images", "swap"], ["x"], { axis: int(1) }]]],
    [
      "a bright sum",
      [
        ["Relu", ["images"], ["p"]],
        ["Sub", ["p", "images"], ["x"]],
      ],
    ],
  ])("%s", (_, nodes) => {
    const before = { nodes, constants: { swap: int64s(1, 0, 2) }, shape: nchw };
    expect(read(before).input).toBeUndefined();
    expect(types(before).length).toBeGreaterThan(onlyNetwork.length);
  });
});
