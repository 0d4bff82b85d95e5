/** Transposes of any rank, as window attention and other blocks have them, in steps that ncnn's Permute can do. */
import { expect, test } from "vitest";
import { UnsupportedError } from "../../../src/base/errors.ts";
import { Random } from "../../../src/base/random.ts";
import { runReference } from "../../../src/engine/reference/index.ts";
import { importOnnx } from "../../../src/formats/onnx/index.ts";
import { reduceTranspose, transposeSteps } from "../../../src/formats/onnx/lower/layout.ts";
import { ints } from "../../../src/formats/onnx/model.ts";
import { int64s, makeModel } from "./_model.ts";

/** A transpose by its definition: what stands at every place of the result. */
function transposed(shape: readonly number[], perm: readonly number[]): number[] {
  const strides = shape.map((_, i) => shape.slice(i + 1).reduce((a, b) => a * b, 1));
  let offsets = [0];
  for (const axis of perm) {
    offsets = offsets.flatMap((at) => Array.from({ length: shape[axis] }, (_, i) => at + i * strides[axis]));
  }
  return offsets;
}

function imported(shape: readonly number[], perm: readonly number[]) {
  const total = shape.reduce((a, b) => a * b, 1);
  return importOnnx(
    makeModel({
      nodes: [
        ["Reshape", ["x", "view"], ["a"]],
        ["Transpose", ["a"], ["b"], { perm: ints(perm) }],
        ["Reshape", ["b", "flat"], ["c"]],
        // Not the identity, so that there is a graph where the transpose does nothing.
        ["Relu", ["c"], ["y"]],
      ],
      inputs: { x: [1, total] },
      constants: { view: int64s(...shape), flat: int64s(1, total) },
    }),
  ).graph;
}

function check(shape: readonly number[], perm: readonly number[]): number {
  const graph = imported(shape, perm);
  const total = shape.reduce((a, b) => a * b, 1);
  const data = Float32Array.from({ length: total }, (_, i) => i);
  const { y } = runReference(graph, { x: { shape: [total], data } });
  expect([...y.data], `[${shape}] by [${perm}]`).toEqual(transposed(shape, perm));
  return graph.nodes.filter((node) => node.type === "Permute").length;
}

test("window attention: one Permute for windows, two for queries, keys and values", () => {
  expect(check([1, 2, 4, 3, 4, 6], [0, 1, 3, 2, 4, 5])).toBe(1);
  expect(check([6, 16, 3, 4, 5], [2, 0, 3, 1, 4])).toBe(2);
});

test("random transposes up to rank 8", () => {
  const random = new Random(13);
  const below = (n: number): number => random.int(0, n - 1);
  for (let i = 0; i < 200; i++) {
    const rank = 3 + below(6);
    const shape = Array.from({ length: rank }, () => 1 + below(rank > 5 ? 3 : 4));
    const left = shape.map((_, axis) => axis);
    const perm = shape.map(() => left.splice(below(left.length), 1)[0]);
    check(shape, perm);
  }
});

test("eight axes turned round take few steps", () => {
  const shape = new Array<number>(8).fill(2);
  const steps = transposeSteps(reduceTranspose(shape, [7, 6, 5, 4, 3, 2, 1, 0]));
  expect(steps?.length).toBeLessThanOrEqual(4);
  expect(steps?.every(({ from }) => from.length <= 4)).toBe(true);
});

test("more are refused with rank, perm and name", () => {
  const perm = Array.from({ length: 9 }, (_, i) => 8 - i);
  const failing = (): unknown => imported(new Array<number>(9).fill(2), perm);
  expect(failing).toThrow(UnsupportedError);
  expect(failing).toThrow(/Transpose node "b" \(opset 17\): a transpose of rank 9 by \[8,7,6,5,4,3,2,1,0\]/);
});
