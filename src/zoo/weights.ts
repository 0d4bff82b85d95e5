/**
 * Weights out of a seed for any graph, so that networks whose trained weights are not at hand do real work: activations keep a
 * size of about 1, softmax and detection layers see scores of a realistic spread, int8 uses its range.
 */
import { UnsupportedError } from "../base/errors.ts";
import { Random } from "../base/random.ts";
import { type Graph, inferShapes, match, type Node, opOf } from "../ir/graph.ts";
import { type Op, type ParamValues, resolveParams, type WeightSpec, type WindowAxis } from "../ir/op.ts";
import type { Shape } from "../ir/tensor.ts";
import { f32Weight, type Weight } from "../ir/weight.ts";
import { deconvolution } from "../ops/deconvolution.ts";
import { deconvolutionDepthWise } from "../ops/deconvolution-depthwise.ts";
import { detectionOutput } from "../ops/detection-output.ts";
import { ops } from "../ops/index.ts";
import { prelu } from "../ops/prelu.ts";
import { softmax } from "../ops/softmax.ts";
import { yoloDetectionOutput } from "../ops/yolo-detection-output.ts";
import { yolov3DetectionOutput } from "../ops/yolov3-detection-output.ts";
import { constantRange, type Moments, power, propagate, unit } from "./moments.ts";

type P = ParamValues<Op["params"]> & Record<string, number>;

/**
 * Gives every node of `graph` the weights that its parameters call for, int8 ones with their scales. Equal seeds give equal
 * weights. `inputShapes` are needed where the Input nodes do not name their extents.
 * Throws UnsupportedError for a layer whose weights it cannot invent, GraphError for shapes that do not fit.
 */
export function synthesize(graph: Graph, inputShapes: Record<string, Shape> = {}, seed = 1): void {
  const random = new Random(seed);
  const shapes = inferShapes(graph, ops, inputShapes);
  const readers = graph.consumers();
  const moments = new Map<string, Moments>();
  for (const node of graph.nodes) {
    const op = opOf(node, ops);
    const inputs = node.inputs.map((blob) => moments.get(blob) ?? unit);
    const output = propagate(node, op, inputs);
    for (const blob of node.outputs) moments.set(blob, output);
    const p = resolveParams(op, node.params) as P;
    const gain = Math.max(
      1,
      ...(readers.get(node.outputs[0]) ?? []).map(({ type }) => scoreGains.get(type) ?? 1),
    );
    node.weights = {};
    for (const spec of op.weights?.(p) ?? []) {
      const inputShape = shapes.get(node.inputs[0]) ?? [];
      node.weights[spec.name] = invent({
        inputShape,
        node,
        spec,
        p,
        random,
        input: inputs[0] ?? unit,
        output,
        gain,
      });
    }
  }
  for (const node of graph.nodes) quietHeads(graph, node);
}

/** Scores that go into these layers are spread so much wider that some stand out. */
const scoreGains = new Map([
  [softmax.type, 4],
  [yoloDetectionOutput.type, 2],
  [yolov3DetectionOutput.type, 2],
]);

interface Request {
  readonly node: Node;
  readonly spec: WeightSpec;
  readonly p: P;
  readonly random: Random;
  readonly input: Moments;
  readonly inputShape: Shape;
  readonly output: Moments;
  readonly gain: number;
}

function invent(request: Request): Weight {
  const { node, spec, p, random, input, output } = request;
  const { name, count } = spec;
  const around = (centre: number, spread: number): Weight =>
    f32Weight(random.floats(count, centre - spread, centre + spread));
  switch (name) {
    case "weight":
      return p.int8_scale_term ? int8Weight(request) : linearWeight(request, fanIn(request));
    case "B":
      return linearWeight(request, p.constantK);
    case "q_weight":
    case "k_weight":
    case "v_weight":
    case "out_weight":
      return linearWeight(request, p.embed_dim);
    case "weight_scales":
      return weightScales(request);
    case "bottom_scale":
      return f32Weight([activationScale(input)]);
    case "top_scale":
      return f32Weight([activationScale(output)]);
    case "mean":
      return around(input.mean, 0.3 * Math.sqrt(input.variance));
    case "variance":
      return around(input.variance, 0.3 * input.variance);
    case "slope":
      return match(node, prelu) ? around(0.25, 0.1) : around(1, 0.2);
    case "gamma":
    case "scale":
      return around(1, 0.2);
    case "data":
      return around(0, constantRange);
    default:
      if (!/^(bias|beta|C|.*_bias)$/.test(name)) {
        throw new UnsupportedError(`node ${node.type} "${node.name}": no way to invent its weight ${name}`);
      }
      return around(0, 0.1);
  }
}

/** Inputs that meet in one output value, on average: at a border some of a window's are padding. */
function fanIn({ node, p, inputShape }: Request): number {
  const each = p.weight_data_size / p.num_output;
  const scattered = match(node, deconvolution) ?? match(node, deconvolutionDepthWise);
  if (scattered) return Math.max(1, each / (scattered.stride_w * scattered.stride_h));
  const window = inputShape.length === 3 ? opOf(node, ops).window?.(inputShape, p) : undefined;
  return window ? each * insideShare(window.y) * insideShare(window.x) : each;
}

/** How much of the windows along an axis lies on the input. */
function insideShare({ kernel, stride, dilation, padBefore, input, output }: WindowAxis): number {
  let inside = 0;
  for (let o = 0; o < output; o++) {
    for (let k = 0; k < kernel; k++) {
      const at = o * stride + k * dilation - padBefore;
      if (at >= 0 && at < input) inside++;
    }
  }
  return inside / (kernel * output);
}

/** Uniform weights that give an output variance of 1 (He et al., 2015) are within ± this. */
function bound(input: Moments, count: number): number {
  return Math.sqrt(3 / (count * Math.max(power(input), 1e-6)));
}

function linearWeight({ spec, random, input, gain }: Request, count: number): Weight {
  const limit = gain * bound(input, count);
  return f32Weight(random.floats(spec.count, -limit, limit));
}

/** Greatest weight integer; see Int8Form.isWinograd. */
function weightLimit(node: Node, p: P): number {
  return opOf(node, ops).int8Form?.(p).isWinograd ? 31 : 127;
}

function int8Weight({ node, spec, p, random }: Request): Weight {
  const limit = weightLimit(node, p);
  const data = new Int8Array(spec.count);
  for (let i = 0; i < data.length; i++) data[i] = random.int(-limit, limit);
  return { storage: "i8", data };
}

/** The scales that the integers have if the weights are those of `linearWeight`, a little different for every channel. */
function weightScales(request: Request): Weight {
  const { node, spec, p, random, input, gain } = request;
  const scale = weightLimit(node, p) / (gain * bound(input, fanIn(request)));
  return f32Weight(random.floats(spec.count, 0.85 * scale, 1.15 * scale));
}

/** Values up to five standard deviations from the mean fit the 8 bits. */
function activationScale({ mean, variance }: Moments): number {
  return 127 / (Math.abs(mean) + 5 * Math.sqrt(variance));
}

// ---- detection heads

/** How far the scores for "nothing here" are moved, so that a few dozen boxes are found, not thousands. */
const quietness = { objectness: -4, background: 4 };

function quietHeads(graph: Graph, node: Node): void {
  const producers = graph.producers();
  const yolo = match(node, yoloDetectionOutput) ?? match(node, yolov3DetectionOutput);
  if (yolo) {
    const period = 5 + yolo.num_class;
    for (const blob of node.inputs) shiftBias(producers.get(blob), period, 4, quietness.objectness);
  }
  const ssd = match(node, detectionOutput);
  for (const source of ssd ? scoreSources(producers, node.inputs[1]) : []) {
    shiftBias(source, ssd!.num_class, 0, quietness.background);
  }
}

/** What makes scores, before layers that only move them or turn them into probabilities. */
function scoreSources(producers: ReadonlyMap<string, Node>, blob: string): Node[] {
  const node = producers.get(blob);
  if (!node) return [];
  return opOf(node, ops).moves || match(node, softmax)
    ? node.inputs.flatMap((input) => scoreSources(producers, input))
    : [node];
}

/** Adds to the bias of every `period`-th channel from `first` on. */
function shiftBias(node: Node | undefined, period: number, first: number, by: number): void {
  if (node?.weights.bias?.storage !== "f32") return;
  const { data } = node.weights.bias;
  for (let i = first; i < data.length; i += period) data[i] += by;
}
