/** The pipelines on real models: outputs stay, int8 layers stay, and a raw conversion becomes the author's graph. */
import path from "node:path";
import { expect, test } from "vitest";
import { parseParam, readNcnn, writeWeights } from "../../src/formats/ncnn/index.ts";
import { readTorch } from "../../src/formats/torch/index.ts";
import type { Graph, Node } from "../../src/ir/graph.ts";
import type { Shape } from "../../src/ir/tensor.ts";
import { weightToFloat32 } from "../../src/ir/weight.ts";
import { ncnnoptimizePasses, optimizePasses, runPasses, storeFp16 } from "../../src/passes/index.ts";
import { dataBytes, dataFiles, dataText, describeData } from "../data.ts";
import { expectSame, fillWeights, textOf } from "./helpers.ts";
import { compareGraphs, slicesAsCrops } from "./isomorphic.ts";

const load = (name: string): Graph =>
  readNcnn(
    dataBytes(`models/${name}.param`),
    dataBytes(`models/${name}.bin`),
    `${name}.param`,
    `${name}.bin`,
  );

const shapesFor = (graph: Graph): Record<string, Shape> =>
  Object.fromEntries(graph.inputs.map((name) => [name, [3, 64, 64]]));

const int8Nodes = (graph: Graph): Node[] => graph.nodes.filter((node) => node.params.int8_scale_term);

/** Largest relative difference; below the smallest normal float16 relative to that. */
function largestStep(ours: Float32Array, theirs: Float32Array): number {
  expect(ours.length).toBe(theirs.length);
  return ours.reduce(
    (most, x, i) => Math.max(most, Math.abs(x - theirs[i]) / Math.max(Math.abs(x), 2 ** -14)),
    0,
  );
}

describeData("real models", () => {
  const names = dataFiles("models", ".param").map((file) => path.basename(file, ".param"));
  test.each(names)("%s keeps its outputs", (name) => {
    const before = load(name);
    const after = before.clone();
    const results = runPasses(after, optimizePasses());
    expect(runPasses(after, optimizePasses()).filter((result) => result.rewrites > 0)).toEqual([]);
    expect(int8Nodes(after)).toEqual(int8Nodes(before));
    const official = before.clone();
    runPasses(official, ncnnoptimizePasses(), undefined, 1);
    // The authors have run ncnnoptimize on these: it finds nothing more.
    expect(textOf(official)).toBe(textOf(before));
    if (results.some((result) => result.rewrites > 0)) expectSame(before, after, shapesFor(before));
    else {
      expect(textOf(after)).toBe(textOf(before));
      expect(Buffer.compare(writeWeights(after), writeWeights(before))).toBe(0);
    }
  });

  test.each([
    ["the default pipeline", optimizePasses(), 8],
    ["ncnnoptimize", ncnnoptimizePasses(), 1],
  ])("the checkpoint becomes its author's graph and weights: %s", (_, passes, rounds) => {
    const { graph } = readTorch(dataBytes("models/yolov5ss.pt"), "yolov5ss.pt");
    runPasses(graph, passes, undefined, rounds);
    const author = load("yolov5ss");
    const { pairs, onlyInFirst, onlyInSecond } = compareGraphs(
      slicesAsCrops(graph, { images: [3, 320, 320] }),
      author,
    );
    expect({ onlyInFirst, onlyInSecond }).toEqual({ onlyInFirst: [], onlyInSecond: [] });
    expect(pairs.length).toBe(author.nodes.length);
    // Their tool cut the last bits of float16 off (one unit in the last place is 2^-10 of a number), and computed biases,
    // differences of larger numbers, in float32.
    for (const [ours, theirs] of pairs) {
      for (const [name, weight] of Object.entries(theirs.weights)) {
        const bits = weight.storage === "f16" ? 2 ** -10 : 1e-4;
        expect(
          largestStep(weightToFloat32(ours.weights[name]), weightToFloat32(weight)),
          ours.name,
        ).toBeLessThan(bits);
      }
    }
  });

  // Of the benchmark's networks, those that are not optimised to the end.
  test.each([
    ["blazeface", 85, 84],
    ["efficientnetv2_b0", 226, 226],
    ["mobilenet_v3", 127, 109],
  ])("%s keeps its outputs with random weights", (name, layers, left) => {
    const before = parseParam(dataText(`models/benchncnn/${name}.param`), name);
    fillWeights(before, 3);
    const after = before.clone();
    runPasses(after, optimizePasses());
    expect([before.nodes.length, after.nodes.length]).toEqual([layers, left]);
    expect(after.nodes.filter((node) => node.type === "Reduction")).toEqual([]);
    expectSame(before, after, shapesFor(before), 1e-4);
  });

  test("float16 storage of a float16 model comes back bit for bit", () => {
    const graph = load("yolov5ss");
    runPasses(graph, ncnnoptimizePasses({ fp16: false }), undefined, 1);
    expect(graph.nodes.every((node) => (node.weights.weight?.storage ?? "f32") === "f32")).toBe(true);
    storeFp16.run(graph);
    expect(Buffer.compare(writeWeights(graph), dataBytes("models/yolov5ss.bin"))).toBe(0);
  });
});
