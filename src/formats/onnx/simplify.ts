/**
 * What `python -m onnxsim` does: shape inference, constant folding, removal of nodes that do nothing or that nobody
 * needs, BatchNormalization folded into convolutions. One pass forward over the sorted nodes, one backward.
 */

import { GraphError, UnsupportedError, withContext } from "../../base/errors.ts";
import { brief } from "../../base/text.ts";
import { allKnown } from "./dims.ts";
import type { ElementType } from "./elements.ts";
import { evaluators, FoldRefused } from "./evaluate.ts";
import { foldBatchNorm } from "./fold-batch-norm.ts";
import { renameNode } from "./functions.ts";
import { type InferContext, inferType, type OnnxShape, shapeRules } from "./infer.ts";
import { dataRules } from "./infer-data.ts";
import {
  cloneModel,
  countOperators,
  type Dim,
  describeNode,
  graphAttribute,
  makeTensor,
  type OnnxGraph,
  type OnnxModel,
  type OnnxNode,
  type OnnxTensor,
  opsetOf,
  tensorAttribute,
  tensorNumbers,
  tensorSize,
} from "./model.ts";
import { isNoOp, type KnownValues } from "./no-op.ts";
import { sortNodes } from "./sort.ts";

export interface SimplifyOptions {
  /** New shapes of inputs; extents that are names stay open. */
  readonly overwriteShapes?: Readonly<Record<string, OnnxShape>>;
  /** Output names to keep instead of the graph's own: everything that only others need goes. */
  readonly outputs?: readonly string[];
}

export interface Simplified {
  readonly model: OnnxModel;
  /** Shapes of all values whose rank is known. */
  readonly shapes: ReadonlyMap<string, OnnxShape>;
  readonly types: ReadonlyMap<string, ElementType>;
  /** Operator counts, most frequent first. */
  readonly before: ReadonlyMap<string, number>;
  readonly after: ReadonlyMap<string, number>;
}

/** Integer tensors up to this size are followed through shape arithmetic. */
const maxDataElements = 64;

/** Throws GraphError where a graph contradicts itself, UsageError never: unknown operators are left as they are. */
export function simplify(model: OnnxModel, options: SimplifyOptions = {}): Simplified {
  const copy = cloneModel(model);
  const before = countOperators(copy.graph);
  const run = new Simplifier(copy, options);
  run.forward();
  removeDead(copy.graph);
  if (foldBatchNorm(copy.graph)) removeDead(copy.graph);
  run.describeValues();
  return {
    model: copy,
    shapes: run.shapes,
    types: run.types,
    before,
    after: countOperators(copy.graph),
  };
}

class Simplifier {
  /** What rules may ask of values. */
  private readonly known: KnownValues = {
    shape: (name) => this.shapes.get(name),
    type: (name) => this.types.get(name),
    constant: (name) => this.constant(name),
  };
  readonly shapes = new Map<string, OnnxShape>();
  readonly types = new Map<string, ElementType>();
  private readonly data = new Map<string, readonly Dim[]>();
  /** Values that are another value, by name. */
  private readonly alias = new Map<string, string>();
  private readonly graph: OnnxGraph;
  private readonly opset: number;
  private readonly outputNames: ReadonlySet<string>;
  /** Values that are renamed to the output that they turned out to be. */
  private readonly promoted = new Map<string, string>();

  constructor(model: OnnxModel, options: SimplifyOptions) {
    this.graph = model.graph;
    this.opset = opsetOf(model);
    if (options.outputs) {
      this.graph.outputs = options.outputs.map(
        (name) => this.graph.outputs.find((info) => info.name === name) ?? { name, type: "float32" },
      );
    }
    this.outputNames = new Set(this.graph.outputs.map((info) => info.name));
    this.setInputs(options.overwriteShapes ?? {});
    for (const [name, tensor] of this.graph.initializers) this.noteConstant(name, tensor);
  }

  private setInputs(overwrite: Readonly<Record<string, OnnxShape>>): void {
    for (const name of Object.keys(overwrite)) {
      if (!this.graph.inputs.some((input) => input.name === name)) {
        const known = brief(this.graph.inputs.map((input) => input.name).join(", "));
        throw new GraphError(`a shape is given for input "${name}", the model has: ${known}`);
      }
    }
    this.graph.inputs = this.graph.inputs.map((info) => {
      const given = overwrite[info.name] ?? info.shape;
      const shape = given?.map((d, i) => (d === "" ? `${info.name}_${i}`.replaceAll("*", "") : d));
      if (shape) this.shapes.set(info.name, shape);
      if (info.type) this.types.set(info.name, info.type);
      return { ...info, shape };
    });
  }

  private noteConstant(name: string, tensor: OnnxTensor): void {
    this.shapes.set(name, tensor.dims);
    this.types.set(name, tensor.type);
  }

  forward(): void {
    const queue = sortNodes(this.graph);
    const kept: OnnxNode[] = [];
    for (let at = 0; at < queue.length; at++) {
      const node = queue[at];
      node.inputs = node.inputs.map((name) => this.alias.get(name) ?? name);
      try {
        const inlined = this.inlineIf(node);
        if (inlined) queue.splice(at + 1, 0, ...inlined);
        else if (!this.fold(node) && !this.infer(node) && !this.drop(node)) kept.push(node);
      } catch (error) {
        throw withContext(describeNode(node, this.opset), error);
      }
    }
    this.graph.nodes = kept;
    this.applyPromotions();
  }

  private constant(name: string | undefined): OnnxTensor | undefined {
    return name ? this.graph.initializers.get(name) : undefined;
  }

  private setConstant(name: string, tensor: OnnxTensor): void {
    this.graph.initializers.set(name, tensor);
    this.noteConstant(name, tensor);
  }

  /** Constant nodes, and nodes whose inputs are all constant. */
  private fold(node: OnnxNode): boolean {
    if (node.domain !== "") return false;
    if (node.opType === "Constant") {
      this.setConstant(node.outputs[0], constantValue(node));
      return true;
    }
    const evaluate = Object.hasOwn(evaluators, node.opType) ? evaluators[node.opType] : undefined;
    const inputs = node.inputs.map((name) => this.constant(name));
    if (!evaluate || inputs.some((tensor, i) => !tensor && node.inputs[i])) return false;
    let outputs: OnnxTensor[];
    try {
      outputs = evaluate(node, inputs, this.opset);
    } catch (error) {
      if (error instanceof FoldRefused) return false;
      // Typed arrays refuse impossible lengths with RangeError.
      if (error instanceof RangeError || error instanceof TypeError)
        throw new GraphError(`cannot be evaluated`);
      throw error;
    }
    node.outputs.forEach((name, i) => {
      if (name && outputs[i]) this.setConstant(name, outputs[i]);
    });
    return true;
  }

  /** Notes shapes, types and integer values of the outputs; true when that makes the node a constant. */
  private infer(node: OnnxNode): boolean {
    if (node.domain !== "") return false;
    const context = this.contextOf(node);
    const shapes = Object.hasOwn(shapeRules, node.opType) ? shapeRules[node.opType](context) : undefined;
    node.outputs.forEach((name, i) => {
      if (!name) return;
      const type = inferType(context, i);
      if (type) this.types.set(name, type);
      const shape = shapes?.[i] ?? this.declaredShape(name);
      if (shape) this.shapes.set(name, shape);
    });
    const data = Object.hasOwn(dataRules, node.opType) ? dataRules[node.opType](context) : undefined;
    if (!data || data.length > maxDataElements) return false;
    const [name] = node.outputs;
    const shape = this.shapes.get(name);
    if (allKnown(data) && shape && allKnown(shape)) {
      this.setConstant(name, makeTensor(this.types.get(name) ?? "int64", shape, data));
      return true;
    }
    this.data.set(name, data);
    return false;
  }

  private declaredShape(name: string): OnnxShape | undefined {
    const info =
      this.graph.valueInfo.find((v) => v.name === name) ?? this.graph.outputs.find((v) => v.name === name);
    return info?.shape?.map((d, i) => (d === "" ? `${name}_${i}`.replaceAll("*", "") : d));
  }

  private contextOf(node: OnnxNode): InferContext {
    const nameOf = (input: number): string | undefined => node.inputs[input];
    return {
      node,
      opset: this.opset,
      shape: (i) => this.shapes.get(nameOf(i) ?? ""),
      type: (i) => this.types.get(nameOf(i) ?? ""),
      constant: (i) => this.constant(nameOf(i)),
      data: (i) => {
        const tensor = this.constant(nameOf(i));
        if (tensor && tensorSize(tensor) <= maxDataElements) return Array.from(tensorNumbers(tensor));
        return this.data.get(nameOf(i) ?? "");
      },
    };
  }

  /** Removes a node that hands its input on. */
  private drop(node: OnnxNode): boolean {
    if (node.outputs.slice(1).some((name) => name) && node.opType !== "Dropout") return false;
    if (node.domain !== "" || !isNoOp(node, this.known)) return false;
    const [from] = node.inputs;
    const [to] = node.outputs;
    if (!this.outputNames.has(to)) {
      this.alias.set(to, from);
      return true;
    }
    const isProduced = !this.constant(from) && !this.graph.inputs.some((input) => input.name === from);
    if (!isProduced || this.outputNames.has(from) || this.promoted.has(from)) {
      node.opType = "Identity";
      node.attributes = {};
      node.inputs = [from];
      return false;
    }
    this.promoted.set(from, to);
    this.alias.set(to, from);
    return true;
  }

  /** The nodes of the branch that a constant condition picks, with inner names made unique. */
  private inlineIf(node: OnnxNode): OnnxNode[] | undefined {
    if (node.opType !== "If" || node.domain !== "") return undefined;
    const condition = this.constant(node.inputs[0]);
    if (!condition) {
      throw new UnsupportedError(
        "the condition of this If depends on the input; export with fixed shapes or give the input shape",
      );
    }
    const branch = graphAttribute(node, tensorNumbers(condition)[0] ? "then_branch" : "else_branch");
    if (!branch || branch.outputs.length !== node.outputs.length)
      throw new GraphError("the branch is incomplete");
    const prefix = `${node.outputs[0]}/`;
    const inner = new Set(branch.nodes.flatMap((n) => n.outputs).concat([...branch.initializers.keys()]));
    const rename = (name: string): string =>
      name && inner.has(name) ? prefix + name : (this.alias.get(name) ?? name);
    for (const [name, tensor] of branch.initializers) this.setConstant(rename(name), tensor);
    const nodes = sortNodes(branch, false).map((n) => ({
      ...renameNode(n, rename),
      name: n.name && prefix + n.name,
    }));
    const results = branch.outputs.map((output, i) => identity(rename(output.name), node.outputs[i]));
    return [...nodes, ...results];
  }

  private applyPromotions(): void {
    const { promoted } = this;
    if (promoted.size === 0) return;
    const rename = (name: string): string => promoted.get(name) ?? name;
    for (const node of this.graph.nodes) {
      node.inputs = node.inputs.map(rename);
      node.outputs = node.outputs.map(rename);
    }
    for (const [from, to] of promoted) {
      const shape = this.shapes.get(from);
      if (shape) this.shapes.set(to, shape);
    }
  }

  /** Writes the inferred shapes into the graph's descriptions of values. */
  describeValues(): void {
    const { graph, shapes, types } = this;
    const describe = (name: string) => ({ name, type: types.get(name), shape: shapes.get(name) });
    graph.outputs = graph.outputs.map((info) => ({
      ...info,
      type: types.get(info.name) ?? info.type,
      shape: shapes.get(info.name) ?? info.shape,
    }));
    const isOutput = new Set(graph.outputs.map((info) => info.name));
    graph.valueInfo = graph.nodes
      .flatMap((node) => node.outputs)
      .filter((name) => name && !isOutput.has(name))
      .map(describe);
    const used = new Set([...graph.nodes.flatMap((node) => node.inputs), ...isOutput]);
    for (const name of graph.initializers.keys()) if (!used.has(name)) graph.initializers.delete(name);
    this.produceConstantOutputs();
  }

  /** A checker wants every output to be produced by a node, also where it turned out to be constant. */
  private produceConstantOutputs(): void {
    const { graph } = this;
    for (const { name } of graph.outputs) {
      const constant = graph.initializers.get(name);
      if (!constant) continue;
      const inner = `${name}_value`;
      graph.initializers.delete(name);
      graph.initializers.set(inner, constant);
      for (const node of graph.nodes)
        node.inputs = node.inputs.map((input) => (input === name ? inner : input));
      graph.nodes.push(identity(inner, name));
    }
  }
}

function identity(from: string, to: string): OnnxNode {
  return { name: "", opType: "Identity", domain: "", inputs: [from], outputs: [to], attributes: {} };
}

function constantValue(node: OnnxNode): OnnxTensor {
  const value = tensorAttribute(node, "value");
  if (value) return value;
  const [[name, attribute] = ["", undefined]] = Object.entries(node.attributes);
  if (attribute?.kind === "int") return makeTensor("int64", [], [attribute.value]);
  if (attribute?.kind === "ints") return makeTensor("int64", [attribute.value.length], attribute.value);
  if (attribute?.kind === "float") return makeTensor("float32", [], [attribute.value]);
  if (attribute?.kind === "floats") return makeTensor("float32", [attribute.value.length], attribute.value);
  throw new UnsupportedError(`constants given as ${name || "nothing"} are not supported`);
}

/** Removes nodes whose results reach no output. */
export function removeDead(graph: OnnxGraph): void {
  const needed = new Set(graph.outputs.map((info) => info.name));
  const kept: OnnxNode[] = [];
  for (const node of graph.nodes.toReversed()) {
    if (!node.outputs.some((name) => needed.has(name))) continue;
    kept.push(node);
    for (const name of node.inputs) needed.add(name);
    for (const name of capturedNames(node)) needed.add(name);
  }
  graph.nodes = kept.reverse();
}

/** Names that the sub-graphs of a node take from outside. */
function capturedNames(node: OnnxNode): string[] {
  return Object.values(node.attributes).flatMap((attribute) =>
    attribute.kind === "graph"
      ? [
          ...attribute.value.nodes.flatMap((inner) => [...inner.inputs, ...capturedNames(inner)]),
          ...attribute.value.outputs.map(({ name }) => name),
        ]
      : [],
  );
}
