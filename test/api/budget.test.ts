import { expect, test } from "vitest";
import { keepWithinBudget } from "../../src/deploy/budget.ts";
import { calibrate } from "../../src/deploy/calibrate.ts";
import { inferShapes, opOf, paramsOf } from "../../src/ir/graph.ts";
import type { Tensor } from "../../src/ir/tensor.ts";
import { assumeManifest } from "../../src/open/assume.ts";
import { ops } from "../../src/ops/index.ts";
import { network, pictures } from "../quantize/_models.ts";

test("a budget of work: the most sensitive layers for their multiply-accumulates, within the share", async () => {
  const graph = network();
  const { table } = await calibrate(graph, pictures(6), { method: "minmax" });
  const { manifest } = assumeManifest(graph, "units");
  const inputs: Record<string, Tensor>[] = [];
  for await (const input of pictures(2, 9)()) inputs.push(input);
  const chosen = async (work: number): Promise<Map<string, string>> =>
    (await keepWithinBudget({ graph, manifest, table, inputs, budget: { work } })).reasons;

  const shapes = inferShapes(graph, ops, { x: [3, 16, 16] });
  const macs = new Map(
    graph.nodes
      .filter(({ type }) => type.startsWith("Convolution"))
      .map((node) => {
        const [from, to] = [node.inputs, node.outputs].map((blobs) => blobs.map((blob) => shapes.get(blob)!));
        return [node.name, opOf(node, ops).macs?.(from, to, paramsOf(node, ops)) ?? 0];
      }),
  );
  const all = [...macs.values()].reduce((sum, each) => sum + each, 0);
  const share = (names: Iterable<string>): number =>
    [...names].reduce((sum, name) => sum + (macs.get(name) ?? 0), 0) / all;

  const some = await chosen(0.3);
  expect(some.size).toBeGreaterThan(0);
  expect(some.size).toBeLessThan(macs.size);
  expect(share(some.keys())).toBeLessThanOrEqual(0.3);
  expect([...some.values()][0]).toMatch(
    /^number \d of \d in sensitivity, within the budget of 30 % of the work$/,
  );
  expect((await chosen(0)).size).toBe(0);
  expect([...(await chosen(1)).keys()].sort()).toEqual([...macs.keys()].sort());
  expect([...(await chosen(0.3))]).toEqual([...some]);
});

test("as few layers as are enough, or as are about as good as any", async () => {
  const graph = network();
  const { table } = await calibrate(graph, pictures(6), { method: "minmax" });
  const { manifest } = assumeManifest(graph, "units");
  const inputs: Record<string, Tensor>[] = [];
  for await (const input of pictures(2, 9)()) inputs.push(input);
  const kept = async (quality: (count: number) => number) => {
    const given = { graph, manifest, table, inputs, budget: { work: 1 } };
    const result = await keepWithinBudget({ ...given, quality: async (keep) => quality(keep.length) });
    return { count: result.reasons.size, met: result.met };
  };
  expect(await kept((count) => Number(count >= 3))).toEqual({ count: 3, met: true });
  expect(await kept(() => 1)).toEqual({ count: 0, met: true });
  // Of 0, 1, 2, 4 and all, two are as good as more, but for chance.
  expect(await kept((count) => (count >= 2 ? 0.8 + count / 10_000 : 0.1))).toEqual({ count: 2, met: false });
  expect(await kept((count) => 0.1 * count - 0.05 * Number(count > 4))).toEqual({ count: 7, met: false });
});
