/**
 * An ONNX file in memory: what readers, `simplify`, the lowering and the writer share. Only what those use; names follow
 * onnx.proto (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto).
 */

import { UnsupportedError } from "../../base/errors.ts";
import { brief, quote } from "../../base/text.ts";
import { type Elements, type ElementType, fromNumbers, toNumbers } from "./elements.ts";

/** An extent: a number, or the name of one that is only known at run time. */
export type Dim = number | string;

export interface OnnxTensor {
  readonly type: ElementType;
  readonly dims: readonly number[];
  readonly data: Elements;
}

export type OnnxAttribute =
  | { readonly kind: "float"; readonly value: number }
  | { readonly kind: "int"; readonly value: number }
  | { readonly kind: "string"; readonly value: string }
  | { readonly kind: "tensor"; readonly value: OnnxTensor }
  | { readonly kind: "graph"; readonly value: OnnxGraph }
  | { readonly kind: "floats"; readonly value: readonly number[] }
  | { readonly kind: "ints"; readonly value: readonly number[] }
  | { readonly kind: "strings"; readonly value: readonly string[] }
  /** In a function: the attribute of that name of the call. None is left in a model that was read. */
  | { readonly kind: "reference"; readonly value: string }
  /** A kind that nothing here uses; reading it is an error only when a node that has it is needed. */
  | { readonly kind: "other"; readonly value: number };

export interface OnnxNode {
  name: string;
  opType: string;
  /** "" is the standard operator set. */
  domain: string;
  /** An empty name is an optional input that is not given. */
  inputs: string[];
  outputs: string[];
  attributes: Record<string, OnnxAttribute>;
  /** Which of several functions of one name is called. */
  overload?: string;
}

export interface OnnxValueInfo {
  readonly name: string;
  /** Absent for values that are not tensors. */
  readonly type?: ElementType;
  /** Absent when even the rank is unknown; `""` for an extent without a name. */
  readonly shape?: readonly Dim[];
}

export interface OnnxGraph {
  name: string;
  nodes: OnnxNode[];
  initializers: Map<string, OnnxTensor>;
  /** Inputs that the caller feeds: those that have an initializer are left out. */
  inputs: OnnxValueInfo[];
  outputs: OnnxValueInfo[];
  valueInfo: OnnxValueInfo[];
}

export interface OnnxModel {
  irVersion: number;
  producer: string;
  /** Version of each operator set by domain; `""` is the standard one. */
  opsets: Record<string, number>;
  metadata: Record<string, string>;
  graph: OnnxGraph;
}

export function opsetOf(model: OnnxModel): number {
  return model.opsets[""] ?? 1;
}

/** `Conv "/model.0/conv" (opset 17)`: how a node is named in errors. */
export function describeNode(node: OnnxNode, opset?: number): string {
  const type = brief(node.domain ? `${node.domain}.${node.opType}` : node.opType);
  const label = node.name || node.outputs.find((name) => name) || "unnamed";
  return `${type} node ${quote(label)}${opset === undefined ? "" : ` (opset ${opset})`}`;
}

interface Values {
  float: number;
  int: number;
  string: string;
  tensor: OnnxTensor;
  graph: OnnxGraph;
  ints: readonly number[];
}

function attribute<K extends keyof Values>(node: OnnxNode, name: string, kind: K): Values[K] | undefined {
  const found = Object.hasOwn(node.attributes, name) ? node.attributes[name] : undefined;
  if (!found) return undefined;
  if (found.kind !== kind) {
    throw new UnsupportedError(
      `${describeNode(node)}: attribute ${name} is of kind ${found.kind}, expected ${kind}`,
    );
  }
  return found.value as Values[K];
}
export const intAttribute = (node: OnnxNode, name: string, fallback: number): number =>
  attribute(node, name, "int") ?? fallback;
export const floatAttribute = (node: OnnxNode, name: string, fallback: number): number =>
  attribute(node, name, "float") ?? fallback;
export const stringAttribute = (node: OnnxNode, name: string, fallback: string): string =>
  attribute(node, name, "string") ?? fallback;
export const intsAttribute = (node: OnnxNode, name: string): readonly number[] | undefined =>
  attribute(node, name, "ints");
export const tensorAttribute = (node: OnnxNode, name: string): OnnxTensor | undefined =>
  attribute(node, name, "tensor");
export const graphAttribute = (node: OnnxNode, name: string): OnnxGraph | undefined =>
  attribute(node, name, "graph");

export const ints = (value: readonly number[]): OnnxAttribute => ({ kind: "ints", value });
export const int = (value: number): OnnxAttribute => ({ kind: "int", value });
export const float = (value: number): OnnxAttribute => ({ kind: "float", value });

export function tensorSize(tensor: OnnxTensor): number {
  return tensor.data.length;
}
/** All elements as plain numbers (half floats widened). */
export function tensorNumbers(tensor: OnnxTensor): ArrayLike<number> & Iterable<number> {
  return toNumbers(tensor.type, tensor.data);
}
export function makeTensor(
  type: ElementType,
  dims: readonly number[],
  numbers: ArrayLike<number>,
): OnnxTensor {
  return { type, dims, data: fromNumbers(type, numbers) };
}

/** A copy whose nodes and lists can be rewritten; tensor data is shared and never written into. */
export function cloneModel(model: OnnxModel): OnnxModel {
  const { graph } = model;
  return {
    ...model,
    opsets: { ...model.opsets },
    metadata: { ...model.metadata },
    graph: {
      ...graph,
      nodes: graph.nodes.map((node) => ({
        ...node,
        inputs: [...node.inputs],
        outputs: [...node.outputs],
        attributes: { ...node.attributes },
      })),
      initializers: new Map(graph.initializers),
      inputs: [...graph.inputs],
      outputs: [...graph.outputs],
      valueInfo: [...graph.valueInfo],
    },
  };
}

/** Counts of operators by type, most frequent first. */
export function countOperators(graph: OnnxGraph): Map<string, number> {
  const counts = new Map<string, number>();
  for (const node of graph.nodes) counts.set(node.opType, (counts.get(node.opType) ?? 0) + 1);
  return new Map([...counts].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1)));
}
