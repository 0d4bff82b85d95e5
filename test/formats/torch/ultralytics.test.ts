/** Checkpoints of the ultralytics package against what PyTorch computes with them (`scripts/ultralytics-fixtures.py`). */
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { runReference } from "../../../src/engine/reference/index.ts";
import { readTorch, type TorchModel, type TorchOptions } from "../../../src/formats/torch/index.ts";
import { blobsOf } from "../../../src/heads/index.ts";
import type { Head } from "../../../src/heads/manifest.ts";
import type { Graph } from "../../../src/ir/graph.ts";
import { optimize, runPasses } from "../../../src/passes/index.ts";

const folder = path.join(import.meta.dirname, "data/ultralytics");
const data = (name: string): Uint8Array => new Uint8Array(readFileSync(path.join(folder, name)));
const read = (name: string, options?: TorchOptions): TorchModel =>
  readTorch(data(`${name}.pt`), `${name}.pt`, options);
const names = readdirSync(folder)
  .filter((name) => name.endsWith(".pt"))
  .map((name) => name.slice(0, -3));

const size = 64;
/** The script's `picture()`. */
const picture = Float32Array.from({ length: 3 * size * size }, (_, i) => ((i * i * 31 + i * 17) % 251) / 250);

function outputsOf(graph: Graph, heads: readonly Head[]): number[] {
  const outputs = runReference(graph, { images: { shape: [3, size, size], data: picture } });
  return blobsInOrder(heads).flatMap((blob) => Array.from(outputs[blob].data));
}

const blobsInOrder = (heads: readonly Head[]): string[] => blobsOf(heads);

/** Greatest difference, as a part of the values' size where that is above 1. */
const worst = (found: readonly number[], expected: Float32Array): number =>
  found.reduce(
    (most, value, i) => Math.max(most, Math.abs(value - expected[i]) / Math.max(1, Math.abs(expected[i]))),
    0,
  );

describe.each(names)("%s", (name) => {
  const expected = new Float32Array(data(`${name}.f32`).buffer);
  const ways = /10|26/.test(name) ? [false, true] : [false];
  it.each(ways)("computes what PyTorch computes, end to end %s", (endToEnd) => {
    const model = read(name, { endToEnd });
    const half = expected.length / ways.length;
    const part = expected.subarray(endToEnd ? half : 0, endToEnd ? 2 * half : half);
    const found = outputsOf(model.graph, model.heads);
    expect(found.length).toBe(part.length);
    expect(worst(found, part)).toBeLessThan(1e-4);
    const { graph } = model;
    runPasses(graph, optimize);
    expect(graph.nodes.filter(({ type }) => type === "BatchNorm")).toEqual([]);
    expect(worst(outputsOf(graph, model.heads), part)).toBeLessThan(1e-4);
  });
});
