/** How few layers small graphs become. */
import { expect, test } from "vitest";
import { runReference } from "../../../src/engine/reference/index.ts";
import { importOnnx } from "../../../src/formats/onnx/index.ts";
import { int, ints } from "../../../src/formats/onnx/model.ts";
import { floats, int64s, makeModel } from "./_model.ts";

const typesOf = (graph: ReturnType<typeof importOnnx>["graph"]): string[] =>
  graph.nodes.map(({ type }) => type).filter((type) => type !== "Input");

test("a sum of pictures of which one is seen in another shape is a picture", () => {
  const { graph } = importOnnx(
    makeModel({
      nodes: [
        ["Reshape", ["x", "heads"], ["a"]],
        ["Softmax", ["a"], ["b"]],
        ["Reshape", ["b", "picture"], ["c"]],
        ["Relu", ["x"], ["d"]],
        ["Add", ["c", "d"], ["e"]],
        ["GlobalAveragePool", ["e"], ["y"]],
      ],
      inputs: { x: [1, 4, 2, 3] },
      constants: { heads: int64s(1, 2, 2, 6), picture: int64s(1, 4, 2, 3) },
    }),
  );
  expect(typesOf(graph)).toEqual(["Reshape", "Softmax", "ReLU", "Reshape", "BinaryOp", "Pooling"]);
});

test("equal constants are one", () => {
  const points = [0.5, 1.5, 2.5, -0];
  const { graph } = importOnnx(
    makeModel({
      nodes: [
        ["Sub", ["p", "x"], ["a"]],
        ["Add", ["q", "x"], ["b"]],
        ["Mul", ["a", "r"], ["c"]],
        ["Concat", ["b", "c"], ["y"], { axis: int(1) }],
      ],
      inputs: { x: [1, 1, 2, 2] },
      constants: {
        p: floats([1, 1, 2, 2], points),
        q: floats([1, 1, 2, 2], points),
        r: floats([1, 1, 2, 2], [0.5, 1.5, 2.5, 0]),
      },
    }),
  );
  expect(typesOf(graph).filter((type) => type === "MemoryData")).toHaveLength(2);
  const { y } = runReference(graph, { x: { shape: [1, 2, 2], data: Float32Array.from([1, 2, 3, 4]) } });
  expect([...y.data]).toEqual([1.5, 3.5, 5.5, 4, -0.25, -0.75, -1.25, -0]);
});

test.each([
  [12, 3],
  [13, -1],
])("opset %i: softmax over the last axis between two transposes needs one of them", (opset, axis) => {
  const { graph } = importOnnx(
    makeModel({
      nodes: [
        ["Reshape", ["x", "bins"], ["a"]],
        ["Transpose", ["a"], ["b"], { perm: ints([0, 3, 1, 2]) }],
        ["Softmax", ["b"], ["c"], { axis: int(axis) }],
        ["Transpose", ["c"], ["y"], { perm: ints([0, 3, 2, 1]) }],
      ],
      inputs: { x: [1, 6, 2] },
      constants: { bins: int64s(1, 2, 3, 2) },
      opset,
    }),
  );
  expect(typesOf(graph).filter((type) => type === "Permute")).toHaveLength(1);
  const data = Float32Array.from({ length: 12 }, (_, i) => Math.sin(i));
  const { y } = runReference(graph, { x: { shape: [6, 2], data } });
  // [side, bin, cell] to [bin, side, cell]
  const value = (side: number, bin: number, cell: number): number => data[(side * 3 + bin) * 2 + cell];
  for (let bin = 0; bin < 3; bin++) {
    for (let side = 0; side < 2; side++) {
      for (let cell = 0; cell < 2; cell++) {
        const sum = [0, 1, 2].reduce((total, k) => total + Math.exp(value(side, k, cell)), 0);
        const expected = Math.exp(value(side, bin, cell)) / sum;
        expect(y.data[(bin * 2 + side) * 2 + cell]).toBeCloseTo(expected, 6);
      }
    }
  }
});
