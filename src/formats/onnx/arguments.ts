/**
 * What the arguments of operators mean: axes, bounds, sizes of parts and results. Shape inference, constant evaluation and lowering
 * all read them here. Attribute or input, negative counts and defaults are as the operator's specification has them; what breaks it is
 * a GraphError.
 */
import { GraphError } from "../../base/errors.ts";
import { elementCount } from "../../ir/tensor.ts";
import { floatAttribute, intsAttribute, type OnnxNode, type OnnxTensor, tensorNumbers } from "./model.ts";

/** Row-major strides, 0 where an axis of extent 1 is broadcast to `target`. */
export function broadcastStrides(dims: readonly number[], target: readonly number[]): number[] {
  const strides = new Array<number>(target.length).fill(0);
  let stride = 1;
  for (let i = dims.length - 1; i >= 0; i--) {
    if (dims[i] !== 1) strides[i + target.length - dims.length] = stride;
    stride *= dims[i];
  }
  return strides;
}

export function rowMajor(dims: readonly number[]): number[] {
  const strides = new Array<number>(dims.length).fill(1);
  for (let i = dims.length - 2; i >= 0; i--) strides[i] = strides[i + 1] * dims[i + 1];
  return strides;
}

/** Place of an element along every axis, from its number in row-major order. */
export function unravel(index: number, dims: readonly number[]): number[] {
  const at = new Array<number>(dims.length);
  for (let axis = dims.length - 1, rest = index; axis >= 0; axis--) {
    at[axis] = rest % dims[axis];
    rest = (rest - at[axis]) / dims[axis];
  }
  return at;
}

export function ravel(at: readonly number[], dims: readonly number[]): number {
  return dims.reduce((index, extent, axis) => index * extent + at[axis], 0);
}

export function normalizeAxis(axis: number, rank: number): number {
  const normal = axis < 0 ? axis + rank : axis;
  if (!Number.isInteger(normal) || normal < 0 || normal >= Math.max(rank, 1)) {
    throw new GraphError(`axis ${axis} does not exist in rank ${rank}`);
  }
  return normal;
}

export const wholeNumbers = (tensor: OnnxTensor): number[] => Array.from(tensorNumbers(tensor));

/** Axes from input 1 (opset ≥ 13, or 18 for most reductions) or the attribute. */
export function axesOf(node: OnnxNode, axesInput: OnnxTensor | undefined): number[] | undefined {
  if (axesInput) return wholeNumbers(axesInput);
  const attribute = intsAttribute(node, "axes");
  return attribute ? [...attribute] : undefined;
}

/** Dims of Reshape's result: 0 copies (unless `allowzero`), one -1 is inferred. */
export function reshapeDims(
  from: readonly number[],
  wanted: readonly number[],
  allowZero: boolean,
): number[] {
  const dims = wanted.map((d, i) => (d === 0 && !allowZero ? (from[i] ?? 0) : d));
  const total = elementCount(from);
  const unknown = dims.indexOf(-1);
  if (unknown >= 0) {
    const rest = elementCount(dims.filter((_, i) => i !== unknown));
    dims[unknown] = rest === 0 ? 0 : total / rest;
  }
  if (dims.some((d) => !Number.isSafeInteger(d) || d < 0) || elementCount(dims) !== total) {
    throw new GraphError(`[${from}] cannot be reshaped to [${wanted}]`);
  }
  return dims;
}

/** Removes (squeeze) extents of 1; all of them when no axes are given. */
export function squeezeDims<T>(dims: readonly T[], axes: readonly number[] | undefined): T[] {
  if (!axes) return dims.filter((d) => d !== 1);
  const gone = new Set(axes.map((a) => normalizeAxis(a, dims.length)));
  return dims.filter((_, i) => !gone.has(i));
}

export function unsqueezeDims<T>(dims: readonly T[], axes: readonly number[], one: T): T[] {
  const rank = dims.length + axes.length;
  const added = new Set(axes.map((a) => normalizeAxis(a, rank)));
  if (added.size !== axes.length) throw new GraphError(`axes [${axes}] repeat`);
  const rest = [...dims];
  return Array.from({ length: rank }, (_, i) => (added.has(i) ? one : (rest.shift() as T)));
}

/** One axis of a Slice with bounds brought into range. */
export interface SliceRange {
  readonly axis: number;
  readonly start: number;
  readonly step: number;
  /** Number of elements taken. */
  readonly length: number;
}

/** A slice of `extent` elements as ONNX defines it: negative bounds count from the end, all are clipped. */
export function sliceRange(
  extent: number,
  start: number,
  end: number,
  step: number,
): Omit<SliceRange, "axis"> {
  if (step === 0) throw new GraphError("slice step 0");
  const clip = (v: number, low: number, high: number): number =>
    Math.min(Math.max(v < 0 ? v + extent : v, low), high);
  const from = step > 0 ? clip(start, 0, extent) : clip(start, 0, extent - 1);
  const to = step > 0 ? clip(end, 0, extent) : end < -extent ? -1 : clip(end, -1, extent - 1);
  return { start: from, step, length: Math.max(Math.ceil((to - from) / step), 0) };
}

/** Starts, ends, axes and steps of a Slice, from inputs (opset ≥ 10) or attributes; undefined if not all constant. */
export function sliceArguments(
  node: OnnxNode,
  constant: (input: number) => number[] | undefined,
  rank: number,
): { starts: number[]; ends: number[]; axes: number[]; steps: number[] } | undefined {
  const isGiven = (input: number): boolean => Boolean(node.inputs[input]);
  const starts = isGiven(1) ? constant(1) : intsAttribute(node, "starts");
  const ends = isGiven(2) ? constant(2) : intsAttribute(node, "ends");
  const axes = isGiven(3) ? constant(3) : (intsAttribute(node, "axes") ?? starts?.map((_, i) => i));
  const steps = isGiven(4) ? constant(4) : starts?.map(() => 1);
  if (!starts || !ends || !axes || !steps) return undefined;
  if (ends.length !== starts.length || axes.length !== starts.length || steps.length !== starts.length) {
    throw new GraphError("starts, ends, axes and steps have different lengths");
  }
  return {
    starts: [...starts],
    ends: [...ends],
    axes: axes.map((a) => normalizeAxis(a, rank)),
    steps: [...steps],
  };
}

/** Extents of the parts of a Split along an axis of `extent`. */
export function splitSizes(node: OnnxNode, sizes: OnnxTensor | undefined, extent: number): number[] {
  const given = sizes ? wholeNumbers(sizes) : intsAttribute(node, "split");
  const parts = node.outputs.length;
  if (given) {
    if (given.length !== parts || given.reduce((a, b) => a + b, 0) !== extent || given.some((n) => n < 0)) {
      throw new GraphError(`extent ${extent} cannot be split into [${given}] for ${parts} outputs`);
    }
    return [...given];
  }
  const chunk = Math.ceil(extent / parts);
  return Array.from({ length: parts }, (_, i) => Math.max(Math.min(chunk, extent - i * chunk), 0));
}

export function transposePerm(node: OnnxNode, rank: number): number[] {
  const perm = intsAttribute(node, "perm") ?? Array.from({ length: rank }, (_, i) => rank - 1 - i);
  if (perm.length !== rank || new Set(perm.map((a) => normalizeAxis(a, rank))).size !== rank) {
    throw new GraphError(`perm [${perm}] is not a permutation of ${rank} axes`);
  }
  return perm.map((a) => normalizeAxis(a, rank));
}

export function flattenDims(dims: readonly number[], axis: number): number[] {
  const at = axis < 0 ? axis + dims.length : axis;
  return [elementCount(dims.slice(0, at)), elementCount(dims.slice(at))];
}

/** Epsilon of normalizations. */
export const epsilonOf = (node: OnnxNode): number => floatAttribute(node, "epsilon", 1e-5);
