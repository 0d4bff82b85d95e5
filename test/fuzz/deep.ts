/** What was read is used: checked, rewritten, written, read again, and run where that costs next to nothing. */
import { NcnnkitError, UnsupportedError } from "../../src/base/errors.ts";
import type { Random } from "../../src/base/random.ts";
import { type BackendName, createSession } from "../../src/engine/session.ts";
import {
  parseBinaryParam,
  printParam,
  readNcnn,
  writeBinaryParam,
  writeWeights,
} from "../../src/formats/ncnn/index.ts";
import { convert, modelFiles, type OpenedModel, open } from "../../src/index.ts";
import { type Graph, inferShapes, opOf, paramsOf, verify } from "../../src/ir/graph.ts";
import { elementCount, type Shape, sameShape, type Tensor } from "../../src/ir/tensor.ts";
import { ops } from "../../src/ops/index.ts";
import {
  ncnnoptimizePasses,
  optimizePasses,
  type Pass,
  runPasses,
  storeFp16,
} from "../../src/passes/index.ts";

/** Something that must never be: thrown by the checks here, and no error of the kit. */
export class Broken extends Error {}

/** Sets of passes, and whether the outputs stay what they were (float16 storage rounds weights). */
const passSets: readonly (readonly [make: () => readonly Pass[], isExact: boolean])[] = [
  [optimizePasses, true],
  [() => ncnnoptimizePasses(), true],
  [() => optimizePasses({ fp16: true }), false],
  [() => [storeFp16], false],
];

/** A graph with weights: passes, both printed forms and back, a run before and after. */
export async function useGraph(graph: Graph, random: Random): Promise<void> {
  verify(graph, ops);
  const copy = graph.clone();
  const [makePasses, isExact] = random.pick(passSets);
  runPasses(copy, makePasses());
  const text = printParam(copy);
  const bin = writeWeights(copy);
  const again = readBack(() => readNcnn(text, bin));
  if (printParam(again) !== text) throw new Broken(`written and read again it is another graph:\n${text}`);
  if (random.int(0, 3) === 0) {
    const binary = writeBinaryParam(copy);
    const nameless = readBack(() => parseBinaryParam(binary));
    if (nameless.nodes.length !== again.nodes.length) throw new Broken("the binary form has other layers");
  }
  await runGraph(copy, inputShapes(copy), random, isExact ? graph : undefined);
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
const runEvery = 3;
const maxValues = 100_000;
const maxWork = 2_000_000;

/** Runs on both backends, which must agree; `before` is the graph that it was made of, which must give the same. */
async function runGraph(
  graph: Graph,
  inputs: Record<string, Shape>,
  random: Random,
  before?: Graph,
): Promise<void> {
  const shapes = inferShapes(graph, ops, inputs);
  if (random.int(1, runEvery) > 1 || !isCheap(graph, shapes)) return;
  const feeds: Record<string, Tensor> = {};
  for (const blob of graph.inputs) {
    const shape = shapes.get(blob)!;
    feeds[blob] = { shape, data: random.floats(elementCount(shape)) };
  }
  const found = await outputsOf(graph, feeds, "wasm");
  if (!hasSaneNumbers(graph)) return;
  const expected = await outputsOf(graph, feeds, "reference");
  compare(found, expected, "wasm and reference");
  if (before)
    compare(expected, await outputsOf(before, feeds, "reference"), "the graph after and before its passes");
}

/** Whether float32 sums of the graph's numbers mean something, and its int8 scales stay within what 32 bits hold. */
function hasSaneNumbers(graph: Graph): boolean {
  const isSane = (value: unknown): boolean => typeof value !== "number" || Math.abs(value) <= largest;
  return graph.nodes.every(
    ({ params, weights }) =>
      Object.values(params).flat().every(isSane) &&
      Object.entries(weights).every(
        ([name, { data }]) =>
          data.every(isSane) && (!name.includes("scale") || data.every((scale) => scale > 1 / largest)),
      ),
  );
}

type Outputs = Record<string, Tensor> | NcnnkitError;

async function outputsOf(
  graph: Graph,
  feeds: Record<string, Tensor>,
  backend: BackendName,
): Promise<Outputs> {
  const session = await createSession(graph, { backend });
  try {
    return await session.run(feeds);
  } catch (error) {
    if (error instanceof NcnnkitError) return error;
    throw error;
  } finally {
    session.close();
  }
}

/** Relative to the largest value; sums are made in another order, and activations approximated. */
const tolerance = 5e-3;
/** Beyond this, float32 sums of numbers that cancel say nothing. */
const largest = 1e6;

function compare(found: Outputs, expected: Outputs, what: string): void {
  if (expected instanceof NcnnkitError) throw expected;
  // What wasm does not do it says, and the reference does it.
  if (found instanceof UnsupportedError) return;
  if (found instanceof NcnnkitError) throw new Broken(`${what}: only one refuses`, { cause: found });
  for (const [blob, { shape, data }] of Object.entries(expected)) {
    if (elementCount(shape) !== data.length)
      throw new Broken(`output ${blob}: ${shape} of ${data.length} values`);
    if (!found[blob]) throw new Broken(`${what}: output ${blob} is only in one`);
    if (!sameShape(found[blob].shape, shape))
      throw new Broken(`${what}: ${blob} ${found[blob].shape} and ${shape}`);
    let top = 1;
    let worst = 0;
    for (let i = 0; i < data.length; i++) {
      const difference = Math.abs(found[blob].data[i] - data[i]);
      // An average over nothing is NaN on one side and 0 on the other.
      if (!Number.isFinite(difference)) continue;
      top = Math.max(top, Math.abs(data[i]));
      worst = Math.max(worst, difference);
    }
    if (top < largest && worst > tolerance * top) {
      throw new Broken(`${what}: ${blob} differs by ${worst} of ${top}`);
    }
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
