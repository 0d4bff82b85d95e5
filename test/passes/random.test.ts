/** Random small graphs through every pass and every pipeline: they stay legal and keep their outputs, and it ends. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { verify } from "../../src/ir/graph.ts";
import { ops } from "../../src/ops/index.ts";
import { ncnnoptimizePasses, optimizePasses, type Pass, runPasses } from "../../src/passes/index.ts";
import { expectOutputs, expectSame, outputsOf } from "./helpers.ts";
import { blockCount, type Choice, inputShape, randomGraph } from "./random-graph.ts";

const shapes = { x: inputShape };
const choice: fc.Arbitrary<Choice> = fc.tuple(fc.nat(blockCount - 1), fc.nat(2), fc.nat(63));
const graphs = fc
  .record({ choices: fc.array(choice, { maxLength: 10 }), head: fc.nat(2), seed: fc.nat(1000) })
  .map(({ choices, head, seed }) => randomGraph(choices, head, seed));
const options = { seed: 20240, numRuns: 50 } as const;

const official = ncnnoptimizePasses();
const passes: Pass[] = [
  ...new Map([...optimizePasses(), ...official].map((pass) => [pass.name, pass])).values(),
];

/** How often a pass found something: a pass that never does is not tested. */
const found = new Map(passes.map((pass) => [pass.name, 0]));

test("every pass by itself, to its end", () => {
  fc.assert(
    fc.property(graphs, (graph) => {
      const expected = outputsOf(graph, shapes);
      for (const pass of passes) {
        const after = graph.clone();
        const rewrites = pass.run(after);
        found.set(pass.name, (found.get(pass.name) ?? 0) + rewrites);
        verify(after, ops);
        if (rewrites > 0) expectOutputs(after, expected, shapes, 2e-5);
        expect(pass.run(after), `second run of ${pass.name}`).toBe(0);
      }
    }),
    options,
  );
});

test.each([
  ["optimize", optimizePasses(), 8],
  ["optimize, sizes and Focus kept", optimizePasses({ staticSizes: true, keepFocus: true }), 8],
  ["ncnnoptimize", official, 1],
] as const)("the pipeline %s", (_, pipeline, rounds) => {
  fc.assert(
    fc.property(graphs, (graph) => {
      const after = graph.clone();
      for (const { pass, rewrites } of runPasses(after, pipeline, undefined, rounds)) {
        found.set(pass, (found.get(pass) ?? 0) + rewrites);
      }
      expectSame(graph, after, shapes, 2e-5);
      if (rounds === 1) return;
      const again = runPasses(after, pipeline, undefined, rounds);
      expect(again.filter(({ rewrites }) => rewrites > 0)).toEqual([]);
      expect(after.nodes.length).toBeLessThanOrEqual(graph.nodes.length);
    }),
    options,
  );
});

test("every pass has had work", () => {
  const idle = [...found].filter(([, count]) => count === 0).map(([name]) => name);
  // Convolutions of vectors do not run on the reference backend, unread constants are outputs there, and all weights are
  // float32 here: the other tests have these three.
  expect(idle.sort()).toEqual(["drop-unread-constants", "replace-vector-convolution", "store-fp32"]);
});
