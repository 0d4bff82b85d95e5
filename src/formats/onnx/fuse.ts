/**
 * What exporters spell in several nodes and ncnn has as one layer: SiLU, hard-swish, GELU, Mish, LayerNorm, Focus and
 * so on become one node each, of the domain "ncnn" where ONNX has none. Works on a simplified model; names of results
 * stay. Every rule reads like the equation that it matches.
 */

import { sliceArguments, sliceRange } from "./arguments.ts";
import { transposeTensor } from "./evaluate.ts";
import type { OnnxShape } from "./infer.ts";
import {
  float,
  floatAttribute,
  int,
  intAttribute,
  ints,
  intsAttribute,
  makeTensor,
  type OnnxAttribute,
  type OnnxGraph,
  type OnnxModel,
  type OnnxNode,
  opsetOf,
  tensorNumbers,
} from "./model.ts";
import { removeDead } from "./simplify.ts";

/** Domain of nodes that stand for an ncnn layer. */
export const ncnnDomain = "ncnn";

/** Rewrites in place and returns how often each pattern was found. */
export function fusePatterns(model: OnnxModel, shapes: Map<string, OnnxShape>): Map<string, number> {
  const counts = new Map<string, number>();
  // Inner patterns first: a hard-swish may contain a hard-sigmoid, a GroupNorm an InstanceNorm.
  for (const rule of rules) {
    const view = new View(model.graph, shapes, opsetOf(model));
    for (const node of model.graph.nodes) {
      const found = node.domain === "" ? rule(node, view) : undefined;
      if (found) counts.set(found, (counts.get(found) ?? 0) + 1);
    }
    removeDead(model.graph);
  }
  return counts;
}

class View {
  readonly graph: OnnxGraph;
  readonly shapes: Map<string, OnnxShape>;
  readonly opset: number;
  private readonly producers = new Map<string, OnnxNode>();
  private readonly readers = new Map<string, OnnxNode[]>();
  private readonly outputs: ReadonlySet<string>;

  constructor(graph: OnnxGraph, shapes: Map<string, OnnxShape>, opset: number) {
    this.graph = graph;
    this.shapes = shapes;
    this.opset = opset;
    this.outputs = new Set(graph.outputs.map((info) => info.name));
    for (const node of graph.nodes) {
      for (const name of node.outputs) this.producers.set(name, node);
      for (const name of node.inputs) {
        const list = this.readers.get(name);
        if (list) list.push(node);
        else this.readers.set(name, [node]);
      }
    }
  }
  /** The node of type `opType` that produces a value. */
  producer(name: string | undefined, opType: string): OnnxNode | undefined {
    const node = this.producers.get(name ?? "");
    return node?.opType === opType ? node : undefined;
  }
  readersOf(name: string): readonly OnnxNode[] {
    return this.readers.get(name) ?? [];
  }
  isOutput(name: string): boolean {
    return this.outputs.has(name);
  }
  list(name: string | undefined): number[] | undefined {
    const tensor = this.graph.initializers.get(name ?? "");
    return tensor && Array.from(tensorNumbers(tensor));
  }
  /** The number of a constant of one element. */
  scalar(name: string | undefined): number | undefined {
    const tensor = this.graph.initializers.get(name ?? "");
    return tensor?.data.length === 1 ? tensorNumbers(tensor)[0] : undefined;
  }
  /** For a commutative node: its variable input and the number that is the other. */
  withScalar(node: OnnxNode | undefined): { x: string; value: number } | undefined {
    if (!node) return undefined;
    const [a, b] = node.inputs;
    const value = this.scalar(b) ?? this.scalar(a);
    return value === undefined ? undefined : { x: this.scalar(b) === undefined ? b : a, value };
  }
  /** Leaves and constant factor of a product (Mul by anything, Div by a number). */
  product(name: string, depth = 0): { factor: number; leaves: string[] } {
    const number = this.scalar(name);
    if (number !== undefined) return { factor: number, leaves: [] };
    const mul = this.producer(name, "Mul");
    const div = this.producer(name, "Div");
    if (depth > 4) return { factor: 1, leaves: [name] };
    if (mul) {
      const parts = mul.inputs.map((input) => this.product(input, depth + 1));
      return { factor: parts[0].factor * parts[1].factor, leaves: parts.flatMap((part) => part.leaves) };
    }
    const divisor = this.scalar(div?.inputs[1]);
    if (div && divisor !== undefined) {
      const { factor, leaves } = this.product(div.inputs[0], depth + 1);
      return { factor: factor / divisor, leaves };
    }
    return { factor: 1, leaves: [name] };
  }
  /** The bounds of a Clip, from attributes or constants. */
  clip(name: string | undefined): { x: string; min: number; max: number } | undefined {
    const clip = this.producer(name, "Clip");
    if (!clip) return undefined;
    const min = clip.inputs[1]
      ? this.scalar(clip.inputs[1])
      : floatAttribute(clip, "min", Number.NEGATIVE_INFINITY);
    const max = clip.inputs[2]
      ? this.scalar(clip.inputs[2])
      : floatAttribute(clip, "max", Number.POSITIVE_INFINITY);
    return min === undefined || max === undefined ? undefined : { x: clip.inputs[0], min, max };
  }
}

const near = (a: number, b: number): boolean => Math.abs(a - b) <= 1e-4 * Math.abs(b);

/** A rule rewrites `node` in place and gives the name of what it found. */
type Rule = (node: OnnxNode, view: View) => string | undefined;

function become(
  node: OnnxNode,
  opType: string,
  inputs: string[],
  attributes: Record<string, OnnxAttribute> = {},
  domain = "",
): string {
  Object.assign(node, { opType, inputs, attributes, domain });
  return opType;
}

/** clip(x + 3, 0, 6) */
function shiftedClip(view: View, name: string): string | undefined {
  const clip = view.clip(name);
  if (clip?.min !== 0 || clip.max !== 6) return undefined;
  const sum = view.withScalar(view.producer(clip.x, "Add"));
  return sum?.value === 3 ? sum.x : undefined;
}

/** clip(x + 3, 0, 6) / 6 is a hard-sigmoid, and x times it a hard-swish. */
const hardSigmoid: Rule = (node, view) => {
  if (node.opType !== "Mul" && node.opType !== "Div") return undefined;
  const { factor, leaves } = view.product(node.outputs[0]);
  if (!near(factor, 1 / 6)) return undefined;
  const slopes = { alpha: float(1 / 6), beta: float(0.5) };
  for (const [i, leaf] of leaves.entries()) {
    const x = shiftedClip(view, leaf);
    if (x === undefined) continue;
    if (leaves.length === 1) return become(node, "HardSigmoid", [x], slopes);
    if (leaves.length === 2 && leaves[1 - i] === x) return become(node, "HardSwish", [x], slopes, ncnnDomain);
  }
  return undefined;
};

/** x · gate(x), for gates that are one node. */
const gated: Rule = (node, view) => {
  if (node.opType !== "Mul") return undefined;
  for (const [x, gate] of [node.inputs, node.inputs.toReversed()]) {
    if (view.producer(gate, "Sigmoid")?.inputs[0] === x) return become(node, "Swish", [x], {}, ncnnDomain);
    const hard = view.producer(gate, "HardSigmoid");
    if (hard?.inputs[0] === x) {
      const slopes = {
        alpha: float(floatAttribute(hard, "alpha", 0.2)),
        beta: float(floatAttribute(hard, "beta", 0.5)),
      };
      return become(node, "HardSwish", [x], slopes, ncnnDomain);
    }
    const tanh = view.producer(gate, "Tanh");
    if (tanh && view.producer(tanh.inputs[0], "Softplus")?.inputs[0] === x) {
      return become(node, "Mish", [x], {}, ncnnDomain);
    }
  }
  return undefined;
};

/** ln(eˣ + 1) */
const softplus: Rule = (node, view) => {
  if (node.opType !== "Log") return undefined;
  const sum = view.withScalar(view.producer(node.inputs[0], "Add"));
  const exp = sum?.value === 1 ? view.producer(sum.x, "Exp") : undefined;
  return exp && become(node, "Softplus", [exp.inputs[0]]);
};

/** 0.5 · x · (1 + erf(x/√2)), or 0.5 · x · (1 + tanh(√(2/π)·(x + 0.044715·x³))) */
const gelu: Rule = (node, view) => {
  if (node.opType !== "Mul") return undefined;
  const { factor, leaves } = view.product(node.outputs[0]);
  if (!near(factor, 0.5) || leaves.length !== 2) return undefined;
  for (const [x, gate] of [leaves, leaves.toReversed()]) {
    const sum = view.withScalar(view.producer(gate, "Add"));
    if (sum?.value !== 1) continue;
    const erf = view.producer(sum.x, "Erf");
    if (erf) {
      const inner = view.product(erf.inputs[0]);
      if (near(inner.factor, Math.SQRT1_2) && inner.leaves.length === 1 && inner.leaves[0] === x) {
        return become(node, "Gelu", [x]);
      }
    }
    const tanh = view.producer(sum.x, "Tanh");
    if (tanh && isTanhArgument(view, tanh.inputs[0], x)) {
      return become(node, "Gelu", [x], { approximate: { kind: "string", value: "tanh" } });
    }
  }
  return undefined;
};

function isTanhArgument(view: View, name: string, x: string): boolean {
  const outer = view.product(name);
  const add = outer.leaves.length === 1 ? view.producer(outer.leaves[0], "Add") : undefined;
  if (!add || !near(outer.factor, Math.sqrt(2 / Math.PI))) return false;
  const other = add.inputs.find((input) => input !== x);
  if (!add.inputs.includes(x) || other === undefined) return false;
  const cube = view.product(other);
  if (!near(cube.factor, 0.044715)) return false;
  const pow = cube.leaves.length === 1 ? view.producer(cube.leaves[0], "Pow") : undefined;
  return pow
    ? pow.inputs[0] === x && view.scalar(pow.inputs[1]) === 3
    : cube.leaves.length === 3 && cube.leaves.every((leaf) => leaf === x);
}

/** (x − mean(x)) / √(mean((x − mean(x))²) + eps) over the last axes */
const layerNorm: Rule = (node, view) => {
  if (node.opType !== "Div") return undefined;
  const sub = view.producer(node.inputs[0], "Sub");
  const root = view.producer(node.inputs[1], "Sqrt");
  const sum = view.withScalar(view.producer(root?.inputs[0], "Add"));
  const variance = sum && view.producer(sum.x, "ReduceMean");
  const square = variance && view.producer(variance.inputs[0], "Pow");
  const mean = sub && view.producer(sub.inputs[1], "ReduceMean");
  if (!sub || !sum || !mean || !variance || mean.inputs[0] !== sub.inputs[0]) return undefined;
  const isSquare = square
    ? square.inputs[0] === sub.outputs[0] && view.scalar(square.inputs[1]) === 2
    : view.producer(variance.inputs[0], "Mul")?.inputs.every((input) => input === sub.outputs[0]);
  const rank = view.shapes.get(sub.inputs[0])?.length;
  const axes = rank && (intsAttribute(mean, "axes") ?? view.list(mean.inputs[1]));
  if (!isSquare || !axes) return undefined;
  const sorted = axes.map((a) => (a < 0 ? a + rank : a)).sort((a, b) => a - b);
  if (sorted.some((a, i) => a !== rank - sorted.length + i)) return undefined;
  const attributes = { axis: int(sorted[0]), epsilon: float(sum.value) };
  return become(node, "LayerNormalization", [sub.inputs[0]], attributes);
};

/** norm(x)·gamma + beta, both constant, where `norm` came without them. */
const affineNorm: Rule = (node, view) => {
  if (node.opType !== "Mul" && node.opType !== "Add") return undefined;
  for (const [name, other] of [node.inputs, node.inputs.toReversed()]) {
    const constant = view.graph.initializers.get(other);
    const norm = view.producer(name, "LayerNormalization");
    if (!norm || !constant || view.readersOf(name).length !== 1) continue;
    const shape = view.shapes.get(norm.inputs[0]);
    const axis = intAttribute(norm, "axis", -1);
    const tail = shape?.slice(axis);
    if (!tail || constant.dims.length !== tail.length || constant.dims.some((d, i) => d !== tail[i]))
      continue;
    const isScale = node.opType === "Mul";
    if (isScale ? norm.inputs[1] : norm.inputs[2] || !norm.inputs[1]) continue;
    const inputs = isScale ? [norm.inputs[0], other] : [norm.inputs[0], norm.inputs[1], other];
    return become(node, "LayerNormalization", inputs, norm.attributes);
  }
  return undefined;
};

/** reshape(instance(reshape(x, [n, groups, −1])))·gamma + beta */
const groupNorm: Rule = (node, view) => {
  if (node.opType !== "Add") return undefined;
  const mul = view.producer(node.inputs[0], "Mul");
  const back = view.producer(mul?.inputs[0], "Reshape");
  const norm = view.producer(back?.inputs[0], "InstanceNormalization");
  const into = view.producer(norm?.inputs[0], "Reshape");
  if (!mul || !norm || !into) return undefined;
  const x = into.inputs[0];
  const shape = view.shapes.get(x);
  const grouped = view.shapes.get(into.outputs[0]);
  const [gamma, beta] = [view.list(mul.inputs[1]), view.list(node.inputs[1])];
  const [scale, bias] = [view.list(norm.inputs[1]), view.list(norm.inputs[2])];
  const isPlain = scale?.every((v) => v === 1) && bias?.every((v) => v === 0);
  if (
    !shape ||
    grouped?.length !== 3 ||
    !isPlain ||
    gamma?.length !== shape[1] ||
    beta?.length !== shape[1]
  ) {
    return undefined;
  }
  if (typeof grouped[1] !== "number" || view.shapes.get(node.outputs[0])?.length !== shape.length)
    return undefined;
  const attributes = { groups: int(grouped[1]), epsilon: float(floatAttribute(norm, "epsilon", 1e-5)) };
  return become(node, "GroupNorm", [x, mul.inputs[1], node.inputs[1]], attributes, ncnnDomain);
};

/** x·W + b with a constant matrix: one fully connected layer. */
const linear: Rule = (node, view) => {
  if (node.opType !== "Add") return undefined;
  for (const [product, bias] of [node.inputs, node.inputs.toReversed()]) {
    const matMul = view.producer(product, "MatMul");
    const weight = matMul && view.graph.initializers.get(matMul.inputs[1]);
    const constant = view.graph.initializers.get(bias);
    if (!matMul || weight?.dims.length !== 2 || constant?.dims.length !== 1) continue;
    if (constant.dims[0] !== weight.dims[1] || view.readersOf(product).length !== 1) continue;
    return become(node, "Linear", [...matMul.inputs, bias], {}, ncnnDomain);
  }
  return undefined;
};

/**
 * YOLOv5 Focus: the channels of s·s strided pictures joined in any order, followed by convolutions. Becomes Reorg,
 * whose order is fixed (row offset first), and the input channels of the convolutions' weights are reordered.
 */
const focus: Rule = (node, view) => {
  if (node.opType !== "Concat" || intAttribute(node, "axis", 0) !== 1) return undefined;
  const parts = node.inputs.map((name) => stridedPicture(view, name));
  const [first] = parts;
  const stride = first?.stride ?? 1;
  if (!first || stride < 2 || parts.length !== stride * stride) return undefined;
  if (parts.some((part) => part?.source !== first.source || part.stride !== stride)) return undefined;
  const channels = view.shapes.get(first.source)?.[1];
  const offsets = parts.map((part) => (part ? part.row * stride + part.column : -1));
  const readers = view.readersOf(node.outputs[0]);
  const areConvs = readers.every((r) => r.opType === "Conv" && intAttribute(r, "group", 1) === 1);
  if (typeof channels !== "number" || new Set(offsets).size !== offsets.length) return undefined;
  if (!areConvs || view.isOutput(node.outputs[0])) return undefined;
  // Part i of the Concat is block offsets[i] of Reorg.
  const order = offsets.flatMap((_, block) => {
    const part = offsets.indexOf(block);
    return Array.from({ length: channels }, (_, c) => part * channels + c);
  });
  if (!readers.every((conv) => reorderInputs(view.graph, conv, order))) return undefined;
  become(node, "Reorg", [first.source], { stride: int(stride) }, ncnnDomain);
  return "Focus";
};

/** Which pixels of which picture a chain of strided Slices takes: equal strides on rows and columns, whole extents. */
function stridedPicture(
  view: View,
  name: string,
): { source: string; row: number; column: number; stride: number } | undefined {
  const axes = { 2: { start: 0, step: 1 }, 3: { start: 0, step: 1 } };
  let at = name;
  for (let slice = view.producer(at, "Slice"); slice; slice = view.producer(at, "Slice")) {
    const node = slice;
    const shape = view.shapes.get(node.inputs[0]);
    const given = shape?.length === 4 ? sliceArguments(node, (i) => view.list(node.inputs[i]), 4) : undefined;
    if (!shape || !given) return undefined;
    for (const [i, axis] of given.axes.entries()) {
      const extent = shape[axis];
      if ((axis !== 2 && axis !== 3) || typeof extent !== "number" || axes[axis].step !== 1) return undefined;
      const range = sliceRange(extent, given.starts[i], given.ends[i], given.steps[i]);
      if (range.step < 1 || range.length * range.step !== extent) return undefined;
      axes[axis] = { start: range.start, step: range.step };
    }
    at = node.inputs[0];
  }
  if (axes[2].step !== axes[3].step) return undefined;
  return { source: at, row: axes[2].start, column: axes[3].start, stride: axes[2].step };
}

/** Gives a convolution weights whose input channel c is the former `order[c]`. */
function reorderInputs(graph: OnnxGraph, conv: OnnxNode, order: readonly number[]): boolean {
  const weight = graph.initializers.get(conv.inputs[1]);
  if (weight?.dims.length !== 4 || weight.dims[1] !== order.length) return false;
  const swapped = transposeTensor(weight, [1, 0, 2, 3]);
  const block = swapped.data.length / order.length;
  const data = swapped.data.slice();
  order.forEach((from, to) => {
    data.set(swapped.data.subarray(from * block, (from + 1) * block), to * block);
  });
  const reordered = transposeTensor({ ...swapped, data }, [1, 0, 2, 3]);
  const name = `${conv.inputs[1]}_reordered_${conv.outputs[0]}`;
  graph.initializers.set(name, reordered);
  conv.inputs = [conv.inputs[0], name, ...conv.inputs.slice(2)];
  return true;
}

/** Expand in front of arithmetic that broadcasts anyway. */
const expand: Rule = (node, view) => {
  const arithmetic = ["Add", "Sub", "Mul", "Div", "Min", "Max", "Pow"];
  if (!arithmetic.includes(node.opType)) return undefined;
  const result = view.shapes.get(node.outputs[0]);
  for (const [i, name] of node.inputs.entries()) {
    const source = view.producer(name, "Expand")?.inputs[0];
    const other = view.shapes.get(node.inputs[1 - i]);
    if (source === undefined || !result || other?.length !== result.length) continue;
    if (other.some((d, axis) => d !== result[axis])) continue;
    node.inputs[i] = source;
    return "Expand";
  }
  return undefined;
};

/** q·kᵀ: a transpose of the last two axes in front of the right side of a product. */
const transposedRight: Rule = (node, view) => {
  if (node.opType !== "MatMul") return undefined;
  const transpose = view.producer(node.inputs[1], "Transpose");
  const perm = transpose && intsAttribute(transpose, "perm");
  const rank = perm?.length ?? 0;
  if (!transpose || !perm || rank < 2 || view.shapes.get(node.inputs[0])?.length !== rank) return undefined;
  const isSwap = perm.every(
    (from, i) => from === (i === rank - 1 ? rank - 2 : i === rank - 2 ? rank - 1 : i),
  );
  if (!isSwap) return undefined;
  become(node, "MatMulTransposed", [node.inputs[0], transpose.inputs[0]], {}, ncnnDomain);
  return "MatMul-Transpose";
};

/** Softmax over the last axis between two transposes, as exporters below opset 13 have it for others: one transpose does. */
const turnedSoftmax: Rule = (node, view) => {
  const softmax = node.opType === "Transpose" ? view.producer(node.inputs[0], "Softmax") : undefined;
  const before = softmax && view.producer(softmax.inputs[0], "Transpose");
  const [first, second] = [before, node].map((each) => each && intsAttribute(each, "perm"));
  const shape = view.shapes.get(node.outputs[0]);
  if (!softmax || !before || !first || !second || !shape) return undefined;
  const last = first.length - 1;
  const axis = intAttribute(softmax, "axis", view.opset < 13 ? 1 : -1);
  const isRead = [before, softmax].some(
    ({ outputs: [name] }) => view.readersOf(name).length !== 1 || view.isOutput(name),
  );
  if (isRead || (axis !== last && axis !== -1)) return undefined;
  const perm = second.map((from) => first[from]);
  become(softmax, "Transpose", [before.inputs[0]], { perm: ints(perm) });
  view.shapes.set(softmax.outputs[0], shape);
  become(node, "Softmax", [softmax.outputs[0]], { axis: int(second.indexOf(last)) }, ncnnDomain);
  return "Transpose-Softmax-Transpose";
};

/** ReduceMean over rows, then over columns: the global average. */
const twoMeans: Rule = (node, view) => {
  if (node.opType !== "ReduceMean") return undefined;
  const inner = view.producer(node.inputs[0], "ReduceMean");
  const rank = inner && view.shapes.get(inner.inputs[0])?.length;
  if (!inner || rank !== 4 || view.readersOf(inner.outputs[0]).length !== 1) return undefined;
  const axisOf = (n: OnnxNode, r: number): number | undefined => {
    const axes = intsAttribute(n, "axes") ?? view.list(n.inputs[1]);
    return axes?.length === 1 ? (axes[0] < 0 ? axes[0] + r : axes[0]) : undefined;
  };
  const keeps = intAttribute(inner, "keepdims", 1) === 1;
  const a = axisOf(inner, 4);
  const b = axisOf(node, keeps ? 4 : 3);
  if (!(a === 3 && b === 2) && !(a === 2 && b === (keeps ? 3 : 2))) return undefined;
  if (keeps !== (intAttribute(node, "keepdims", 1) === 1)) return undefined;
  const axesName = `${node.outputs[0]}_axes`;
  view.graph.initializers.set(axesName, makeTensor("int64", [2], [2, 3]));
  return become(node, "ReduceMean", [inner.inputs[0], axesName], { keepdims: int(keeps ? 1 : 0) });
};

const rules: readonly Rule[] = [
  focus,
  softplus,
  hardSigmoid,
  gated,
  gelu,
  layerNorm,
  // Twice: gamma first, then beta.
  affineNorm,
  affineNorm,
  groupNorm,
  linear,
  expand,
  transposedRight,
  turnedSoftmax,
  twoMeans,
];
