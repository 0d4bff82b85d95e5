/** How few layers small graphs become. */
import { expect, test } from "vitest";
import { runReference } from "../../../src/engine/reference/index.ts";
import { importOnnx } from "../../../src/formats/onnx/index.ts";
import { int } from "../../../src/formats/onnx/model.ts";
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
