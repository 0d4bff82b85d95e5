/**
 * Two models, or one on two backends, blob by blob over a number of pictures: where they begin to differ and by how much.
 * The tool for finding a wrong kernel (engine against reference) and a badly quantized layer (float32 against int8).
 */
import { expectKind } from "../base/arguments.ts";
import { UsageError } from "../base/errors.ts";
import type { Graph, Node } from "../ir/graph.ts";
import type { Tensor } from "../ir/tensor.ts";
import { weightToFloat32 } from "../ir/weight.ts";
import type { Model } from "./model.ts";

/** How a blob of one model differs from that of another. */
export interface BlobComparison {
  readonly blob: string;
  /** The layer of the first model that makes the blob. */
  readonly node: string;
  readonly type: string;
  /** Signal to difference ratio in dB over all pictures; Infinity if equal. */
  readonly sqnr: number;
  readonly cosine: number;
  readonly maxAbs: number;
  /** The channel (outermost index) with the lowest ratio, and that ratio. */
  readonly worstChannel: { readonly channel: number; readonly sqnr: number };
  /** int8 layers: share of the layer's input values beyond what its scale can hold, 0 to 1. */
  readonly clipped?: number;
}

/** Sums over pictures for one blob. */
class Statistics {
  private readonly signal: Float64Array;
  private readonly noise: Float64Array;
  private product = 0;
  private other = 0;
  private maxAbs = 0;
  private clippedCount = 0;
  private inputCount = 0;

  constructor(channels: number) {
    this.signal = new Float64Array(channels);
    this.noise = new Float64Array(channels);
  }

  add(a: Tensor["data"], b: Tensor["data"], factor: number): void {
    const perChannel = a.length / this.signal.length;
    for (let c = 0, i = 0; c < this.signal.length; c++) {
      let [signal, noise] = [0, 0];
      for (const end = i + perChannel; i < end; i++) {
        const y = b[i] * factor;
        const difference = a[i] - y;
        signal += a[i] * a[i];
        noise += difference * difference;
        this.product += a[i] * y;
        this.other += y * y;
        // Not Math.max: a NaN must show.
        if (!(Math.abs(difference) <= this.maxAbs)) this.maxAbs = Math.abs(difference);
      }
      this.signal[c] += signal;
      this.noise[c] += noise;
    }
  }
  addInput(values: Tensor["data"], scale: number): void {
    this.inputCount += values.length;
    for (let i = 0; i < values.length; i++) if (Math.abs(values[i] * scale) >= 127.5) this.clippedCount++;
  }
  result(blob: string, node: Node): BlobComparison {
    const ratio = (signal: number, noise: number): number =>
      noise === 0 ? Number.POSITIVE_INFINITY : 10 * Math.log10(signal / noise);
    const sum = (values: Float64Array): number => values.reduce((total, v) => total + v, 0);
    const channels = Array.from(this.signal, (signal, channel) => ({
      channel,
      sqnr: ratio(signal, this.noise[channel]),
    }));
    const norm = Math.sqrt(sum(this.signal) * this.other);
    return {
      blob,
      node: node.name,
      type: node.type,
      sqnr: ratio(sum(this.signal), sum(this.noise)),
      cosine: norm > 0 ? Math.min(this.product / norm, 1) : 1,
      maxAbs: this.maxAbs,
      worstChannel: channels.reduce((worst, next) => (next.sqnr < worst.sqnr ? next : worst)),
      clipped: this.inputCount ? this.clippedCount / this.inputCount : undefined,
    };
  }
}

/**
 * Compares every blob that both models have under the same name, in the order of the first model's layers. Requantized
 * blobs are compared as the floats that they stand for. `inputs` are input tensors, one a picture.
 * Throws UsageError when the models share no blob or there are no pictures.
 */
export async function compareModels(
  reference: Model,
  candidate: Model,
  inputs: AsyncIterable<Tensor> | Iterable<Tensor>,
): Promise<BlobComparison[]> {
  expectKind("compareModels: reference", reference, "a loaded model");
  expectKind("compareModels: candidate", candidate, "a loaded model");
  expectKind("compareModels: inputs", inputs, "pictures (something to iterate over)");
  const fed = new Set(reference.graph.inputs);
  const theirs = new Set(candidate.graph.nodes.flatMap((node) => node.outputs));
  const shared = reference.graph.nodes
    .flatMap((node) => node.outputs.map((blob) => ({ blob, node })))
    .filter(({ blob }) => !fed.has(blob) && theirs.has(blob));
  if (shared.length === 0) {
    throw new UsageError(
      `${reference.manifest.name} and ${candidate.manifest.name} have no blob of the same name to compare`,
    );
  }
  const blobs = shared.map(({ blob }) => blob);
  const [scalesA, scalesB] = [integerScales(reference.graph), integerScales(candidate.graph)];
  const makers = candidate.graph.producers();
  const statistics = new Map<string, Statistics>();
  for await (const input of inputs) {
    const [a, b] = [
      await reference.run({ [reference.graph.inputs[0]]: input }, blobs),
      await candidate.run({ [candidate.graph.inputs[0]]: input }, blobs),
    ];
    for (const { blob } of shared) {
      const [x, y] = [a[blob], b[blob]];
      if (x.data.length !== y.data.length) continue;
      let entry = statistics.get(blob);
      if (!entry) {
        entry = new Statistics(x.shape[0]);
        statistics.set(blob, entry);
      }
      // In the first model's units: integers stay integers if both are.
      entry.add(x.data, y.data, (scalesA.get(blob) ?? 1) / (scalesB.get(blob) ?? 1));
      const maker = makers.get(blob)!;
      const read = a[maker.inputs[0]] ?? (fed.has(maker.inputs[0]) ? input : undefined);
      if (maker.weights.bottom_scale && read?.data instanceof Float32Array) {
        entry.addInput(read.data, weightToFloat32(maker.weights.bottom_scale)[0]);
      }
    }
  }
  if (statistics.size === 0) throw new UsageError("there is nothing to compare: no picture was given");
  return shared.flatMap(({ blob, node }) => statistics.get(blob)?.result(blob, node) ?? []);
}

/** The scale of every blob that holds requantized integers. */
function integerScales(graph: Graph): Map<string, number> {
  const scales = new Map<string, number>();
  for (const node of graph.nodes) {
    const scale = node.weights.top_scale
      ? weightToFloat32(node.weights.top_scale)[0]
      : node.weights.weight_scales
        ? undefined
        : scales.get(node.inputs[0]);
    if (scale !== undefined) for (const blob of node.outputs) scales.set(blob, scale);
  }
  return scales;
}
