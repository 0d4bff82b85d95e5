/**
 * Bias correction at the outputs. Layer by layer, means are corrected over all positions; but where it matters (where an
 * object is, say) all layers' errors together can still move the outputs one way. This measures that shift between the
 * float and the int8 network, weighted by importance, and takes it out of the biases of the last layers.
 */
import { ExactSums, type WrittenSums } from "../base/exact-sum.ts";
import { type Graph, inferShapes, type Node, opOf, paramsOf } from "../ir/graph.ts";
import type { Blobs, Shape, Tensor } from "../ir/tensor.ts";
import { activationTypes } from "../ops/activations.ts";
import { ops } from "../ops/index.ts";
import type { Corrections } from "./corrections.ts";
import type { OfHeads } from "./focus.ts";
import { quantizableLayers } from "./layers.ts";

/**
 * How much each value of the output `blob` of the float network matters, at least 0, laid out as the values; undefined where
 * there is nothing to say. A sum of weights counts as that many observations.
 */
export type Importance = ((blob: string, outputs: Blobs) => Float32Array | undefined) & {
  readonly of?: OfHeads;
};

/** Observations that a channel needs before its own shift counts as much as the mean of its layer. */
const prior = 8;
/** Observations that a layer needs before its mean counts as much as none: a few objects say little about the others. */
const layerPrior = 8;

interface OutputChannel {
  readonly layer: string;
  readonly channel: number;
}

/** Sums of weights and of weighted errors of all channels as plain data. */
export interface WrittenShift {
  readonly weights: WrittenSums;
  readonly errors: WrittenSums;
}

export class OutputShift {
  private readonly importance: Importance;
  private readonly channels: OutputChannel[] = [];
  /** By output blob: for each value one more than the index in `channels`, or 0. */
  private readonly origin: Map<string, Tensor>;
  /** Of each channel: of weights, and of errors times their weights. */
  private readonly weights: ExactSums;
  private readonly errors: ExactSums;

  /** `inputShapes` are those of all pictures. */
  constructor(graph: Graph, inputShapes: Record<string, Shape>, importance: Importance) {
    this.importance = importance;
    this.origin = this.trace(graph, inferShapes(graph, ops, inputShapes));
    this.weights = new ExactSums(this.channels.length);
    this.errors = new ExactSums(this.channels.length);
  }

  /** Output blobs that can be corrected. */
  get outputs(): string[] {
    return [...this.origin.keys()];
  }

  private trace(graph: Graph, shapes: Map<string, Shape>): Map<string, Tensor> {
    const labels = new Map<string, Tensor>();
    const tail = tailOf(graph);
    for (const node of graph.nodes.filter((candidate) => tail.has(candidate))) {
      if (!opOf(node, ops).moves) {
        const shape = shapes.get(node.outputs[0])!;
        labels.set(node.outputs[0], { shape, data: this.labelChannels(node.name, shape) });
        continue;
      }
      const inputs = node.inputs.map((blob) => labels.get(blob) ?? zeros(shapes.get(blob)!));
      const outputShapes = node.outputs.map((blob) => shapes.get(blob)!);
      const moved = opOf(node, ops).reference(inputs, paramsOf(node, ops), {}, outputShapes);
      for (const [i, blob] of node.outputs.entries()) labels.set(blob, moved[i]);
    }
    const outputs = graph.outputs.filter((blob) => labels.has(blob));
    return new Map(outputs.map((blob) => [blob, labels.get(blob)!]));
  }

  private labelChannels(layer: string, shape: Shape): Float32Array {
    const [count, ...rest] = shape;
    const size = rest.reduce((a, b) => a * b, 1);
    const data = new Float32Array(count * size);
    for (let channel = 0; channel < count; channel++) {
      data.fill(this.channels.push({ layer, channel }), channel * size, (channel + 1) * size);
    }
    return data;
  }

  /** Adds one picture: the outputs of both networks. Pictures of another size than the first are left out. */
  add(float: Blobs, int8: Blobs): void {
    for (const [blob, origin] of this.origin) {
      const { data } = float[blob];
      const other = int8[blob].data;
      const weights = data.length === origin.data.length ? this.importance(blob, float) : undefined;
      if (!weights) continue;
      const sums = this.channels.map(() => ({ weight: 0, error: 0 }));
      for (let i = 0; i < data.length; i++) {
        if (weights[i] === 0 || origin.data[i] === 0) continue;
        const channel = sums[origin.data[i] - 1];
        channel.weight += weights[i];
        channel.error += weights[i] * (data[i] - other[i]);
      }
      for (const [c, { weight, error }] of sums.entries()) {
        this.weights.add(c, weight);
        this.errors.add(c, error);
      }
    }
  }

  merge(other: OutputShift): void {
    this.weights.merge(other.weights);
    this.errors.merge(other.errors);
  }

  write(): WrittenShift {
    return { weights: this.weights.write(), errors: this.errors.write() };
  }

  /** Adds what was written of the same graph, shapes and importance. */
  read({ weights, errors }: WrittenShift): void {
    this.weights.merge(ExactSums.read(weights));
    this.errors.merge(ExactSums.read(errors));
  }

  /** Adds the shifts to the biases of the last layers. */
  apply(corrections: Corrections): void {
    const [weights, errors] = [this.weights.values, this.errors.values];
    const sums = new Map<string, { weight: number; error: number }>();
    for (const [c, { layer }] of this.channels.entries()) {
      const sum = sums.get(layer) ?? { weight: 0, error: 0 };
      sums.set(layer, { weight: sum.weight + weights[c], error: sum.error + errors[c] });
    }
    for (const [c, { layer, channel }] of this.channels.entries()) {
      const corrected = corrections.get(layer);
      const sum = sums.get(layer)!;
      if (!corrected || weights[c] === 0) continue;
      const mean = sum.error / (sum.weight + layerPrior);
      corrected.bias[channel] += (errors[c] + prior * mean) / (weights[c] + prior);
    }
  }
}

function zeros(shape: Shape): Tensor {
  return { shape, data: new Float32Array(shape.reduce((a, b) => a * b, 1)) };
}

/** The last layers without activation, and the movers between them and the outputs that they lead to. */
function tailOf(graph: Graph): Set<Node> {
  const producers = graph.producers();
  const last = new Set(quantizableLayers(graph).map((layer) => layer.node));
  const tail = new Set<Node>();
  const visit = (blob: string): void => {
    const node = producers.get(blob);
    if (!node || tail.has(node)) return;
    if (last.has(node) && paramsOf(node, ops).activation_type === activationTypes.none) tail.add(node);
    else if (opOf(node, ops).moves) {
      tail.add(node);
      for (const input of node.inputs) visit(input);
    }
  };
  for (const blob of graph.outputs) visit(blob);
  return tail;
}
