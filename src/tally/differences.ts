/** How blobs of one network differ from those of the same name in another. */
import { ExactSums, type WrittenSums } from "../base/exact-sum.ts";
import type { Graph, Node } from "../ir/graph.ts";
import type { Tensor } from "../ir/tensor.ts";
import { weightToFloat32 } from "../ir/weight.ts";
import type { Output, Subject, Tally } from "./tally.ts";

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

interface WrittenStatistics {
  readonly signal: WrittenSums;
  readonly noise: WrittenSums;
  readonly products: WrittenSums;
  readonly maxAbs: number;
  readonly clipped: number;
  readonly inputs: number;
}

/** Sums over pictures for one blob. */
class Statistics {
  /** Of squares, by channel: of the values, and of the differences. */
  private signal: ExactSums;
  private noise: ExactSums;
  /** Of products with the other's values, and of squares of those. */
  private products = new ExactSums(2);
  private maxAbs = 0;
  private clipped = 0;
  private inputs = 0;

  constructor(channels: number) {
    this.signal = new ExactSums(channels);
    this.noise = new ExactSums(channels);
  }

  add(a: Tensor["data"], b: Tensor["data"], factor: number): void {
    const perChannel = a.length / this.signal.length;
    let [product, other] = [0, 0];
    for (let c = 0, i = 0; c < this.signal.length; c++) {
      let [signal, noise] = [0, 0];
      for (const end = i + perChannel; i < end; i++) {
        const y = b[i] * factor;
        const difference = a[i] - y;
        signal += a[i] * a[i];
        noise += difference * difference;
        product += a[i] * y;
        other += y * y;
        this.widen(Math.abs(difference));
      }
      this.signal.add(c, signal);
      this.noise.add(c, noise);
    }
    this.products.add(0, product);
    this.products.add(1, other);
  }

  private widen(difference: number): void {
    // Not Math.max: a NaN must show, and stay.
    if (!Number.isNaN(this.maxAbs) && !(difference <= this.maxAbs)) this.maxAbs = difference;
  }

  addInput(values: Tensor["data"], scale: number): void {
    this.inputs += values.length;
    for (let i = 0; i < values.length; i++) if (Math.abs(values[i] * scale) >= 127.5) this.clipped++;
  }

  merge(other: Statistics): void {
    this.signal.merge(other.signal);
    this.noise.merge(other.noise);
    this.products.merge(other.products);
    this.widen(other.maxAbs);
    this.clipped += other.clipped;
    this.inputs += other.inputs;
  }

  write(): WrittenStatistics {
    const { maxAbs, clipped, inputs } = this;
    const [signal, noise, products] = [this.signal, this.noise, this.products].map((sums) => sums.write());
    return { signal, noise, products, maxAbs, clipped, inputs };
  }

  static read({ signal, noise, products, maxAbs, clipped, inputs }: WrittenStatistics): Statistics {
    const statistics = new Statistics(signal.counts.length);
    statistics.signal = ExactSums.read(signal);
    statistics.noise = ExactSums.read(noise);
    statistics.products = ExactSums.read(products);
    return Object.assign(statistics, { maxAbs, clipped, inputs });
  }

  result(blob: string, node: Node): BlobComparison {
    const ratio = (signal: number, noise: number): number =>
      noise === 0 ? Number.POSITIVE_INFINITY : 10 * Math.log10(signal / noise);
    const sum = (values: Float64Array): number => values.reduce((total, v) => total + v, 0);
    const [signals, noises] = [this.signal.values, this.noise.values];
    const [product, other] = this.products.values;
    const channels = Array.from(signals, (signal, channel) => ({
      channel,
      sqnr: ratio(signal, noises[channel]),
    }));
    const norm = Math.sqrt(sum(signals) * other);
    return {
      blob,
      node: node.name,
      type: node.type,
      sqnr: ratio(sum(signals), sum(noises)),
      cosine: norm > 0 ? Math.min(product / norm, 1) : 1,
      maxAbs: this.maxAbs,
      worstChannel: channels.reduce((worst, next) => (next.sqnr < worst.sqnr ? next : worst)),
      clipped: this.inputs ? this.clipped / this.inputs : undefined,
    };
  }
}

/** The blobs that both have under one name, with the layers of the first that make them. */
function sharedBlobs(reference: Graph, candidate: Graph): { blob: string; node: Node }[] {
  const fed = new Set(reference.inputs);
  const theirs = new Set(candidate.nodes.flatMap((node) => node.outputs));
  return reference.nodes
    .flatMap((node) => node.outputs.map((blob) => ({ blob, node })))
    .filter(({ blob }) => !fed.has(blob) && theirs.has(blob));
}

export class Differences<P> implements Tally<P> {
  readonly kind = "differences";
  readonly borrows = true;
  readonly settings = undefined;
  readonly graphs: readonly [reference: Subject<P>, candidate: Subject<P>];
  readonly blobs: readonly (readonly string[])[];
  private readonly shared: readonly { readonly blob: string; readonly node: Node }[];
  private readonly scales: readonly [Map<string, number>, Map<string, number>];
  private readonly statistics = new Map<string, Statistics>();

  constructor(reference: Subject<P>, candidate: Subject<P>) {
    this.graphs = [reference, candidate];
    this.shared = sharedBlobs(reference.graph, candidate.graph);
    const blobs = this.shared.map(({ blob }) => blob);
    this.blobs = [blobs, blobs];
    this.scales = [integerScales(reference.graph), integerScales(candidate.graph)];
  }

  /** Whether there is anything to compare. */
  get isEmpty(): boolean {
    return this.shared.length === 0;
  }

  add([{ values: a, inputs }, { values: b }]: readonly Output[]): void {
    const [scalesA, scalesB] = this.scales;
    const makers = this.graphs[1].graph.producers();
    for (const { blob } of this.shared) {
      const [x, y] = [a[blob], b[blob]];
      if (x.data.length !== y.data.length) continue;
      const entry = this.statistics.get(blob) ?? new Statistics(x.shape[0]);
      this.statistics.set(blob, entry);
      // In the first network's units: integers stay integers if both are.
      entry.add(x.data, y.data, (scalesA.get(blob) ?? 1) / (scalesB.get(blob) ?? 1));
      const maker = makers.get(blob)!;
      const read = a[maker.inputs[0]] ?? inputs[maker.inputs[0]];
      if (maker.weights.bottom_scale && read?.data instanceof Float32Array) {
        entry.addInput(read.data, weightToFloat32(maker.weights.bottom_scale)[0]);
      }
    }
  }

  merge(other: Differences<P>): void {
    for (const [blob, statistics] of other.statistics) {
      const known = this.statistics.get(blob);
      if (known) known.merge(statistics);
      else this.statistics.set(blob, statistics);
    }
  }

  write(): Record<string, WrittenStatistics> {
    return Object.fromEntries([...this.statistics].map(([blob, each]) => [blob, each.write()]));
  }

  read(written: Record<string, WrittenStatistics>): this {
    const like = new Differences(...this.graphs);
    for (const [blob, each] of Object.entries(written)) like.statistics.set(blob, Statistics.read(each));
    return like as this;
  }

  /** In the order of the first network's layers. */
  result(): BlobComparison[] {
    return this.shared.flatMap(({ blob, node }) => this.statistics.get(blob)?.result(blob, node) ?? []);
  }
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
