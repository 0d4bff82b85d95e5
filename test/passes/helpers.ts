/** Graphs as text, random weights, and the comparison of two graphs by running them. */
import { expect } from "vitest";
import { Random } from "../../src/base/random.ts";
import { runReference } from "../../src/engine/reference/index.ts";
import { parseParam, printParam } from "../../src/formats/ncnn/index.ts";
import { type Graph, paramsOf } from "../../src/ir/graph.ts";
import { elementCount, type Shape, type Tensor } from "../../src/ir/tensor.ts";
import { f32Weight } from "../../src/ir/weight.ts";
import { ops } from "../../src/ops/index.ts";
import type { Pass } from "../../src/passes/index.ts";
import { runPasses } from "../../src/passes/index.ts";

/** A graph from `.param` lines without the header, with random weights. Split lines may be left out. */
export function graphOf(text: string, seed = 1): Graph {
  const lines = text.trim().split("\n");
  const graph = parseParam(`7767517\n${lines.length} 1000\n${lines.join("\n")}\n`);
  fillWeights(graph, seed);
  return graph;
}

/** Weights of a sensible size: variances and factors around 1, kernels scaled down by their length. */
export function fillWeights(graph: Graph, seed: number): void {
  const random = new Random(seed);
  for (const node of graph.nodes) {
    for (const { name, count } of ops.get(node.type)?.weights?.(paramsOf(node, ops)) ?? []) {
      const isPositive = [
        "variance",
        "slope",
        "scale",
        "weight_scales",
        "bottom_scale",
        "top_scale",
      ].includes(name);
      node.weights[name] = f32Weight(isPositive ? random.floats(count, 0.5, 2) : random.floats(count, -1, 1));
    }
  }
}

/** The `.param` lines without the header and without repeated spaces; Splits have their usual names. */
export function textOf(graph: Graph): string {
  const copy = graph.clone();
  copy.splits.clear();
  const body = printParam(copy).trim().split("\n").slice(2);
  return body.map((line) => line.replaceAll(/ +/g, " ")).join("\n");
}

export function randomInputs(shapes: Record<string, Shape>, seed = 7): Record<string, Tensor> {
  const random = new Random(seed);
  return Object.fromEntries(
    Object.entries(shapes).map(([name, shape]) => [
      name,
      { shape, data: random.floats(elementCount(shape)) },
    ]),
  );
}

/** Largest difference of two outputs, relative to the largest value. */
export function difference(a: Tensor, b: Tensor): number {
  expect(b.shape).toEqual(a.shape);
  let most = 0;
  let size = 1e-6;
  for (let i = 0; i < a.data.length; i++) {
    most = Math.max(most, Math.abs(a.data[i] - b.data[i]));
    size = Math.max(size, Math.abs(a.data[i]));
  }
  expect(most).not.toBeNaN();
  return most / size;
}

export type Outputs = Record<string, Tensor>;

export const outputsOf = (graph: Graph, shapes: Record<string, Shape>): Outputs =>
  runReference(graph, randomInputs(shapes));

/** The graph has exactly these outputs, by name, shape and value. */
export function expectOutputs(
  graph: Graph,
  expected: Outputs,
  shapes: Record<string, Shape>,
  tolerance = 1e-5,
): void {
  expect(new Set(graph.outputs)).toEqual(new Set(Object.keys(expected)));
  const found = outputsOf(graph, shapes);
  for (const [blob, value] of Object.entries(expected)) {
    expect(difference(value, found[blob]), blob).toBeLessThan(tolerance);
  }
}

/** Both graphs have the same outputs. */
export function expectSame(
  before: Graph,
  after: Graph,
  shapes: Record<string, Shape>,
  tolerance?: number,
): void {
  expectOutputs(after, outputsOf(before, shapes), shapes, tolerance);
}

/**
 * Runs one pass once on `from` and compares the text with `to` and, where `shape` is given, the outputs for an input of that
 * shape. Returns the near misses.
 */
export function check(pass: Pass, from: string, to: string, shape?: Shape, tolerance?: number): string[] {
  const before = graphOf(from);
  const after = before.clone();
  const misses: string[] = [];
  const [{ rewrites }] = runPasses(after, [pass], (line) => misses.push(line), 1);
  const expected = textOf(graphOf(to));
  expect(textOf(after)).toBe(expected);
  expect(rewrites > 0).toBe(textOf(before) !== expected);
  expect(pass.run(after), "second run").toBe(0);
  expect(textOf(after)).toBe(expected);
  if (shape)
    expectSame(before, after, Object.fromEntries(before.inputs.map((name) => [name, shape])), tolerance);
  return misses;
}
