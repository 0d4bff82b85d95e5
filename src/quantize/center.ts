/**
 * Centring: moves the values of a blob so that they lie around zero. ncnn's int8 is symmetric, so that what ReLU makes uses
 * half of the integers only; shifted by half its range it uses all. The shift goes into the bias of the convolution that makes
 * a channel (ReLU becomes a clip) and, since c·w is a constant, into the biases of those that read it. Behind activations that
 * are no clip (SiLU) it goes into the bias of the Scale that equalization has put there, or a subtraction follows. The float function of the graph does not change, up to rounding.
 *
 * Where windows reach over the edge, zeros must be padded with what zero has become. Native ncnn pads int8 right only with
 * numbers that are not negative, so that such channels are negated too: x becomes c − x, and zero becomes c. Behind max pooling
 * they cannot be; depthwise layers, which are cheap, stay float there (`rewrite.ts`), and for others nothing is shifted.
 */
import { type Activation, unbounded } from "../base/activation.ts";
import { type Graph, inferShapes, match, type Node, opOf, paramsOf } from "../ir/graph.ts";
import type { Shape } from "../ir/tensor.ts";
import { f32Weight, weightToFloat32 } from "../ir/weight.ts";
import { activationTypes, fusedActivation } from "../ops/activations.ts";
import { binaryOp, binaryOpTypes } from "../ops/binary-op.ts";
import { ops } from "../ops/index.ts";
import { scale } from "../ops/scale.ts";
import { channelWeights } from "./channel-weights.ts";
import {
  ChannelClasses,
  insertBehind,
  isScalable,
  movedChannels,
  type Passage,
  traceChannels,
} from "./channels.ts";
import { quantizableLayers } from "./layers.ts";
import type { Ranges } from "./ranges.ts";
import { setParams } from "./rewrite.ts";

/** x becomes sign·(x − center). */
interface Shift {
  readonly sign: 1 | -1;
  readonly center: number;
}
const none: Shift = { sign: 1, center: 0 };

/** Steps of int8 between the ends of a centred range. */
const steps = 254;

class Centring {
  readonly classes = new ChannelClasses();
  readonly channels: Map<string, number[]>;
  /** Convolutions whose windows reach over the edge. */
  private readonly paddedNodes = new Set<Node>();
  /** Layers with an activation, or the Scale behind one, by a channel that they make. */
  readonly bent = new Map<number, Node>();
  private readonly padded: number[] = [];
  private readonly dense: number[] = [];
  private readonly ordered: number[] = [];

  constructor(graph: Graph, shapes: Map<string, Shape>) {
    this.channels = traceChannels(graph, shapes, this.classes, (passage) => this.through(passage));
  }

  private through(passage: Passage): number[][] | undefined {
    const { node, inputs, outputShapes } = passage;
    const { classes } = this;
    if (isScalable(node)) {
      this.read(passage);
      const made = classes.fresh(outputShapes[0][0]);
      if (activationOf(node)) this.bend(node, made);
      return [made];
    }
    const op = opOf(node, ops);
    const isBent = match(node, scale)?.bias_term || op.activation?.(paramsOf(node, ops));
    if (isBent && inputs.length === 1) {
      classes.pin(inputs[0]);
      const made = classes.fresh(outputShapes[0][0]);
      this.bend(node, made);
      return [made];
    }
    const affine = op.affine?.(paramsOf(node, ops));
    if (affine && inputs.length === 1) {
      if (affine === "increasing") this.ordered.push(...inputs[0]);
      return [inputs[0]];
    }
    return op.moves ? movedChannels(passage) : undefined;
  }

  /** Behind an activation all channels are shifted alike: by one pair of bounds, or one number. */
  private bend(node: Node, made: readonly number[]): void {
    this.classes.join(made);
    this.bent.set(made[0], node);
  }

  /** A convolution pads all channels with one number. */
  private read({ node, inputs, inputShapes }: Passage): void {
    const p = paramsOf(node, ops);
    if (p.pad_value !== 0) this.classes.pin(inputs[0]);
    const { x, y } = opOf(node, ops).window!(inputShapes[0], p);
    if ([x, y].every(({ padBefore, padAfter }) => padBefore === 0 && padAfter === 0)) return;
    this.paddedNodes.add(node);
    this.classes.join(inputs[0]);
    this.padded.push(inputs[0][0]);
    if (p.group !== inputs[0].length) this.dense.push(inputs[0][0]);
  }

  isPadded(node: Node): boolean {
    return this.paddedNodes.has(node);
  }

  /** Classes of which must be known: that they come from an activation; that windows read them with their edges, and dense ones do; that maxima are taken. */
  readonly demands = () => {
    const roots = (ids: readonly number[]): Set<number> => new Set(ids.map((id) => this.classes.find(id)));
    return {
      bent: roots([...this.bent.keys()]),
      padded: roots(this.padded),
      dense: roots(this.dense),
      ordered: roots(this.ordered),
    };
  };
}

/**
 * A copy of `graph` that computes the same, with shifted channels. `ranges` are of the inputs of its convolutions; `inputShapes` is
 * any input size that the graph runs at. Also tells how many channels were shifted.
 */
export function center(
  graph: Graph,
  ranges: Ranges,
  inputShapes: Record<string, Shape>,
): { graph: Graph; changed: number } {
  const out = graph.clone();
  const centring = new Centring(out, inferShapes(out, ops, inputShapes));
  const shifts = chooseShifts(out, centring, ranges);
  const shift = (id: number): Shift => shifts.get(centring.classes.find(id)) ?? none;
  const bent = new Map([...centring.bent].map(([id, node]) => [node, shift(id)]));
  for (const node of out.nodes.filter(isScalable)) {
    const isBehind = bent.has(node) && !boundsOf(activationOf(node)!);
    const [input, output] = [node.inputs[0], node.outputs[0]].map((blob) =>
      centring.channels.get(blob)!.map(shift),
    );
    shiftLayer(node, input, isBehind ? output.map(() => none) : output, centring.isPadded(node));
  }
  for (const [node, of] of bent) if (of !== none) shiftActivation(out, node, of);
  return { graph: out, changed: shifts.size };
}

/** By class. */
function chooseShifts(
  graph: Graph,
  { classes, channels, demands }: Centring,
  ranges: Ranges,
): Map<number, Shift> {
  const { bent, padded, ordered, dense } = demands();
  const weights = channelWeights(quantizableLayers(graph), ranges);
  // Of all blobs that a class is in, the least middle of a range: each of them then needs no more than half of its own.
  const middles = new Map<number, number>();
  const means = new Map<number, number[]>();
  for (const blob of new Set(graph.nodes.filter(isScalable).map((node) => node.inputs[0]))) {
    const seen = ranges.get(blob);
    if (!seen) continue;
    const roots = channels.get(blob)!.map((id) => classes.find(id));
    const low = Math.min(...roots.map((root, c) => (bent.has(root) ? seen.min(c) : 0)));
    const oneSided = [...roots.keys()].filter((c) => bent.has(roots[c]));
    const high = seen.threshold(oneSided, { levels: steps, weights: weights.get(blob) });
    for (const [c, root] of roots.entries()) {
      // Where both sides are used already, there is little to gain.
      const middle = -low < high / 3 ? (high + low) / 2 : 0;
      middles.set(root, Math.min(middles.get(root) ?? middle, middle));
      means.set(root, [...(means.get(root) ?? []), seen.mean(c)]);
    }
  }
  const shifts = new Map<number, Shift>();
  for (const [root, middle] of middles) {
    const isNegated = padded.has(root) && !ordered.has(root);
    const cannotPad = padded.has(root) && (!bent.has(root) || (!isNegated && dense.has(root)));
    if (classes.isPinned(root) || cannotPad) continue;
    const list = means.get(root)!;
    const value = short(bent.has(root) ? middle : list.reduce((a, b) => a + b, 0) / list.length);
    if (value !== 0) shifts.set(root, { sign: isNegated ? -1 : 1, center: value });
  }
  return shifts;
}

/** With few digits, so that files hold it exactly. */
const short = (value: number): number => Math.fround(Number(value.toPrecision(4)));

function shiftLayer(node: Node, input: readonly Shift[], output: readonly Shift[], isPadded: boolean): void {
  if ([...input, ...output].every((shift) => shift === none)) return;
  const p = paramsOf(node, ops);
  const { group = 1 } = p as { group?: number };
  const [groupIn, groupOut] = [input.length / group, output.length / group];
  const weights = weightToFloat32(node.weights.weight).slice();
  const bias = node.weights.bias
    ? Float64Array.from(weightToFloat32(node.weights.bias))
    : new Float64Array(output.length);
  const kernel = weights.length / (output.length * groupIn);
  for (let k = 0, at = 0; k < output.length; k++) {
    const first = Math.floor(k / groupOut) * groupIn;
    for (let c = 0; c < groupIn; c++) {
      const { sign, center } = input[first + c];
      for (let i = 0; i < kernel; i++, at++) {
        bias[k] += weights[at] * center;
        weights[at] *= sign * output[k].sign;
      }
    }
    bias[k] = output[k].sign * (bias[k] - output[k].center);
  }
  node.weights.weight = f32Weight(weights);
  node.weights.bias = f32Weight(Float32Array.from(bias));
  setParams(node, {
    bias_term: 1,
    ...(isPadded && input[0] !== none && { pad_value: -input[0].sign * input[0].center }),
  });
}

/** Shifts what an activation makes: by its bounds where it is a clip, by the bias of its Scale, else by a subtraction behind it. */
function shiftActivation(graph: Graph, node: Node, { sign, center }: Shift): void {
  const fused = isScalable(node) ? activationOf(node) : undefined;
  const bounds = fused && boundsOf(fused);
  if (bounds) {
    const ends = bounds.map((bound) =>
      Math.abs(bound) === unbounded ? sign * bound : sign * (bound - center),
    );
    setParams(node, {
      activation_type: activationTypes.clip,
      activation_params: ends.sort((a, b) => a - b),
    });
    return;
  }
  if (match(node, scale)) {
    node.weights = {
      scale: f32Weight(weightToFloat32(node.weights.scale).map((factor) => sign * factor)),
      bias: f32Weight(weightToFloat32(node.weights.bias).map((bias) => sign * (bias - center))),
    };
    return;
  }
  insertBehind(graph, node, "_uncentred", {
    type: binaryOp.type,
    params: { op_type: binaryOpTypes.indexOf(sign > 0 ? "sub" : "rsub"), with_scalar: 1, b: center },
    weights: {},
  });
}

/** The activation among a convolution's own parameters. */
const activationOf = (node: Node): Activation | undefined =>
  fusedActivation(paramsOf(node, ops) as Parameters<typeof fusedActivation>[0]);

function boundsOf(activation: Activation): [number, number] | undefined {
  if (activation.kind === "relu") return [0, unbounded];
  return activation.kind === "clip" ? [activation.min, activation.max] : undefined;
}
