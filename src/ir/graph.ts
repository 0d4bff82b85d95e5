/**
 * The one graph type: ncnn's operator set in memory. Readers build it, passes change it, writers print it.
 *
 * A legal graph (checked by `verify`) has a node at least, and:
 * - nodes are in topological order, names are unique and non-empty, every blob has exactly one producer;
 * - every node type is in the operator table, with legal input and output counts and known parameters;
 * - every weight that the parameters call for is there with the right number of elements, and no other;
 * - a blob may have any number of readers. ncnn's `Split` layers do not occur: the `.param` reader drops them, the
 *   writer puts them back (`formats/ncnn/split.ts`).
 */
import { GraphError, NcnnkitError, withContext } from "../base/errors.ts";
import {
  commonParams,
  inputType,
  type Op,
  type OpTable,
  type ParamKind,
  type ParamSpecs,
  type Params,
  type ParamValue,
  type ParamValues,
  resolveParams,
} from "./op.ts";
import { elementCount, formatShape, type Shape } from "./tensor.ts";
import type { Weights } from "./weight.ts";

/** One layer of a graph. */
export interface Node {
  type: string;
  name: string;
  inputs: string[];
  outputs: string[];
  params: Params;
  weights: Weights;
}

/** How a file spelled the Split of a blob: kept so that an unchanged graph is written back byte for byte. */
export interface SplitSpelling {
  readonly name: string;
  /** Top i of the Split is read by `readers[i]` (`node name:input index`). */
  readonly outputs: readonly string[];
  readonly readers: readonly string[];
  readonly params: Params;
}

/** A network; the rules of a legal one are at the top of `ir/graph.ts`, `verify` checks them. */
export class Graph {
  nodes: Node[] = [];
  /** Split spellings by the blob that they copy. */
  splits = new Map<string, SplitSpelling>();

  /** Appends a node; missing parts are empty. */
  add(node: Pick<Node, "type" | "name" | "outputs"> & Partial<Node>): Node {
    const full = { inputs: [], params: {}, weights: {}, ...node };
    this.nodes.push(full);
    return full;
  }
  /** Blobs that the caller feeds: the outputs of all Input nodes. */
  get inputs(): string[] {
    return this.nodes.filter((node) => node.type === inputType).flatMap((node) => node.outputs);
  }
  /** Blobs that nobody reads, in node order. */
  get outputs(): string[] {
    const read = new Set(this.nodes.flatMap((node) => node.inputs));
    return this.nodes.flatMap((node) => node.outputs).filter((blob) => !read.has(blob));
  }
  /** The node that makes each blob. */
  producers(): Map<string, Node> {
    const map = new Map<string, Node>();
    for (const node of this.nodes) for (const blob of node.outputs) map.set(blob, node);
    return map;
  }
  /** Readers of every blob, in node order; a node that reads a blob twice is listed twice. */
  consumers(): Map<string, Node[]> {
    const map = new Map<string, Node[]>();
    for (const node of this.nodes) {
      for (const blob of node.outputs) map.set(blob, []);
      for (const blob of node.inputs) {
        const list = map.get(blob);
        if (list) list.push(node);
        else map.set(blob, [node]);
      }
    }
    return map;
  }
  /** The node of that name. */
  node(name: string): Node | undefined {
    return this.nodes.find((node) => node.name === name);
  }
  /** Makes every reader of `from` read `to`. */
  redirect(from: string, to: string): void {
    for (const node of this.nodes) node.inputs = node.inputs.map((blob) => (blob === from ? to : blob));
  }
  /** Takes nodes out; what read their outputs must read something else. */
  remove(nodes: Iterable<Node>): void {
    const gone = new Set(nodes);
    this.nodes = this.nodes.filter((node) => !gone.has(node));
  }
  /** A copy that can be rewritten freely; weight data is shared, since passes replace weights and never write into them. */
  clone(): Graph {
    const copy = new Graph();
    copy.nodes = this.nodes.map((node) => ({
      ...node,
      inputs: [...node.inputs],
      outputs: [...node.outputs],
      params: { ...node.params },
      weights: { ...node.weights },
    }));
    copy.splits = new Map(this.splits);
    return copy;
  }
}

/** `wanted`, or it with underscores where it is taken; the name is taken then. */
export function freeName(wanted: string, taken: Set<string>): string {
  let name = wanted;
  while (taken.has(name)) name += "_";
  taken.add(name);
  return name;
}

/** The description of a node's type, or an error that names the node. */
export function opOf(node: Node, ops: OpTable): Op {
  const op = ops.get(node.type);
  if (!op) throw new GraphError(`node "${node.name}": unknown layer type ${node.type}`);
  return op;
}

/** All parameters of a node with defaults filled in, typed, if it is a layer of type `op`. */
export function match<S extends ParamSpecs>(node: Node | undefined, op: Op<S>): ParamValues<S> | undefined {
  return node?.type === op.type ? resolveParams(op, node.params) : undefined;
}

/** All parameters of a node with defaults filled in. */
export function paramsOf(node: Node, ops: OpTable): ParamValues<Op["params"]> {
  return resolveParams(opOf(node, ops), node.params);
}

/**
 * Throws GraphError at the first rule that is broken (see the list at the top of this file).
 * `weights: false` leaves the weights out, for a graph whose `.bin` has not been read.
 */
export function verify(graph: Graph, ops: OpTable, { weights = true } = {}): void {
  if (graph.nodes.length === 0) throw new GraphError("the graph has no layers");
  const produced = new Set<string>();
  const names = new Set<string>();
  for (const node of graph.nodes) {
    const at = `node ${node.type} "${node.name}"`;
    if (!node.name || names.has(node.name)) {
      throw new GraphError(`${at}: node names must be unique and not empty`);
    }
    names.add(node.name);
    const op = opOf(node, ops);
    for (const blob of node.inputs) {
      if (!produced.has(blob)) {
        throw new GraphError(`${at}: input blob "${blob}" is produced by no earlier node`);
      }
    }
    for (const blob of node.outputs) {
      if (produced.has(blob)) throw new GraphError(`${at}: output blob "${blob}" has a producer already`);
      produced.add(blob);
    }
    checkArity(at, "inputs", node.inputs.length, op.inputs ?? [1, 1]);
    checkArity(at, "outputs", node.outputs.length, op.outputs ?? [1, 1]);
    for (const name of Object.keys(node.params)) {
      const spec = op.params[name] ?? (commonParams as ParamSpecs)[name];
      if (!spec) throw new GraphError(`${at}: unknown parameter ${name}`);
      checkParam(at, name, spec.kind, node.params[name]);
    }
    if (weights) checkWeights(at, node, op);
  }
}

function checkArity(at: string, what: string, found: number, [least, most]: readonly [number, number]): void {
  if (found < least || found > most) {
    const expected =
      least === most ? least : `${least} to ${most === Number.POSITIVE_INFINITY ? "any" : most}`;
    throw new GraphError(`${at}: ${found} ${what}, expected ${expected}`);
  }
}

/** Whole numbers are of 32 bits, as ncnn holds them; unsigned ones are the bits of a float in some layers. */
const isInt32 = (value: unknown): boolean =>
  Number.isInteger(value) && (value as number) >= -(2 ** 31) && (value as number) < 2 ** 32;
const isNumber = (value: unknown): boolean => typeof value === "number";
const paramRules: Record<ParamKind, readonly [expected: string, holds: (value: ParamValue) => boolean]> = {
  int: ["a whole number of 32 bits", isInt32],
  float: ["a number", isNumber],
  ints: ["whole numbers of 32 bits", (value) => Array.isArray(value) && value.every(isInt32)],
  floats: ["numbers", (value) => Array.isArray(value) && value.every(isNumber)],
  string: ["text", (value) => typeof value === "string"],
};

function checkParam(at: string, name: string, kind: ParamKind, value: ParamValue): void {
  const [expected, holds] = paramRules[kind];
  if (!holds(value)) throw new GraphError(`${at}: parameter ${name} is ${value}, expected ${expected}`);
}

function checkWeights(at: string, node: Node, op: Op): void {
  const expected = op.weights?.(resolveParams(op, node.params)) ?? [];
  for (const spec of expected) {
    const weight = node.weights[spec.name];
    if (!weight) throw new GraphError(`${at}: weight ${spec.name} is missing`);
    if (weight.data.length !== spec.count) {
      throw new GraphError(
        `${at}: weight ${spec.name} has ${weight.data.length} elements, expected ${spec.count}`,
      );
    }
  }
  const surplus = Object.keys(node.weights).find((name) => !expected.some((spec) => spec.name === name));
  if (surplus !== undefined)
    throw new GraphError(`${at}: weight ${surplus} has no use with these parameters`);
}

/** No real blob is near this; a graph that asks for more is broken or hostile. */
const maxElements = 2 ** 30;

/**
 * The shape of every blob, from the shapes of the input blobs. Inputs that are not given take the extents written in
 * their Input node, where those are all there.
 */
export function inferShapes(
  graph: Graph,
  ops: OpTable,
  inputShapes: Record<string, Shape>,
): Map<string, Shape> {
  const shapes = new Map<string, Shape>();
  for (const node of graph.nodes) {
    const op = opOf(node, ops);
    const p = resolveParams(op, node.params);
    const fed = node.type === inputType ? inputShapes[node.outputs[0]] : undefined;
    let outputs: Shape[];
    try {
      outputs = fed
        ? [fed]
        : op.shape(
            node.inputs.map((blob) => shapes.get(blob)!),
            p,
            node.outputs.length,
          );
    } catch (error) {
      if (!(error instanceof NcnnkitError)) throw error;
      const given = node.inputs.map((blob) => `${blob} ${formatShape(shapes.get(blob)!)}`).join(", ");
      throw withContext(`node ${node.type} "${node.name}" (${given || "no inputs"})`, error);
    }
    node.outputs.forEach((blob, i) => {
      const shape = outputs[i];
      if (shape.some((extent) => !(Number.isInteger(extent) && extent > 0))) {
        throw new GraphError(
          `node ${node.type} "${node.name}": output ${blob} would have shape ${formatShape(shape)}; the input is too small or a parameter is wrong`,
        );
      }
      if (elementCount(shape) > maxElements) {
        throw new GraphError(
          `node ${node.type} "${node.name}": output ${blob} of ${formatShape(shape)} is larger than ${maxElements} elements`,
        );
      }
      shapes.set(blob, shape);
    });
  }
  return shapes;
}
