/** What the export rules build with: ONNX nodes and constants. A blob `[c, h, w]` is the ONNX value `[1, c, h, w]`. */
import { UnsupportedError } from "../../../base/errors.ts";
import { type Node, paramsOf } from "../../../ir/graph.ts";
import type { ParamSpecs, ParamValues } from "../../../ir/op.ts";
import type { Shape } from "../../../ir/tensor.ts";
import { type Weight, weightToFloat32 } from "../../../ir/weight.ts";
import { ops } from "../../../ops/index.ts";
import { int, makeTensor, type OnnxAttribute, type OnnxNode, type OnnxTensor } from "../model.ts";

export class Exporter {
  readonly nodes: OnnxNode[] = [];
  readonly constants = new Map<string, OnnxTensor>();
  /** Height and width are names in the result: nothing may depend on their numbers. */
  readonly dynamic: boolean;
  private readonly shapes: ReadonlyMap<string, Shape>;
  private readonly taken: Set<string>;
  private current: Node | undefined;

  constructor(shapes: ReadonlyMap<string, Shape>, dynamic: boolean) {
    this.shapes = shapes;
    this.dynamic = dynamic;
    this.taken = new Set(shapes.keys());
  }

  begin(node: Node): void {
    this.current = node;
  }
  get node(): Node {
    if (!this.current) throw new UnsupportedError("no layer is being exported");
    return this.current;
  }
  unsupported(problem: string): never {
    throw new UnsupportedError(
      `${this.node.type} "${this.node.name}": ${problem} has no form in ONNX export`,
    );
  }

  shape(blob: string): Shape {
    return this.shapes.get(blob) ?? this.unsupported(`the unknown blob "${blob}"`);
  }
  /** Parameters with defaults; numbers, lists and text by name. */
  params(): ParamValues<ParamSpecs> {
    return paramsOf(this.node, ops);
  }
  number(name: string): number {
    return Number(this.params()[name] ?? 0);
  }
  list(name: string): readonly number[] {
    const value = this.params()[name];
    return Array.isArray(value) ? value : [];
  }

  /** A constant of float32 values. */
  floats(label: string, dims: readonly number[], values: ArrayLike<number>): string {
    return this.constant(label, { type: "float32", dims, data: Float32Array.from(values) });
  }
  scalar(label: string, value: number): string {
    return this.floats(label, [], [value]);
  }
  ints(label: string, values: readonly number[]): string {
    return this.constant(label, makeTensor("int64", [values.length], values));
  }
  private constant(label: string, tensor: OnnxTensor): string {
    const name = this.unique(`${this.node.name}_${label}`);
    this.constants.set(name, tensor);
    return name;
  }
  /** A weight of the current layer as a constant. */
  weight(name: string, dims: readonly number[]): string {
    return this.floats(name, dims, this.weightValues(name));
  }
  weightValues(name: string): Float32Array {
    const weight: Weight | undefined = this.node.weights[name];
    if (!weight) return this.unsupported(`the missing weight ${name}`);
    if (weight.storage === "i8") return this.unsupported("int8 weights; export the float model");
    return weightToFloat32(weight);
  }

  /** Appends a node with one result, called `output` or a new name. */
  add(
    opType: string,
    inputs: readonly string[],
    attributes: Record<string, OnnxAttribute> = {},
    output: string = this.unique(`${this.node.name}_${opType}`),
  ): string {
    this.addMany(opType, inputs, attributes, [output]);
    return output;
  }
  addMany(
    opType: string,
    inputs: readonly string[],
    attributes: Record<string, OnnxAttribute>,
    outputs: readonly string[],
  ): void {
    const name = this.unique(`${this.node.name}/${opType}`);
    this.nodes.push({ name, opType, domain: "", inputs: [...inputs], outputs: [...outputs], attributes });
  }
  /** The result of the current layer. */
  result(opType: string, inputs: readonly string[], attributes: Record<string, OnnxAttribute> = {}): void {
    this.add(opType, inputs, attributes, this.node.outputs[0]);
  }
  /** A value seen with other extents (without the batch axis, which is put in front). */
  reshape(value: string, shape: Shape, output?: string): string {
    return this.add("Reshape", [value, this.ints("shape", [1, ...shape])], {}, output);
  }

  private unique(wanted: string): string {
    let name = wanted;
    for (let n = 1; this.taken.has(name); n++) name = `${wanted}_${n}`;
    this.taken.add(name);
    return name;
  }
}

export type ExportRule = (e: Exporter) => void;

// --- what rules of all families ask ---

export const input = (e: Exporter, i = 0): string => e.node.inputs[i];
export const inputShape = (e: Exporter, i = 0): Shape => e.shape(input(e, i));
export const outputShape = (e: Exporter): Shape => e.shape(e.node.outputs[0]);
export const text = (value: string): OnnxAttribute => ({ kind: "string", value });

/** A layer that is one operator with one input. */
export const simple =
  (opType: string, attributes: (e: Exporter) => Record<string, OnnxAttribute> = () => ({})): ExportRule =>
  (e) => {
    e.result(opType, [input(e)], attributes(e));
  };

/** The `axis` parameter as ONNX counts it, with the batch axis in front. */
export const axisAttribute = (e: Exporter): OnnxAttribute => {
  const axis = e.number("axis");
  return int(1 + (axis < 0 ? axis + inputShape(e).length : axis));
};
