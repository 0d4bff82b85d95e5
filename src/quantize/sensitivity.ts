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
  onProgress?: (done: number, total: number) => void;
}

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

/** All layers of the table, worst first. `inputs` are a few pictures; a run of the network is done for each and each layer. */
export async function sensitivity(
  graph: Graph,
  table: CalibrationTable,
  inputs: readonly Blobs[],
  options: SensitivityOptions = {},
): Promise<LayerSensitivity[]> {
  const { loss = relativeError, onProgress, keepFloat = [], ...rest } = options;
  const float = await runAll(graph, inputs, rest);
  const names = quantizableLayers(graph)
    .map((layer) => layer.name)
    .filter((name) => table.activations.has(name));
  const result: LayerSensitivity[] = [];
  for (const name of names.filter((candidate) => !keepFloat.includes(candidate))) {
    const alone = { ...rest, keepFloat: names.filter((other) => other !== name) };
    const int8 = await runAll(quantizeGraph(graph, table, { ...alone, floatStorage: "keep" }), inputs, rest);
    result.push({ name, loss: float.reduce((sum, outputs, i) => sum + loss(outputs, int8[i]), 0) });
    onProgress?.(result.length, names.length);
  }
  return result.sort((a, b) => b.loss - a.loss);
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
