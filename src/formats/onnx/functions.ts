/**
 * Model-local functions: every call becomes the nodes of the function's body, with names of its own.
 * Source: onnx/onnx docs/IR.md (Functions) and onnx.proto (FunctionProto).
 */
import { GraphError, UnsupportedError } from "../../base/errors.ts";
import { describeNode, type OnnxAttribute, type OnnxGraph, type OnnxModel, type OnnxNode } from "./model.ts";

export interface OnnxFunction {
  name: string;
  domain: string;
  overload: string;
  inputs: string[];
  outputs: string[];
  /** Values of attributes that a call does not give. */
  defaults: Record<string, OnnxAttribute>;
  opsets: Record<string, number>;
  nodes: OnnxNode[];
}

/** Bounds for what a small file can grow to: nodes, names that they list, functions within functions. */
const maxNodes = 100_000;
const maxNames = 2_000_000;
const maxDepth = 64;
/** Names of values repeat the path of calls; of long ones the end is kept. */
const maxNameLength = 200;

/** First operator set in which the operators' reading here is another one. */
const changedIn: Readonly<Record<string, number>> = { Softmax: 13, LogSoftmax: 13, Resize: 11 };

const idOf = (domain: string, name: string, overload: string): string =>
  JSON.stringify([domain, name, overload]);

/**
 * Replaces all calls, in the graph and in branches, by the functions' nodes. Throws GraphError for functions that call themselves,
 * calls that do not fit and expansions beyond 100,000 nodes, UnsupportedError for functions of another operator set.
 */
export function inlineFunctions(model: OnnxModel, functions: readonly OnnxFunction[]): void {
  if (functions.length === 0) return;
  if (model.opsets[""] === undefined) {
    model.opsets[""] = Math.max(...functions.map(({ opsets }) => opsets[""] ?? 0));
  }
  const known = new Map<string, OnnxFunction>();
  for (const f of functions) {
    const id = idOf(f.domain, f.name, f.overload);
    if (known.has(id)) throw new GraphError(`the function ${describeFunction(f)} is defined twice`);
    known.set(id, f);
  }
  const inliner = new Inliner(known, model.opsets[""], namesIn(model.graph));
  model.graph.nodes = inliner.expandAll(model.graph.nodes, []);
}

function describeFunction({ domain, name }: OnnxFunction): string {
  return JSON.stringify(domain ? `${domain}.${name}` : name);
}

class Inliner {
  private readonly functions: ReadonlyMap<string, OnnxFunction>;
  private readonly opset: number;
  private readonly taken: Set<string>;
  /** The next number to try for a name that is taken. */
  private readonly numbers = new Map<string, number>();
  private nodesLeft = maxNodes;
  private namesLeft = maxNames;

  constructor(functions: ReadonlyMap<string, OnnxFunction>, opset: number, taken: Set<string>) {
    this.functions = functions;
    this.opset = opset;
    this.taken = taken;
  }

  /** `calls` are the functions that the nodes are in, outermost first. */
  expandAll(nodes: readonly OnnxNode[], calls: readonly OnnxFunction[]): OnnxNode[] {
    return nodes.flatMap((node) => {
      const called = this.functions.get(idOf(node.domain, node.opType, node.overload ?? ""));
      if (called) return this.expand(node, called, calls);
      return [mapGraphs(node, (graph) => ({ ...graph, nodes: this.expandAll(graph.nodes, calls) }))];
    });
  }

  private expand(call: OnnxNode, called: OnnxFunction, calls: readonly OnnxFunction[]): OnnxNode[] {
    const label = describeNode(call);
    if (calls.includes(called)) {
      throw new GraphError(`${label}: the function ${describeFunction(called)} calls itself`);
    }
    if (calls.length >= maxDepth)
      throw new GraphError(`${label}: functions are nested more than ${maxDepth} deep`);
    if (call.inputs.length > called.inputs.length || call.outputs.length > called.outputs.length) {
      throw new GraphError(
        `${label}: ${call.inputs.length} inputs and ${call.outputs.length} outputs, the function has ${called.inputs.length} and ${called.outputs.length}`,
      );
    }
    this.checkOpset(called, label);
    const base = call.name || call.outputs.find((name) => name) || called.name;
    const names = new Map(called.inputs.map((name, i) => [name, call.inputs[i] ?? ""]));
    const passed = this.bindOutputs(call, called, names);
    const rename = (name: string): string => {
      if (!name) return "";
      const known = names.get(name);
      if (known !== undefined) return known;
      const made = this.fresh(`${base}/${name}`);
      names.set(name, made);
      return made;
    };
    const body = called.nodes.map((node) => {
      this.pay(node);
      // Branches that the call hands over keep the names of the place where it stands.
      const copy = withAttributes(renameNode(node, rename), call, called);
      return {
        ...copy,
        name: `${base}/${node.name || node.outputs.find((n) => n) || node.opType}`.slice(-maxNameLength),
      };
    });
    return [...this.expandAll(body, [...calls, called]), ...passed];
  }

  /** Gives results their names outside; those that are an input, or the same result again, are copied. */
  private bindOutputs(call: OnnxNode, called: OnnxFunction, names: Map<string, string>): OnnxNode[] {
    return called.outputs.flatMap((name, i): OnnxNode[] => {
      const outside = call.outputs[i];
      if (!outside) return [];
      const inside = names.get(name);
      if (inside === undefined) {
        names.set(name, outside);
        return [];
      }
      if (!inside)
        throw new GraphError(`${describeNode(call)}: the result "${outside}" is an input that is not given`);
      const copy = { name: outside, opType: "Identity", domain: "", attributes: {} };
      return [{ ...copy, inputs: [inside], outputs: [outside] }];
    });
  }

  private checkOpset(called: OnnxFunction, label: string): void {
    const version = called.opsets[""] ?? this.opset;
    if (version === this.opset) return;
    const odd = everyNode(called.nodes).find(({ domain, opType }) => {
      const changed = domain === "" && Object.hasOwn(changedIn, opType) ? changedIn[opType] : undefined;
      return changed !== undefined && version < changed !== this.opset < changed;
    });
    if (!odd) return;
    throw new UnsupportedError(
      `${label}: ${odd.opType} in the function ${describeFunction(called)} is of operator set ${version}, the model has ${this.opset}, where it means something else; export with one operator set`,
    );
  }

  private pay(node: OnnxNode): void {
    for (const { inputs, outputs } of everyNode([node])) {
      this.nodesLeft--;
      this.namesLeft -= inputs.length + outputs.length;
    }
    if (this.nodesLeft < 0) throw new GraphError(`functions expand to more than ${maxNodes} nodes`);
    if (this.namesLeft < 0) throw new GraphError(`functions expand to more than ${maxNames} names of values`);
  }

  private fresh(wanted: string): string {
    const base = wanted.slice(-maxNameLength);
    let name = base;
    for (let n = this.numbers.get(base) ?? 1; this.taken.has(name); n++) {
      name = `${base}_${n}`;
      this.numbers.set(base, n + 1);
    }
    this.taken.add(name);
    return name;
  }
}

/** A node of a body with the attributes that refer to the call's. */
function withAttributes(node: OnnxNode, call: OnnxNode, { defaults }: OnnxFunction): OnnxNode {
  const resolve = (attributes: OnnxNode["attributes"]): OnnxNode["attributes"] =>
    Object.fromEntries(
      Object.entries(attributes).flatMap(([name, value]): [string, OnnxAttribute][] => {
        if (value.kind === "reference") {
          const source = [call.attributes, defaults].find((list) => Object.hasOwn(list, value.value));
          // One that nobody gives is left out, and takes its own default.
          return source ? [[name, source[value.value]]] : [];
        }
        return [[name, value]];
      }),
    );
  const resolveNode = (inner: OnnxNode): OnnxNode =>
    mapGraphs({ ...inner, attributes: resolve(inner.attributes) }, (graph) => ({
      ...graph,
      nodes: graph.nodes.map(resolveNode),
    }));
  return resolveNode(node);
}

function mapGraphs(node: OnnxNode, map: (graph: OnnxGraph) => OnnxGraph): OnnxNode {
  const entries = Object.entries(node.attributes);
  if (!entries.some(([, value]) => value.kind === "graph")) return node;
  const attributes = entries.map(([name, value]): [string, OnnxAttribute] => [
    name,
    value.kind === "graph" ? { kind: "graph", value: map(value.value) } : value,
  ]);
  return { ...node, attributes: Object.fromEntries(attributes) };
}

/** A copy of a node under other names of values; branches see those that they do not define themselves. */
export function renameNode(node: OnnxNode, rename: (name: string) => string): OnnxNode {
  const renamed = mapGraphs(node, (graph) => {
    const own = ownNames(graph);
    const outer = (name: string): string => (own.has(name) ? name : rename(name));
    return {
      ...graph,
      nodes: graph.nodes.map((inner) => renameNode(inner, outer)),
      outputs: graph.outputs.map((output) => ({ ...output, name: outer(output.name) })),
    };
  });
  return { ...renamed, inputs: node.inputs.map(rename), outputs: node.outputs.map(rename) };
}

/** Nodes and those in their branches. */
function everyNode(nodes: readonly OnnxNode[]): OnnxNode[] {
  return nodes.flatMap((node) => [
    node,
    ...Object.values(node.attributes).flatMap((value) =>
      value.kind === "graph" ? everyNode(value.value.nodes) : [],
    ),
  ]);
}

function ownNames(graph: OnnxGraph): Set<string> {
  return new Set([
    ...graph.inputs.map(({ name }) => name),
    ...graph.initializers.keys(),
    ...graph.nodes.flatMap(({ outputs }) => outputs),
  ]);
}

/** Every name of a value, branches included. */
function namesIn(graph: OnnxGraph): Set<string> {
  const names = ownNames(graph);
  for (const { inputs, outputs } of everyNode(graph.nodes)) {
    for (const name of inputs) names.add(name);
    for (const name of outputs) names.add(name);
  }
  return names;
}
