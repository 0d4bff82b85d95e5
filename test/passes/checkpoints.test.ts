/** The default pipeline on the small checkpoints that PyTorch made, each with other blocks of the YOLOv5 family. */
import { readFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { readTorch } from "../../src/formats/torch/index.ts";
import type { Graph } from "../../src/ir/graph.ts";
import { optimizePasses, runPasses } from "../../src/passes/index.ts";
import { expectSame } from "./helpers.ts";
import { compareGraphs } from "./isomorphic.ts";

const folder = path.join(import.meta.dirname, "../formats/torch/data");
const raw = (name: string): Graph =>
  readTorch(readFileSync(path.join(folder, `${name}.pt`)), `${name}.pt`).graph;

const types = (graph: Graph): Set<string> => new Set(graph.nodes.map((node) => node.type));

/** Rewrites by pass, without those that found nothing. */
const optimized = (graph: Graph): Record<string, number> =>
  Object.fromEntries(
    runPasses(graph, optimizePasses())
      .filter(({ rewrites }) => rewrites > 0)
      .map(({ pass, rewrites }) => [pass, rewrites]),
  );

test.each([
  ["lite-c", { "fold-batch-norm": 22, "fuse-activation": 15 }],
  ["lite-e", { "fold-batch-norm": 21, "fuse-activation": 15 }],
  ["lite-g-branches", { "fold-batch-norm": 7, "merge-branches": 8, "fuse-activation": 3 }],
  ["v5", { "fold-batch-norm": 24, "merge-focus": 1, "fuse-activation": 11 }],
  ["v6", { "fold-batch-norm": 37 }],
])("%s keeps its outputs", (name, expected) => {
  const before = raw(name);
  const after = before.clone();
  expect(optimized(after)).toEqual(expected);
  expectSame(before, after, { images: [3, 64, 64] }, 2e-5);
});

test("RepVGG branches end as the author's deployed form", () => {
  const [branches, deployed] = ["lite-g-branches", "lite-g-deploy"].map(raw);
  optimized(branches);
  optimized(deployed);
  expect(compareGraphs(branches, deployed)).toMatchObject({ onlyInFirst: [], onlyInSecond: [] });
});

test("Focus of YOLOv5 5.0 needs no layer of its own", () => {
  const graph = raw("v5");
  const kept = graph.clone();
  runPasses(kept, optimizePasses({ keepFocus: true }));
  const reorgs = (g: Graph): number => g.nodes.filter((node) => node.type === "Reorg").length;
  optimized(graph);
  // The other Reorg of this network is not followed by a convolution.
  expect([reorgs(kept), reorgs(graph)]).toEqual([2, 1]);
  const [, stem] = graph.nodes;
  expect(stem).toMatchObject({ type: "Convolution", params: { kernel_w: 6, stride_w: 2, pad_left: 2 } });
});

test("nothing foldable is left", () => {
  for (const name of ["lite-c", "lite-e", "lite-g-branches", "v6"]) {
    const graph = raw(name);
    optimized(graph);
    for (const type of ["BatchNorm", "Scale", "Dropout", "Reorg", "Noop"])
      expect(types(graph), name).not.toContain(type);
  }
});
