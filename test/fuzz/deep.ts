/** What was read is used: checked, rewritten, written, read again, and run where that costs next to nothing. */
import type { Random } from "../../src/base/random.ts";
import { createSession } from "../../src/engine/session.ts";
import {
  parseBinaryParam,
  printParam,
  readNcnn,
  writeBinaryParam,
  writeWeights,
} from "../../src/formats/ncnn/index.ts";
import { convert, modelFiles, type OpenedModel, open } from "../../src/index.ts";
import { type Graph, inferShapes, opOf, paramsOf, verify } from "../../src/ir/graph.ts";
import { elementCount, type Shape, type Tensor } from "../../src/ir/tensor.ts";
import { ops } from "../../src/ops/index.ts";
import {
  ncnnoptimizePasses,
  optimizePasses,
  runPasses,
  storeFp16,
  storeFp32,
} from "../../src/passes/index.ts";

/** Something that must never be: thrown by the checks here, and no error of the kit. */
export class Broken extends Error {}

/** A graph with weights: passes, both printed forms and back, a run. */
export async function useGraph(graph: Graph, random: Random): Promise<void> {
  verify(graph, ops);
  const copy = graph.clone();
  const passes = random.pick([
    () => optimizePasses({ fp16: true }),
    ncnnoptimizePasses,
    () => [storeFp16],
    () => [storeFp32],
  ])();
  runPasses(copy, passes);
  const text = printParam(copy);
  const bin = writeWeights(copy);
  const again = readBack(() => readNcnn(text, bin));
  if (printParam(again) !== text) throw new Broken(`written and read again it is another graph:\n${text}`);
  if (random.int(0, 3) === 0) {
    const binary = writeBinaryParam(copy);
    const nameless = readBack(() => parseBinaryParam(binary));
    if (nameless.nodes.length !== again.nodes.length) throw new Broken("the binary form has other layers");
  }
  await runGraph(copy, inputShapes(copy), random);
}

/** A model as the public API opens it: converted, all files written and opened again, run. */
export async function useModel(opened: OpenedModel, random: Random): Promise<void> {
  const { graph, manifest } = convert(opened, { fp16: random.next() < 0.3, optimize: random.next() < 0.8 });
  const files = modelFiles(graph, manifest);
  const named = Object.entries(files).map(([name, content]) => ({
    name,
    bytes: typeof content === "string" ? new TextEncoder().encode(content) : content,
  }));
  let again: OpenedModel;
  try {
    again = await open(named.filter(({ name }) => !name.endsWith(".h")));
  } catch (error) {
    throw new Broken("what was written cannot be opened", { cause: error });
  }
  if (printParam(again.graph) !== files[manifest.param])
    throw new Broken("written and opened again it is another graph");
  const { blob, channels, height, width } = manifest.input;
  await runGraph(graph, { ...inputShapes(graph), [blob]: [channels, height, width] }, random);
}

function readBack<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw new Broken("what was written cannot be read", { cause: error });
  }
}

/** The shapes that the Input layers tell. */
function inputShapes(graph: Graph): Record<string, Shape> {
  const shapes: Record<string, Shape> = {};
  for (const node of graph.nodes) {
    if (node.type !== "Input") continue;
    const { w, h, d, c } = paramsOf(node, ops) as Record<string, number>;
    const shape = [c, d, h, w].filter((extent) => extent > 0);
    if (shape.length) for (const output of node.outputs) shapes[output] = shape;
  }
  return shapes;
}

/** One in so many graphs is compiled and run: that takes longer than all the rest. */
const runEvery = 4;
const maxValues = 100_000;
const maxWork = 2_000_000;

async function runGraph(graph: Graph, inputs: Record<string, Shape>, random: Random): Promise<void> {
  const shapes = inferShapes(graph, ops, inputs);
  if (random.int(1, runEvery) > 1 || !isCheap(graph, shapes)) return;
  const feeds: Record<string, Tensor> = {};
  for (const blob of graph.inputs) {
    const shape = shapes.get(blob)!;
    feeds[blob] = { shape, data: random.floats(elementCount(shape)) };
  }
  const session = await createSession(graph, { backend: random.int(0, 5) === 0 ? "reference" : "wasm" });
  try {
    const outputs = await session.run(feeds);
    for (const blob of graph.outputs) {
      const { shape, data } = outputs[blob];
      if (elementCount(shape) !== data.length)
        throw new Broken(`output ${blob}: ${shape} of ${data.length} values`);
    }
  } finally {
    session.close();
  }
}

function isCheap(graph: Graph, shapes: ReadonlyMap<string, Shape>): boolean {
  let values = 0;
  let work = 0;
  for (const shape of shapes.values()) values += elementCount(shape);
  for (const node of graph.nodes) {
    const p = paramsOf(node, ops);
    const of = (blobs: readonly string[]): Shape[] => blobs.map((blob) => shapes.get(blob)!);
    work += opOf(node, ops).macs?.(of(node.inputs), of(node.outputs), p) ?? 0;
    const { kernel_w: width = 1, kernel_h: height = width } = p as Record<string, number>;
    work += Math.abs(width * height) * elementCount(of(node.outputs)[0] ?? []);
  }
  return values <= maxValues && work <= maxWork;
}
