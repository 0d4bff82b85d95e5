/** How much each layer costs when it is int8: the loss at the network's outputs with only that layer quantized. */
import { createSession, type SessionOptions } from "../engine/session.ts";
import type { CalibrationTable } from "../formats/table.ts";
import type { Graph } from "../ir/graph.ts";
import type { Tensor } from "../ir/tensor.ts";
import { quantizableLayers } from "./layers.ts";
import { quantizeGraph, type RewriteOptions } from "./rewrite.ts";

/** Values by blob name. */
export type Blobs = Record<string, Tensor>;
/** How far outputs are from the float ones; 0 when equal, greater when worse. Sums over pictures. */
export type Loss = (float: Blobs, int8: Blobs) => number;

export interface LayerSensitivity {
  name: string;
  /** Loss summed over the pictures. */
  loss: number;
}

export interface SensitivityOptions extends SessionOptions, RewriteOptions {
  /** Default: squared error of all outputs over their energy. */
  loss?: Loss;
  signal?: AbortSignal;
  onProgress?: (done: number, total: number) => void;
}

/** So many neighbours are measured together at first; a network of few layers has no use for it. */
const groupSize = 6;
const fewLayers = 36;
/** Of the groups, those that lose most are then measured layer by layer. */
const closerShare = 0.4;

/** Squared error of all outputs over the energy of the float ones. */
export const relativeError: Loss = (float, int8) => {
  let error = 0;
  let energy = 0;
  for (const [blob, { data }] of Object.entries(float)) {
    const other = int8[blob].data;
    for (let i = 0; i < data.length; i++) {
      error += (data[i] - other[i]) ** 2;
      energy += data[i] ** 2;
    }
  }
  return energy > 0 ? error / energy : error;
};

/**
 * All layers of the table, worst first. `inputs` are a few pictures; each run is of a network with one group of layers or one layer in
 * int8. Layers of groups that hardly matter share the loss of their group.
 */
export async function sensitivity(
  graph: Graph,
  table: CalibrationTable,
  inputs: readonly Blobs[],
  options: SensitivityOptions = {},
): Promise<LayerSensitivity[]> {
  const { loss = relativeError, signal, onProgress, keepFloat = [], ...rest } = options;
  const float = await runAll(graph, inputs, rest);
  const names = quantizableLayers(graph)
    .map((layer) => layer.name)
    .filter((name) => table.activations.has(name));
  const candidates = names.filter((name) => !keepFloat.includes(name));
  const size = candidates.length > fewLayers ? groupSize : 1;
  const groups = Array.from({ length: Math.ceil(candidates.length / size) }, (_, i) =>
    candidates.slice(i * size, (i + 1) * size),
  );
  const closer = size > 1 ? Math.ceil(groups.length * closerShare) : 0;
  let done = 0;
  const lossOf = async (int8: readonly string[]): Promise<number> => {
    signal?.throwIfAborted();
    const alone = { ...rest, keepFloat: names.filter((other) => !int8.includes(other)) };
    const outputs = await runAll(
      quantizeGraph(graph, table, { ...alone, floatStorage: "keep" }),
      inputs,
      rest,
    );
    onProgress?.(++done, groups.length + closer * size);
    return float.reduce((sum, each, i) => sum + loss(each, outputs[i]), 0);
  };
  const measured: { group: string[]; loss: number }[] = [];
  for (const group of groups) measured.push({ group, loss: await lossOf(group) });
  measured.sort(worstFirst);
  const result: LayerSensitivity[] = [];
  for (const [i, { group, loss: together }] of measured.entries()) {
    for (const name of group) {
      result.push({ name, loss: i < closer ? await lossOf([name]) : together / group.length });
    }
  }
  return result.sort(worstFirst);
}

/** A loss that is not finite is the worst. */
function worstFirst(a: { loss: number }, b: { loss: number }): number {
  const [x, y] = [a, b].map(({ loss }) => (Number.isFinite(loss) ? loss : Number.MAX_VALUE));
  return y - x;
}

/** The outputs of a graph for several inputs. */
export async function runAll(
  graph: Graph,
  inputs: readonly Blobs[],
  options: SessionOptions,
): Promise<Blobs[]> {
  const session = await createSession(graph, options);
  try {
    const results: Blobs[] = [];
    for (const input of inputs) results.push(await session.run(input, graph.outputs));
    return results;
  } finally {
    session.close();
  }
}
