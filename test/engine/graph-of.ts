/** Graphs from `.param` lines with random weights, and inputs for them. */
import { Random } from "../../src/base/random.ts";
import { parseParam } from "../../src/formats/ncnn/index.ts";
import { type Graph, type Node, opOf, paramsOf } from "../../src/ir/graph.ts";
import type { WeightSpec } from "../../src/ir/op.ts";
import { elementCount, type Shape, type Tensor } from "../../src/ir/tensor.ts";
import { f32Weight, type Weight } from "../../src/ir/weight.ts";
import { ops } from "../../src/ops/index.ts";

export interface WeightOptions {
  readonly seed?: number;
  /** int8 layers have float weights, to be quantized at load. */
  readonly floatWeights?: boolean;
  /** Integer weights are at most this large; 127 when absent. */
  readonly weightLimit?: number;
}

/**
 * A graph from `.param` lines without header and Input layers, with one Input for each of `shapes`. Layers with weights may
 * leave out weight_data_size. Weights keep blobs at about unit variance; int8 scales let a few values saturate.
 */
export function graphOf(text: string, shapes: Record<string, Shape>, options: WeightOptions = {}): Graph {
  const inputs = Object.entries(shapes).map(([blob, shape]) => {
    const ids = shape.length === 1 ? [0] : shape.length === 2 ? [1, 0] : [2, 1, 0];
    return `Input ${blob} 0 1 ${blob} ${shape.map((extent, i) => `${ids[i]}=${extent}`).join(" ")}`;
  });
  const lines = [...inputs, ...text.trim().split("\n")].map((line) => line.trim());
  const graph = parseParam(`7767517\n${lines.length} 1000\n${lines.join("\n")}\n`);
  sizeWeights(graph, shapes);
  const random = new Random(options.seed ?? 1);
  for (const node of graph.nodes) {
    for (const spec of opOf(node, ops).weights?.(paramsOf(node, ops)) ?? []) {
      node.weights[spec.name] = makeWeight(node, spec, random, options);
    }
  }
  return graph;
}

/** Fills in the weight_data_size of every layer that has none. */
function sizeWeights(graph: Graph, inputs: Record<string, Shape>): void {
  const shapes = new Map(Object.entries(inputs));
  for (const node of graph.nodes) {
    if (node.type === "Input") continue;
    const op = opOf(node, ops);
    const from = node.inputs.map((blob) => shapes.get(blob)!);
    if ("weight_data_size" in op.params && !node.params.weight_data_size) {
      const p = paramsOf(node, ops) as Record<string, number>;
      const [channels] = from[0];
      const perOutput =
        node.type === "InnerProduct"
          ? from[0].length === 2
            ? from[0][1]
            : elementCount(from[0])
          : (channels / (p.group ?? 1)) * p.kernel_w * p.kernel_h;
      node.params.weight_data_size = p.num_output * perOutput;
    }
    op.shape(from, paramsOf(node, ops), node.outputs.length).forEach((shape, i) => {
      shapes.set(node.outputs[i], shape);
    });
  }
}

const positive = ["variance", "slope"];

function makeWeight(node: Node, { name, count }: WeightSpec, random: Random, options: WeightOptions): Weight {
  const p = paramsOf(node, ops) as Record<string, number>;
  const fan = p.weight_data_size / p.num_output;
  const limit = Math.sqrt(3 / fan);
  const most = options.weightLimit ?? 127;
  switch (name) {
    case "weight":
      if (!p.int8_scale_term || options.floatWeights) return f32Weight(random.floats(count, -limit, limit));
      return { storage: "i8", data: Int8Array.from({ length: count }, () => random.int(-most, most)) };
    case "weight_scales":
      return f32Weight(random.floats(count, 0.7, 1.4).map((v) => (v * most) / limit));
    case "bottom_scale":
    case "top_scale":
      // Some layers agree on a scale, some do not.
      return f32Weight([random.pick([32, 47.3, random.uniform(20, 60)])]);
    case "scale":
      return f32Weight(
        random.floats(count, ...((node.type === "Quantize" ? [20, 60] : [0.5, 2]) as [number, number])),
      );
    default:
      if (positive.includes(name)) return f32Weight(random.floats(count, 0.5, 2));
      return f32Weight(random.floats(count, -0.5, 0.5));
  }
}

export function randomInputs(shapes: Record<string, Shape>, seed = 7, size = 1): Record<string, Tensor> {
  const random = new Random(seed);
  return Object.fromEntries(
    Object.entries(shapes).map(([blob, shape]) => {
      const data = Float32Array.from({ length: elementCount(shape) }, () => random.normal() * size);
      return [blob, { shape, data }];
    }),
  );
}
