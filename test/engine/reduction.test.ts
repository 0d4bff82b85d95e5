import { expect, test } from "vitest";
import { runReference } from "../../src/engine/reference/index.ts";
import { type BackendName, createSession } from "../../src/engine/session.ts";
import { extremesOf } from "../../src/ir/tensor.ts";
import { network, shuffleNet } from "../quantize/_models.ts";
import { picture, testLayers } from "./_layers.ts";
import { graphOf } from "./graph-of.ts";

testLayers([
  ["means of channels", "Reduction r 1 1 x y 0=3 1=0 -23303=2,1,2 4=1 5=1", picture],
  ["means of channels, rank 1", "Reduction r 1 1 x y 0=3 1=0 -23303=2,-1,-2 5=1", picture],
  ["greatest of channels", "Reduction r 1 1 x y 0=4 1=0 -23303=2,1,2 4=1 5=1", picture],
  ["least of channels, rank 1", "Reduction r 1 1 x y 0=5 1=0 -23303=2,1,2 5=1", picture],
  [
    "greatest and least of shuffled, cut and joined channels",
    [
      "ShuffleChannel s 1 1 x shuffled 0=2",
      "Slice cut 1 2 shuffled a b -23300=2,2,-233",
      "Sigmoid g 1 1 a c",
      "Concat j 3 1 b c x joined",
      "Reduction most 1 1 joined y 0=4 1=0 -23303=2,1,2 5=1",
      "Reduction least 1 1 joined z 0=5 1=0 -23303=2,1,2 5=1",
    ].join("\n"),
    { x: [6, 5, 9] },
  ],
  [
    "what follows one of two reductions of a blob is not done to the other",
    [
      "Reduction a 1 1 x a 0=4 1=0 -23303=2,1,2 4=1 5=1",
      "Reduction b 1 1 x b 0=4 1=0 -23303=2,1,2 4=1 5=1",
      "Sigmoid g 1 1 a y",
      "BinaryOp z 1 1 b z 0=2 1=1 2=3",
    ].join("\n"),
    picture,
  ],
]);

const graph = network(shuffleNet, 5);
const blobs = ["x", "left", "right", "a", "mix", "sum", "last"];
const x = { shape: [3, 16, 16], data: Float32Array.from({ length: 768 }, (_, i) => Math.sin(i * i)) };

test.each<[BackendName]>([["wasm"], ["reference"]])("%s: extremes of blobs", async (backend) => {
  const session = await createSession(graph, { backend });
  const [found, values] = [await session.extremes({ x }, blobs), await session.run({ x }, blobs)];
  for (const blob of blobs) {
    const { least, greatest, shape } = found[blob];
    const expected = extremesOf(values[blob]);
    expect([blob, shape, [...Array.from(least)], [...Array.from(greatest)]]).toEqual([
      ...[blob, expected.shape, [...Array.from(expected.least)], [...Array.from(expected.greatest)]],
    ]);
  }
  // The engine's own memory: other numbers after another picture.
  const other = { shape: x.shape, data: x.data.map((value) => 3 * value) };
  expect((await session.extremes({ x: other }, ["x"])).x.greatest[0]).toBeCloseTo(
    3 * extremesOf(x).greatest[0],
    5,
  );
  session.close();
});

test("extremes of blobs of other ranks, and of what is no number", async () => {
  const small = graphOf("Flatten f 1 1 x flat\nInnerProduct p 1 1 flat y 0=2 1=1", { x: [2, 3, 4] });
  const session = await createSession(small);
  const data = Float32Array.from({ length: 24 }, (_, i) => i - 5);
  const found = await session.extremes({ x: { shape: [2, 3, 4], data } }, ["flat", "y"]);
  const y = runReference(small, { x: { shape: [2, 3, 4], data } }, ["y"]).y.data;
  expect(Array.from(found.flat.least)).toEqual(Array.from(data));
  for (const i of [0, 1]) expect(found.y.greatest[i]).toBeCloseTo(y[i], 4);
  data[13] = Number.NaN;
  const { least, greatest } = (await session.extremes({ x: { shape: [2, 3, 4], data } }, ["x"])).x;
  expect([least[0], least[1], greatest[0], greatest[1]]).toEqual([-5, Number.NaN, 6, Number.NaN]);
  session.close();
});
