/** How much each layer costs when it is int8: the loss at the network's outputs with only that layer quantized. */
import type { SessionOptions } from "../engine/session.ts";
import type { CalibrationTable } from "../formats/table.ts";
import type { Graph } from "../ir/graph.ts";
import type { Blobs } from "../ir/tensor.ts";
import {
  type Loss,
  quantizableLayers,
  quantizeGraph,
  type RewriteOptions,
  relativeError,
} from "../quantize/index.ts";
import { iteratedPictures } from "../tally/pictures.ts";
import { run } from "../tally/run.ts";
import { tensorSubject } from "../tally/subjects.ts";
import type { Numbered, Observer, Output, Subject } from "../tally/tally.ts";

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

/** The outputs of a network for a few pictures, by their numbers. */
export class Outputs implements Observer<Blobs> {
  readonly graphs: readonly [Subject<Blobs>];
  readonly blobs: readonly [readonly string[]];
  readonly values: Blobs[] = [];

  constructor(subject: Subject<Blobs>) {
    this.graphs = [subject];
    this.blobs = [subject.graph.outputs];
  }

  add([{ values }]: readonly Output[], { index }: Numbered<Blobs>): void {
    this.values[index] = values;
  }
}

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
  const pictures = iteratedPictures(() => inputs);
  const { threads, backend } = rest;
  const float = new Outputs(tensorSubject(graph, { backend }));
  await run([float], pictures, { threads, signal });
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
    const int8Graph = quantizeGraph(graph, table, { ...alone, floatStorage: "keep" });
    const outputs = new Outputs(tensorSubject(int8Graph, { backend }));
    await run([outputs], pictures, { threads, signal });
    onProgress?.(++done, groups.length + closer * size);
    return float.values.reduce((sum, each, i) => sum + loss(each, outputs.values[i]), 0);
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
