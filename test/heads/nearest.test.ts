/** What is said of outputs: why they were recognised, and what they are like where no kind fits. */
import { expect, test } from "vitest";
import { recognise } from "../../src/open/recognise.ts";
import { Builder, labels, nanodet, ultralytics, yolox } from "./_graphs.ts";

test.each([
  ["YOLOX", yolox(), "for every cell of strides 8, 16: 4 raw, σ of 1, σ of 3"],
  ["NanoDet", nanodet([8, 16], 8), "for every cell of strides 8, 16: σ of 3, 32 raw"],
  [
    "ultralytics",
    ultralytics(16, false),
    "for every cell of strides 8, 16: 4 computed by its formula, σ of 3",
  ],
])("%s is told by", (_, graph, toldBy) => {
  expect(recognise(graph, { labels })).toMatchObject({ toldBy });
});

/** An output of two levels with these parts, each a convolution of its own. */
function outputOf(...parts: readonly (readonly ["raw" | "sigmoid", number])[]) {
  const b = new Builder();
  const values = parts.reduce((sum, [, channels]) => sum + channels, 0);
  const levels = [8, 16].map((stride) => {
    const blobs = parts.map(([origin, channels], i) => {
      const blob = b.level(`conv${stride}_${i}`, channels, stride);
      return origin === "raw" ? blob : b.add("Sigmoid", `sigmoid${stride}_${i}`, [blob]);
    });
    return b.flat(`flat${stride}`, b.add("Concat", `level${stride}`, blobs), values);
  });
  b.add("Permute", "out0", [b.add("Concat", "all", levels, { axis: 1 })], { order_type: 1 });
  return b.graph;
}

test.each([
  [
    "parts in another order",
    outputOf(["sigmoid", 1], ["raw", 4], ["sigmoid", 3]),
    /strides 8, 16: σ of 1, 4 raw, σ of 3; the parts of a YOLOX head in another order than 4 raw for x y w h, σ of 1/,
  ],
  [
    "a part missing",
    outputOf(["sigmoid", 1], ["raw", 2], ["raw", 2]),
    /like a CenterFace head .*but without 10 raw for points; if it is one, export it with these/,
  ],
  [
    "like nothing",
    outputOf(["raw", 7]),
    /its outputs have for every cell of strides 8, 16: 7 raw, which is no kind/,
  ],
])("%s", (_, graph, near) => {
  expect(recognise(graph, { labels })).toEqual({ near: expect.stringMatching(near) });
});

test("levels that are not alike", () => {
  const graph = nanodet([8, 16], 8);
  // Without its last node the distances of stride 16 come before the scores.
  graph.remove(graph.nodes.filter(({ name }) => name === "dis16" || name === "fb16"));
  expect(recognise(graph, { labels })).toEqual({ near: expect.stringContaining("is an output missing?") });
});

test("a classifier, and a graph that runs at no usual size", () => {
  const b = new Builder();
  b.add("Pooling", "out0", [b.level("conv", 10, 32)], { pooling_type: 1, global_pooling: 1 });
  expect(recognise(b.graph, { labels })).toEqual({
    near: "its outputs (out0 10) are not made from convolutions on grids of the picture, as boxes are",
  });
  const fixed = new Builder();
  fixed.add("Reshape", "out0", [fixed.level("conv", 6, 8)], { w: 100, h: 6 });
  expect(recognise(fixed.graph, { labels })).toEqual({
    near: expect.stringContaining("give the right one with --size"),
  });
});

test("bins before scores of one convolution are NanoDet's all the same", () => {
  const graph = nanodet([8, 16, 32], 8);
  // In the file's order, all distances come first.
  const outputs = [...graph.outputs].sort().reverse();
  expect(outputs[0]).toMatch(/^dis/);
  expect(recognise(graph, { labels, outputs })).toMatchObject({
    family: "nanodet",
    toldBy: "for every cell of strides 8, 16, 32: 32 raw, σ of 3",
  });
});
