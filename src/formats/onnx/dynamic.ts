/**
 * Fixed Reshape sizes that come from the input size become −1 (inferred) or 0 (copied), so that one converted model
 * runs at any size. Which extents come from the input size is told by following the picture axes through the graph.
 */
import { type Graph, inferShapes, type Node } from "../../ir/graph.ts";
import { elementCount, type Shape } from "../../ir/tensor.ts";
import { ops } from "../../ops/index.ts";
import { permutation } from "../../ops/permute.ts";

/** For every axis of a blob, outermost first: does its extent depend on the size of the input? */
type Marks = readonly boolean[];

export interface DynamicResult {
  /** Reshapes that were rewritten. */
  readonly rewritten: number;
  /** Layers that hold the model at its size, as `type "name"`. */
  readonly fixed: readonly string[];
}

/** Rewrites in place. The Input nodes' own extents tell the size that the graph was made for. */
export function makeDynamic(graph: Graph): DynamicResult {
  const shapes = inferShapes(graph, ops, {});
  const marks = new Map<string, Marks>();
  const fixed: string[] = [];
  let rewritten = 0;
  for (const node of graph.nodes) {
    const inputs = node.inputs.map((blob) => marks.get(blob) ?? []);
    const shape = shapes.get(node.outputs[0]) ?? [];
    if (node.type === "Reshape") {
      const from = shapes.get(node.inputs[0]) ?? [];
      const result = viewMarks(from, inputs[0], shape);
      const change = rewrite(node, from, shape, result);
      if (change === "fixed") fixed.push(`Reshape "${node.name}"`);
      if (change === "rewritten") rewritten++;
      marks.set(node.outputs[0], result);
      continue;
    }
    if (isHeld(node, inputs, shapes)) fixed.push(`${node.type} "${node.name}"`);
    const result = outputMarks(node, inputs, shape, shapes);
    for (const blob of node.outputs) marks.set(blob, result);
  }
  return { rewritten, fixed };
}

/** Marks of a view: contiguous groups of axes with equal products share them. */
function viewMarks(from: Shape, marks: Marks, to: Shape): boolean[] {
  const result = to.map(() => false);
  let i = 0;
  let j = 0;
  while (i < from.length && j < to.length) {
    const [firstI, firstJ] = [i, j];
    let [a, b] = [from[i++], to[j++]];
    while (a !== b) {
      if (a < b && i < from.length) a *= from[i++];
      else if (b < a && j < to.length) b *= to[j++];
      else break;
    }
    const isMarked = marks.slice(firstI, i).some(Boolean);
    if (!isMarked) continue;
    // [a, h·w] seen as [x, y, h·w/…]: when one side is a prefix that matches alone, the loop above has split it off.
    for (let k = firstJ; k < j; k++) result[k] = to[k] !== 1;
  }
  return result;
}

/** Replaces marked extents by 0 where the input's extent of that name is the same, the one that is left by -1. */
function rewrite(node: Node, from: Shape, to: Shape, marks: Marks): "none" | "rewritten" | "fixed" {
  const open = marks.flatMap((marked, i) => (marked ? [i] : []));
  if (open.length === 0) return "none";
  const names = namesOf(to.length);
  const fromNames = namesOf(from.length);
  const wanted = new Map<number, number>();
  if (open.length > 1) {
    for (const axis of open) {
      const same = fromNames.indexOf(names[axis]);
      if (same >= 0 && from[same] === to[axis]) wanted.set(axis, 0);
    }
  }
  const rest = open.filter((axis) => !wanted.has(axis));
  if (rest.length > 1) return "fixed";
  if (rest.length === 1) wanted.set(rest[0], -1);
  for (const [axis, value] of wanted) node.params[names[axis]] = value;
  return "rewritten";
}

const namesOf = (rank: number): string[] => [...(["", "w", "hw", "chw", "cdhw"][rank] ?? "")];

function outputMarks(
  node: Node,
  inputs: readonly Marks[],
  shape: Shape,
  shapes: ReadonlyMap<string, Shape>,
): Marks {
  switch (node.type) {
    case "Input":
      return shape.map((_, i) => shape.length === 3 && i > 0);
    case "MemoryData":
      return shape.map(() => false);
    case "Permute":
      return permutation(Number(node.params.order_type ?? 0), shape.length).map((axis) => inputs[0][axis]);
    case "Pooling":
      return shape.length === 1 ? [false] : inputs[0];
    case "InnerProduct":
      return shape.length === 1 ? [false] : [inputs[0][0], false];
    case "MatMul":
    case "Gemm": {
      const transposed = Number(node.params.transB ?? 0) === 1;
      const [a, b] = inputs;
      const last = b[b.length - (transposed ? 2 : 1)];
      return shape.map((_, i) => (i === shape.length - 1 ? last : (a[i + a.length - shape.length] ?? false)));
    }
    case "Reduction": {
      const axes = Array.isArray(node.params.axes) ? (node.params.axes as number[]) : [];
      if (shape.length === inputs[0].length) return inputs[0].map((marked, i) => marked && !axes.includes(i));
      const kept = inputs[0].filter((_, i) => !axes.includes(i));
      return kept.length === shape.length ? kept : shape.map(() => false);
    }
    default: {
      // Everything else keeps axes in place; of several inputs (Concat, BinaryOp) the one of full rank counts.
      const full = inputs.filter(
        (marks, i) => (shapes.get(node.inputs[i]) ?? []).length === shape.length && marks,
      );
      return shape.map((_, axis) => full.some((marks) => marks[axis]));
    }
  }
}

/** Constants and sizes that only fit one input size. */
function isHeld(node: Node, inputs: readonly Marks[], shapes: ReadonlyMap<string, Shape>): boolean {
  if (node.type === "Interp") return Boolean(node.params.output_height || node.params.output_width);
  if (node.type === "InnerProduct") {
    // Flattened pictures: the weights count the pixels.
    const [from] = node.inputs.map((blob) => shapes.get(blob) ?? []);
    return inputs[0].at(-1) === true || (from.length === 1 && inputs[0][0] === true);
  }
  if (node.type === "BinaryOp" && node.inputs.length === 2) {
    const [a, b] = node.inputs.map((blob) => shapes.get(blob) ?? []);
    if (a.length !== b.length || elementCount(a) === 1) return false;
    return a.some((d, i) => d === b[i] && d !== 1 && inputs[0][i] !== inputs[1][i]);
  }
  return false;
}
