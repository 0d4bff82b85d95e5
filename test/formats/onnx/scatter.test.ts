/** Values that are assigned to a slice, as `y[..., 1:3] = z` is exported. */
import { describe, expect, test } from "vitest";
import { runReference } from "../../../src/engine/reference/index.ts";
import { importOnnx } from "../../../src/formats/onnx/index.ts";
import { ints, type OnnxTensor } from "../../../src/formats/onnx/model.ts";
import { makeModel, type NodeLine } from "./_model.ts";

/** Indices of places, one list each. */
const indices = (dims: readonly number[], at: readonly number[][]): OnnxTensor => ({
  type: "int64",
  dims: [...dims, at[0].length],
  data: Float64Array.from(at.flat()),
});

/** `x` `[1, 2, 2, 4]` of 0 to 15, with −x at the places. */
function scattered(nodes: readonly NodeLine[], places: OnnxTensor, attributes = {}): number[] {
  const { graph } = importOnnx(
    makeModel({
      nodes: [
        ["Neg", ["x"], ["n"]],
        ...nodes.map(([type, ...rest]): NodeLine => {
          return type === "ScatterND" ? [type, rest[0], rest[1], attributes] : [type, ...rest];
        }),
      ],
      inputs: { x: [1, 2, 2, 4] },
      constants: { places, one: indices([], [[1]]), three: indices([], [[3]]), last: indices([], [[3]]) },
    }),
  );
  const data = Float32Array.from({ length: 16 }, (_, i) => i);
  return [...runReference(graph, { x: { shape: [2, 2, 4], data } })[graph.outputs[0]].data];
}

const slice: NodeLine = ["Slice", ["n", "one", "three", "last"], ["part"]];
const scatter: NodeLine = ["ScatterND", ["x", "places", "part"], ["y"]];
/** Of the slice 1…2 of the last axis, in the order of its elements. */
const inOrder = [0, 1].flatMap((a) => [0, 1].flatMap((b) => [1, 2].map((c) => [0, a, b, c])));
const expected = Array.from({ length: 16 }, (_, i) => (i % 4 === 1 || i % 4 === 2 ? -i : i));

describe("a slice that is written", () => {
  test("element by element", () => {
    expect(scattered([slice, scatter], indices([1, 2, 2, 2], inOrder))).toEqual(expected);
  });
  test("along the first axis of a view, as newer exporters write it", () => {
    const turned = { perm: ints([3, 0, 1, 2]) };
    const nodes: NodeLine[] = [
      slice,
      ["Transpose", ["x"], ["tx"], turned],
      ["Transpose", ["part"], ["tp"], turned],
      ["ScatterND", ["tx", "places", "tp"], ["ty"]],
      ["Transpose", ["ty"], ["y"], { perm: ints([1, 2, 3, 0]) }],
    ];
    const none = { reduction: { kind: "string", value: "none" } };
    expect(scattered(nodes, indices([2], [[1], [2]]), none)).toEqual(expected);
  });
  test.each([
    ["another order", indices([1, 2, 2, 2], inOrder.toReversed()), {}],
    [
      "other places",
      indices(
        [1, 2, 2, 2],
        inOrder.map(([a, b, c, d]) => [a, b, c, d === 2 ? 3 : d]),
      ),
      {},
    ],
    ["sums", indices([1, 2, 2, 2], inOrder), { reduction: { kind: "string", value: "add" } }],
  ])("%s is none", (_, places, attributes) => {
    expect(() => scattered([slice, scatter], places, attributes)).toThrow(/ScatterND cannot be lowered/);
  });
});
