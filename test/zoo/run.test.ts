/**
 * The official `.param` files with invented weights, on the engine and on the reference kernels. Smaller inputs and the layers
 * before the classifier where that keeps the reference within seconds; NCNNKIT_FULL=1 runs all as they are.
 */
import { describe, expect, test } from "vitest";
import { Random } from "../../src/base/random.ts";
import { runReference } from "../../src/engine/reference/index.ts";
import { createSession } from "../../src/engine/session.ts";
import { writeWeights } from "../../src/formats/ncnn/index.ts";
import type { Graph } from "../../src/ir/graph.ts";
import type { Shape, Tensor } from "../../src/ir/tensor.ts";
import { zoo } from "../../src/zoo/index.ts";
import { synthesize } from "../../src/zoo/weights.ts";
import { describeData } from "../data.ts";
import { official } from "./_official.ts";

/** Outputs, what the last layer reads (scores before a softmax, heads before detection), and the last int8 blob. */
function interesting(graph: Graph): string[] {
  const requantized = graph.nodes.filter((node) => Number(node.params.int8_scale_term ?? 0) > 100);
  const blobs = [...graph.outputs, ...graph.nodes.at(-1)!.inputs, ...(requantized.at(-1)?.outputs ?? [])];
  return [...new Set(blobs)].filter((blob) => !graph.inputs.includes(blob));
}

/**
 * Differences relative to the largest value. LRN between int8 layers rounds differently in float32 and float64: an integer that
 * flips there changes all that follows.
 */
const toleranceOf = (name: string): number => (name === "googlenet_int8" ? 0.05 : 1e-4);

/** Equal up to the order of float sums; integers up to the rare value that lies at the edge of two. */
function expectEqual(found: Tensor, expected: Tensor, tolerance: number, what: string): void {
  expect(found.shape, what).toEqual(expected.shape);
  const isInteger = expected.data instanceof Int8Array;
  let largest = 0;
  for (const x of expected.data) largest = Math.max(largest, Math.abs(x));
  let worst = 0;
  let differing = 0;
  for (let i = 0; i < expected.data.length; i++) {
    const difference = Math.abs(found.data[i] - expected.data[i]);
    worst = Number.isNaN(difference) ? Number.POSITIVE_INFINITY : Math.max(worst, difference);
    if (difference > 0) differing++;
  }
  expect(worst, `${what}: largest difference`).toBeLessThanOrEqual(isInteger ? 1 : tolerance * largest);
  if (isInteger)
    expect(differing, `${what}: differing values`).toBeLessThanOrEqual(expected.data.length / 1000);
}

/** Blobs whose values are neither lost nor out of bounds. */
function expectAlive(blob: string, { data }: Tensor): void {
  let squares = 0;
  for (const x of data) squares += x * x;
  const size = Math.sqrt(squares / data.length);
  if (data.length > 0) expect(size, `size of ${blob}`).toSatisfy((x: number) => x > 1e-3 && x < 200);
}

describeData("official files on the engine and on the reference kernels", () => {
  for (const { name } of zoo.filter((network) => !/_(320|416|640)/.test(network.name))) {
    test(name, { timeout: 300_000 }, async () => {
      const { graph, size } = official(name);
      const shape: Shape = [3, size, size];
      const [input] = graph.inputs;
      synthesize(graph, { [input]: shape });
      const inputs = { [input]: { shape, data: new Random(3).floats(3 * size * size) } };
      const blobs = interesting(graph);
      const expected = runReference(graph, inputs, blobs);
      const session = await createSession(graph);
      const found = await session.run(inputs, blobs);
      session.close();
      for (const blob of blobs) {
        expectAlive(blob, expected[blob]);
        expectEqual(found[blob], expected[blob], toleranceOf(name), `${name}, ${blob}`);
      }
    });
  }
});

describe("invented weights", () => {
  const build = (): Graph => zoo.find(({ name }) => name === "squeezenet_int8")!.build();

  test("are the same for a seed and differ between seeds", () => {
    const [a, b, c] = [build(), build(), build()];
    synthesize(a);
    synthesize(b);
    synthesize(c, {}, 2);
    const bytes = (graph: Graph): Uint8Array => writeWeights(graph);
    expect(Buffer.compare(bytes(a), bytes(b))).toBe(0);
    expect(Buffer.compare(bytes(a), bytes(c))).not.toBe(0);
  });

  test("int8 activations use their range and are seldom cut off", () => {
    const graph = build();
    synthesize(graph);
    const size = 113;
    const inputs = { data: { shape: [3, size, size], data: new Random(3).floats(3 * size * size) } };
    let blobs = 0;
    runReference(graph, inputs, graph.outputs, (_, { data }) => {
      if (!(data instanceof Int8Array)) return;
      blobs++;
      const cutOff = data.filter((q) => Math.abs(q) === 127).length / data.length;
      expect(cutOff).toBeLessThan(0.02);
      expect(new Set(data).size).toBeGreaterThan(15);
    });
    expect(blobs).toBe(8);
  });
});
