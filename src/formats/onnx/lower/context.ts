/** What all lowering rules work with: the graph that grows, and for each ONNX value the blob that holds it. */
import { GraphError, UnsupportedError, withContext } from "../../../base/errors.ts";
import { Graph } from "../../../ir/graph.ts";
import { type Params, resolveParams } from "../../../ir/op.ts";
import { elementCount, formatShape, type Shape, sameShape } from "../../../ir/tensor.ts";
import type { Weight, Weights } from "../../../ir/weight.ts";
import { ops } from "../../../ops/index.ts";
import { allKnown } from "../dims.ts";
import type { ElementType } from "../elements.ts";
import type { OnnxShape } from "../infer.ts";
import {
  describeNode,
  type OnnxModel,
  type OnnxNode,
  type OnnxTensor,
  opsetOf,
  tensorNumbers,
} from "../model.ts";
import { blobShapeOf } from "./layout.ts";

/**
 * An ONNX value: a blob whose elements, in order, are the value's. The blob's shape may be any view of it: Reshape,
 * Squeeze, Flatten and the like only change `shape`, and a Reshape layer appears where a layer needs another view.
 */
export interface Value {
  readonly blob: string;
  readonly blobShape: Shape;
  /** As ONNX has it. */
  readonly shape: readonly number[];
}

export type Lower = (l: Lowering, node: OnnxNode) => void;

/** No value of a real model is near this. */
const maxElements = 2 ** 30;

/** ncnn's tools cut or break longer names. */
const maxName = 255;

export class Lowering {
  readonly graph = new Graph();
  /** What the user should know of the result, a line each. */
  readonly warnings: string[] = [];
  readonly opset: number;
  private readonly model: OnnxModel;
  private readonly shapes: Map<string, OnnxShape>;
  private readonly types: ReadonlyMap<string, ElementType>;
  private readonly values = new Map<string, Value>();
  private readonly blobShapes = new Map<string, Shape>();
  private readonly reshaped = new Map<string, string>();
  private readonly nodeNames = new Set<string>();
  private readonly blobNames = new Set<string>();
  private current: OnnxNode | undefined;

  constructor(
    model: OnnxModel,
    shapes: ReadonlyMap<string, OnnxShape>,
    types: ReadonlyMap<string, ElementType>,
  ) {
    this.model = model;
    this.shapes = new Map(shapes);
    this.types = types;
    this.opset = opsetOf(model);
  }

  /** Runs a rule with `node` as the one that names and errors are taken from. */
  run(node: OnnxNode, rule: Lower): void {
    this.current = node;
    try {
      rule(this, node);
    } catch (error) {
      throw withContext(describeNode(node, this.opset), error);
    }
  }

  warn(problem: string): void {
    this.warnings.push(`${describeNode(this.node)}: ${problem}`);
  }
  unsupported(problem: string, instead: string): never {
    throw new UnsupportedError(`${problem} cannot be lowered to ncnn; supported: ${instead}`);
  }

  // --- reading ---

  /** Rules take inputs by their place: a node of too few has none there. */
  private requireInput(name: string | undefined): void {
    if (!name) throw new GraphError(`${this.node.inputs.length} inputs are too few for this operator`);
  }

  /** The concrete shape of an ONNX value. */
  shapeOf(name: string): readonly number[] {
    this.requireInput(name);
    const shape = this.shapes.get(name);
    if (!shape || !allKnown(shape)) {
      throw new UnsupportedError(
        `the shape of "${name}" is ${shape ? `[${shape.join(", ")}]` : "not known"}: give the input size, so that all extents are numbers`,
      );
    }
    if (!(elementCount(shape) <= maxElements)) {
      throw new GraphError(`"${name}" would have the shape [${shape}], more than ${maxElements} elements`);
    }
    return shape;
  }
  typeOf(name: string): ElementType | undefined {
    return this.types.get(name);
  }
  constant(name: string | undefined): OnnxTensor | undefined {
    return name ? this.model.graph.initializers.get(name) : undefined;
  }
  /** Elements of a constant input, or an error that says that `what` must be constant. */
  numbers(name: string | undefined, what: string): number[] {
    const tensor = this.constant(name);
    if (!tensor) this.unsupported(`${what} computed at run time`, `constant ${what}`);
    return Array.from(tensorNumbers(tensor));
  }
  optionalNumbers(name: string | undefined): number[] | undefined {
    return name ? this.numbers(name, "parameters") : undefined;
  }
  scalar(name: string | undefined): number | undefined {
    const tensor = this.constant(name);
    return tensor?.data.length === 1 ? tensorNumbers(tensor)[0] : undefined;
  }

  /** The blob of a value; constants become MemoryData of the given shape (default: extents of 1 dropped). */
  value(name: string, constantShape?: Shape): Value {
    this.requireInput(name);
    const known = this.values.get(name);
    if (known) return known;
    const tensor = this.constant(name);
    if (!tensor) throw new GraphError(`value "${name}" is not available`);
    const shape = constantShape ?? blobShapeOf(tensor.dims);
    if (tensor.data.length === 0) this.unsupported(`the empty constant "${name}"`, "constants with elements");
    const [w, h, ...rest] = [...shape].reverse();
    const [d, c] = rest.length === 2 ? rest : [0, rest[0] ?? 0];
    const params: Params = { w, ...(h ? { h } : {}), ...(d ? { d } : {}), ...(c ? { c } : {}) };
    const data = Float32Array.from(tensorNumbers(tensor));
    const blob = this.sameConstant(shape, data) ?? this.memory(name, params, { storage: "f32", data });
    return { blob, blobShape: shape, shape: tensor.dims };
  }
  private memory(name: string, params: Params, data: Weight): string {
    return this.layer("MemoryData", [], params, { data }, { name, outputs: [name] })[0];
  }
  /** Exporters write a constant anew wherever it is used. */
  private sameConstant(shape: Shape, data: Float32Array): string | undefined {
    const node = this.graph.nodes.find(({ type, weights, outputs: [blob] }) => {
      const known = type === "MemoryData" ? weights.data.data : undefined;
      const isLike = known?.length === data.length && sameShape(this.blobShape(blob), shape);
      return isLike && data.every((value, i) => Object.is(value, known[i]));
    });
    return node?.outputs[0];
  }

  /** A blob with the elements of a value and the given shape: a Reshape layer unless it has that shape already. */
  as(value: Value, shape: Shape): string {
    if (sameShape(value.blobShape, shape)) return value.blob;
    if (elementCount(shape) !== elementCount(value.blobShape)) {
      throw new GraphError(`blob ${formatShape(value.blobShape)} cannot be seen as ${formatShape(shape)}`);
    }
    if (shape.length > 4) this.unsupported(`a blob of rank ${shape.length}, [${shape}],`, "ranks up to 4");
    const key = `${value.blob} ${formatShape(shape)}`;
    const known = this.reshaped.get(key);
    if (known) return known;
    const [w, h, ...rest] = [...shape].reverse();
    const [d, c] = rest.length === 2 ? rest : [undefined, rest[0]];
    const params: Params = { w };
    if (h !== undefined) params.h = h;
    if (d !== undefined) params.d = d;
    if (c !== undefined) params.c = c;
    const name = `${value.blob}_reshape`;
    const [blob] = this.layer("Reshape", [value.blob], params, {}, { name, outputs: [name] });
    this.reshaped.set(key, blob);
    return blob;
  }

  /** A value as a picture `[c, h, w]`; its batch must be 1. */
  picture(name: string): { blob: string; shape: Shape } {
    const value = this.value(name);
    if (value.shape.length !== 4) {
      this.unsupported(`an input of shape [${value.shape}]`, "rank 4 inputs [1, channels, height, width]");
    }
    this.checkBatch(value.shape);
    const shape = value.shape.slice(1);
    return { blob: this.as(value, shape), shape };
  }
  checkBatch(shape: readonly number[]): void {
    if (shape.length === 0) this.unsupported("a single number as input", "inputs with a batch axis");
    if (shape[0] !== 1) this.unsupported(`a batch of ${shape[0]}`, "batch 1");
  }

  // --- writing ---

  /** Appends a layer, checks its shapes and returns the names of its blobs. */
  layer(
    type: string,
    inputs: readonly string[],
    params: Params = {},
    weights: Weights = {},
    naming: { name?: string; outputs?: readonly string[] } = {},
  ): string[] {
    const op = ops.get(type);
    if (!op) throw new GraphError(`layer type ${type} is not known`);
    const [least, most] = op.inputs ?? [1, 1];
    if (inputs.length < least || inputs.length > most) {
      throw new GraphError(`${inputs.length} inputs do not fit ncnn's ${type}`);
    }
    const node = this.current;
    const base = naming.name ?? (node?.name || node?.outputs[0] || type);
    const outputs = (naming.outputs ?? [`${base}_${type}`]).map((name) => this.unique(name, this.blobNames));
    const shapes = op.shape(
      inputs.map((blob) => this.blobShape(blob)),
      resolveParams(op, params),
      outputs.length,
    );
    outputs.forEach((blob, i) => {
      this.blobShapes.set(blob, shapes[i]);
    });
    this.graph.add({
      type,
      name: this.unique(base, this.nodeNames),
      inputs: [...inputs],
      outputs,
      params,
      weights,
    });
    return outputs;
  }

  /** A layer whose only result is output 0 of the current node. */
  result(type: string, inputs: readonly string[], params: Params = {}, weights: Weights = {}): void {
    const [name] = this.node.outputs;
    const [blob] = this.layer(type, inputs, params, weights, { outputs: [name] });
    this.define(name, blob);
  }

  /** States which blob holds an ONNX value. */
  define(name: string, blob: string): void {
    const shape = this.shapeOf(name);
    const blobShape = this.blobShape(blob);
    if (elementCount(shape) !== elementCount(blobShape)) {
      throw new GraphError(`"${name}" has shape [${shape}], its blob ${formatShape(blobShape)}`);
    }
    this.values.set(name, { blob, blobShape, shape });
  }

  /** A value that ONNX has no name for: called like its blob. */
  defineAs(blob: string, shape: readonly number[]): void {
    this.shapes.set(blob, shape);
    this.define(blob, blob);
  }

  /** A value that only the current rule sees. */
  view(blob: string, shape: readonly number[]): Value {
    return { blob, blobShape: this.blobShape(blob), shape };
  }

  /** The value is the same data under another shape. */
  alias(name: string, from: Value): void {
    this.define(name, from.blob);
  }

  input(name: string): void {
    const shape = this.shapeOf(name);
    if (shape.length > 1) this.checkBatch(shape);
    const blobShape = shape.length > 1 ? shape.slice(1) : shape;
    if (blobShape.length > 4) this.unsupported(`the input "${name}" of shape [${shape}]`, "rank 5 at most");
    const [w, h, ...rest] = [...blobShape].reverse();
    const [d, c] = rest.length === 2 ? rest : [undefined, rest[0]];
    const params: Params = { w };
    if (h !== undefined) params.h = h;
    if (d !== undefined) params.d = d;
    if (c !== undefined) params.c = c;
    const [blob] = this.layer("Input", [], params, {}, { name, outputs: [name] });
    this.values.set(name, { blob, blobShape, shape });
  }

  /** Gives a blob that nobody reads another name; what had that name before gets a new one. */
  renameBlob(blob: string, name: string): void {
    if (this.blobNames.has(name)) this.replaceName(name, this.unique(`${name}_inner`, this.blobNames));
    this.blobNames.add(name);
    this.replaceName(blob, name);
  }
  private replaceName(from: string, to: string): void {
    for (const node of this.graph.nodes) {
      node.inputs = node.inputs.map((blob) => (blob === from ? to : blob));
      node.outputs = node.outputs.map((blob) => (blob === from ? to : blob));
    }
    this.blobShapes.set(to, this.blobShape(from));
    for (const [name, value] of this.values)
      if (value.blob === from) this.values.set(name, { ...value, blob: to });
    for (const [key, blob] of this.reshaped) if (blob === from) this.reshaped.set(key, to);
  }

  get node(): OnnxNode {
    if (!this.current) throw new GraphError("no node is being lowered");
    return this.current;
  }
  blobShape(blob: string): Shape {
    const shape = this.blobShapes.get(blob);
    if (!shape) throw new GraphError(`blob "${blob}" is not available`);
    return shape;
  }

  private unique(wanted: string, taken: Set<string>): string {
    let base = wanted.replace(/\s+/g, "_") || "unnamed";
    if (base.length > maxName - 8) base = base.slice(-(maxName - 8));
    let name = base;
    for (let n = 1; taken.has(name); n++) name = `${base}_${n}`;
    taken.add(name);
    return name;
  }
}
