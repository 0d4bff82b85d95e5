/** Reading and changing the parameters of a node. */
import { type Node, opOf, paramsOf } from "../ir/graph.ts";
import { type Arithmetic, type Op, type Params, type ParamValue, resolveParams } from "../ir/op.ts";
import { ops } from "../ops/index.ts";

/** A numeric parameter with its default filled in; `fallback` for a layer that has no parameter of that name. */
export function num(node: Node, name: string, fallback = 0): number {
  const value = paramsOf(node, ops)[name];
  return typeof value === "number" ? value : fallback;
}

/** The arithmetic that a layer is, if it is that (`Op.arithmetic`). */
export function arithmetic(node: Node | undefined): Arithmetic | undefined {
  return node && opOf(node, ops).arithmetic?.(paramsOf(node, ops));
}

/** An array parameter with its default filled in. */
export function list(node: Node, name: string): readonly number[] {
  const value = paramsOf(node, ops)[name];
  return Array.isArray(value) ? (value as readonly number[]) : [];
}

/** Sets parameters as ncnn's own tools would write them: in the order of the description, defaults left out. */
export function setParams(node: Node, changes: Params): void {
  const given = { ...node.params, ...changes };
  const { shape_hints, feature_mask, ...own } = given;
  const op = opOf(node, ops);
  node.params = {};
  for (const name of Object.keys(op.params)) {
    const value = own[name];
    if (value === undefined) continue;
    const usual = resolveParams(op, { ...own, [name]: undefined as unknown as ParamValue })[name];
    if (!(name in changes) || !equalValues(value, usual)) node.params[name] = value;
  }
  if (feature_mask !== undefined) node.params.feature_mask = feature_mask;
  if (shape_hints !== undefined) node.params.shape_hints = shape_hints;
}

/** Makes the node another layer, keeping its name and blobs. */
export function become(node: Node, op: Op, params: Params = {}): void {
  node.type = op.type;
  node.params = {};
  node.weights = {};
  setParams(node, params);
}

function equalValues(a: ParamValue, b: ParamValue): boolean {
  if (Array.isArray(a) && Array.isArray(b))
    return a.length === b.length && a.every((value, i) => value === b[i]);
  return a === b;
}
