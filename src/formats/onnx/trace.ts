/**
 * Single elements of values as functions of elements further up: what code in a graph computes, however it is spelled.
 * An element is followed back through arithmetic and data movement to *leaves* (elements of chosen values) and computed at
 * several probes, numbers that the leaves take one after the other.
 */
import {
  broadcastStrides,
  normalizeAxis,
  ravel,
  sliceArguments,
  sliceRange,
  splitSizes,
  transposePerm,
  unravel,
  wholeNumbers,
} from "./arguments.ts";
import { allKnown } from "./dims.ts";
import { elementTypeOf } from "./elements.ts";
import { evaluators } from "./evaluate.ts";
import type { OnnxShape } from "./infer.ts";
import {
  intAttribute,
  makeTensor,
  type OnnxModel,
  type OnnxNode,
  type OnnxTensor,
  opsetOf,
  tensorNumbers,
} from "./model.ts";

/** An element of a value, by its place in row-major order. */
export interface Leaf {
  readonly value: string;
  readonly index: number;
  /** The numbers that it takes, one per probe. */
  readonly probes: Float64Array;
}

export interface Traced {
  /** A number per probe. */
  readonly numbers: ArrayLike<number> & Iterable<number>;
  /** What they depend on; empty for a constant. */
  readonly leaves: readonly Leaf[];
}

interface Element {
  /** `[probes]`, or a scalar where nothing is depended on. */
  readonly tensor: OnnxTensor;
  readonly leaves: readonly Leaf[];
}

/** Operators that compute every element from the elements at its place; `evaluate.ts` says how. */
const pointwise = new Set(
  `Abs Add Cast Ceil Clip Div Exp Floor LeakyRelu Log Max Min Mul Neg Pow Reciprocal Relu Round Sigmoid Softplus Sqrt Sub Sum Tanh
  Where`.split(/\s+/),
);
/** Operators that hand elements on in the same order. */
const unmoved = new Set(["Dropout", "Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze"]);

type Place = (node: OnnxNode, index: number, tracer: Tracer) => { input: number; index: number } | undefined;

/** Which element of which input an element of the result is. */
const moved: Record<string, Place> = {
  Concat: (node, index, t) => {
    const at = unravel(index, t.dims(node.outputs[0]));
    const axis = normalizeAxis(intAttribute(node, "axis", 0), at.length);
    for (const [input, name] of node.inputs.entries()) {
      const dims = t.dims(name);
      if (at[axis] < dims[axis]) return { input, index: ravel(at, dims) };
      at[axis] -= dims[axis];
    }
    return undefined;
  },
  Expand: (node, index, t) => {
    const [from, to] = [t.dims(node.inputs[0]), t.dims(node.outputs[0])];
    const strides = broadcastStrides(from, to);
    return { input: 0, index: unravel(index, to).reduce((sum, i, axis) => sum + i * strides[axis], 0) };
  },
  Gather: (node, index, t) => {
    const indices = t.constant(node.inputs[1]);
    if (!indices) return undefined;
    const from = t.dims(node.inputs[0]);
    const axis = normalizeAxis(intAttribute(node, "axis", 0), from.length);
    const at = unravel(index, t.dims(node.outputs[0]));
    const picked = tensorNumbers(indices)[ravel(at.slice(axis, axis + indices.dims.length), indices.dims)];
    const rest = at.slice(axis + indices.dims.length);
    const source = picked < 0 ? picked + from[axis] : picked;
    return { input: 0, index: ravel([...at.slice(0, axis), source, ...rest], from) };
  },
  Slice: (node, index, t) => {
    const from = t.dims(node.inputs[0]);
    const bounds = (i: number) => {
      const tensor = t.constant(node.inputs[i]);
      return tensor && wholeNumbers(tensor);
    };
    const given = sliceArguments(node, bounds, from.length);
    if (!given) return undefined;
    const at = unravel(index, t.dims(node.outputs[0]));
    given.axes.forEach((axis, i) => {
      const range = sliceRange(from[axis], given.starts[i], given.ends[i], given.steps[i]);
      at[axis] = range.start + at[axis] * range.step;
    });
    return { input: 0, index: ravel(at, from) };
  },
  Tile: (node, index, t) => {
    const from = t.dims(node.inputs[0]);
    const at = unravel(index, t.dims(node.outputs[0])).map((i, axis) => i % from[axis]);
    return { input: 0, index: ravel(at, from) };
  },
  Transpose: (node, index, t) => {
    const from = t.dims(node.inputs[0]);
    const at = unravel(index, t.dims(node.outputs[0]));
    const source = new Array<number>(from.length);
    transposePerm(node, from.length).forEach((axis, i) => {
      source[axis] = at[i];
    });
    return { input: 0, index: ravel(source, from) };
  },
};

/** Whether elements can be followed back through a node. */
export function isTraceable(node: OnnxNode): boolean {
  if (node.domain !== "") return false;
  const { opType } = node;
  return pointwise.has(opType) || unmoved.has(opType) || Object.hasOwn(moved, opType) || opType === "Split";
}

/** The numbers that a leaf takes; nothing for elements that are followed further up. */
export type Probe = (value: string, index: number) => Float64Array | undefined;

/** Longest way back: far beyond any code that decodes, and safe on the call stack. */
const maxDepth = 400;
export class Tracer {
  private readonly producers = new Map<string, OnnxNode>();
  private readonly memo = new Map<string, Element | undefined>();
  private readonly opset: number;

  private readonly model: OnnxModel;
  private readonly shapes: ReadonlyMap<string, OnnxShape>;
  private readonly probe: Probe;
  /** Constants as plain numbers. */
  private readonly widened = new Map<string, ArrayLike<number>>();
  private depth = 0;

  constructor(model: OnnxModel, shapes: ReadonlyMap<string, OnnxShape>, probe: Probe) {
    this.model = model;
    this.shapes = shapes;
    this.probe = probe;
    this.opset = opsetOf(model);
    for (const node of model.graph.nodes) for (const name of node.outputs) this.producers.set(name, node);
  }

  constant(name: string | undefined): OnnxTensor | undefined {
    return name ? this.model.graph.initializers.get(name) : undefined;
  }

  /** Extents of a value; none where they are not known. */
  dims(name: string): readonly number[] {
    const dims = this.shapes.get(name);
    return dims && allKnown(dims) ? dims : [];
  }

  /** Forgets elements: each call of `element` keeps what it passed. */
  forget(): void {
    this.memo.clear();
  }

  /** The element at `index`, or nothing where it comes from something that cannot be followed. */
  element(name: string, index: number): Traced | undefined {
    const found = this.find(name, index);
    return found && { numbers: tensorNumbers(found.tensor), leaves: found.leaves };
  }

  private find(name: string, index: number): Element | undefined {
    const key = `${index} ${name}`;
    if (this.memo.has(key)) return this.memo.get(key);
    if (this.depth >= maxDepth) return undefined;
    this.depth++;
    const element = this.compute(name, index);
    this.depth--;
    this.memo.set(key, element);
    return element;
  }

  private compute(name: string, index: number): Element | undefined {
    const constant = this.constant(name);
    if (constant) {
      const numbers = this.widened.get(name) ?? tensorNumbers(constant);
      this.widened.set(name, numbers);
      return { tensor: makeTensor("float64", [], [numbers[index]]), leaves: [] };
    }
    const probes = this.probe(name, index);
    if (probes) {
      // float64, so that what is computed is not blurred by the probes.
      return {
        tensor: { type: "float64", dims: [probes.length], data: probes },
        leaves: [{ value: name, index, probes }],
      };
    }
    const node = this.producers.get(name);
    if (!node || !isTraceable(node) || this.dims(name).length === 0) return undefined;
    if (unmoved.has(node.opType) || isWidening(node)) return this.find(node.inputs[0], index);
    if (pointwise.has(node.opType)) return this.arithmetic(node, index);
    if (node.opType === "Split") return this.part(node, name, index);
    const place = moved[node.opType](node, index, this);
    return place && this.find(node.inputs[place.input], place.index);
  }

  private arithmetic(node: OnnxNode, index: number): Element | undefined {
    const to = this.dims(node.outputs[0]);
    const at = unravel(index, to);
    const inputs = node.inputs.map((name) => {
      if (!name) return undefined;
      const strides = broadcastStrides(this.constant(name)?.dims ?? this.dims(name), to);
      return this.find(
        name,
        at.reduce((sum, i, axis) => sum + i * strides[axis], 0),
      );
    });
    if (node.inputs.some((name, i) => name && !inputs[i])) return undefined;
    const tensors = inputs.map((input) => input?.tensor);
    return {
      tensor: evaluators[node.opType](node, tensors, this.opset)[0],
      leaves: union(inputs.flatMap((input) => input?.leaves ?? [])),
    };
  }

  private part(node: OnnxNode, name: string, index: number): Element | undefined {
    const from = this.dims(node.inputs[0]);
    const axis = normalizeAxis(intAttribute(node, "axis", 0), from.length);
    if (node.inputs[1] && !this.constant(node.inputs[1])) return undefined;
    const sizes = splitSizes(node, this.constant(node.inputs[1]), from[axis]);
    const at = unravel(index, this.dims(name));
    at[axis] += sizes.slice(0, node.outputs.indexOf(name)).reduce((a, b) => a + b, 0);
    return this.find(node.inputs[0], ravel(at, from));
  }
}

/** A cast between kinds of real numbers: what is computed is the same but for rounding. */
function isWidening(node: OnnxNode): boolean {
  return node.opType === "Cast" && (elementTypeOf(intAttribute(node, "to", 0))?.includes("float") ?? false);
}

function union(leaves: readonly Leaf[]): readonly Leaf[] {
  if (leaves.length < 2) return leaves;
  return [...new Map(leaves.map((leaf) => [`${leaf.index} ${leaf.value}`, leaf])).values()];
}
