/**
 * Shapes as ONNX has them (with a batch axis and any rank) against shapes as blobs have them (rank 1 to 4). Both are
 * row-major, so any two shapes with the same number of elements are views of the same data.
 */

import { GraphError, UnsupportedError } from "../../../base/errors.ts";
import { elementCount, type Shape } from "../../../ir/tensor.ts";
import { ordersByRank } from "../../../ops/permute.ts";

/** The axis of a blob that is exactly ONNX axis `axis`, or -1 when it is split or joined with others. */
export function axisInBlob(shape: Shape, blob: Shape, axis: number): number {
  const before = elementCount(shape.slice(0, axis));
  let prefix = 1;
  for (let i = 0; i < blob.length; i++) {
    if (prefix === before && blob[i] === shape[axis]) return i;
    prefix *= blob[i];
  }
  return -1;
}

/**
 * A blob shape for an ONNX shape: axes of extent 1 go, except those in `keep`. Where more than four are left,
 * neighbours that are not in `keep` are joined, outermost last.
 */
export function blobShapeOf(shape: Shape, keep: ReadonlySet<number> = new Set()): number[] {
  let axes = shape.map((extent, i) => ({ extent, kept: keep.has(i) }));
  axes = axes.filter(({ extent, kept }) => extent !== 1 || kept);
  while (axes.length > 4) {
    let at = axes.length - 2;
    while (at >= 0 && (axes[at].kept || axes[at + 1].kept)) at--;
    if (at < 0)
      throw new UnsupportedError(`the shape [${shape}] of rank ${shape.length} does not fit ncnn's rank 4`);
    axes.splice(at, 2, { extent: axes[at].extent * axes[at + 1].extent, kept: false });
  }
  return axes.length > 0 ? axes.map(({ extent }) => extent) : [1];
}

/** A transpose with axes of extent 1 removed and axes that travel together joined. */
export interface ReducedTranspose {
  readonly from: number[];
  readonly perm: number[];
}
export function reduceTranspose(shape: Shape, perm: readonly number[]): ReducedTranspose {
  const order = perm.filter((axis) => shape[axis] !== 1);
  const groups: number[][] = [];
  const next = (axis: number): number => {
    let n = axis + 1;
    while (n < shape.length && shape[n] === 1) n++;
    return n;
  };
  for (const axis of order) {
    const last = groups.at(-1);
    if (last && next(last[last.length - 1]) === axis) last.push(axis);
    else groups.push([axis]);
  }
  const sorted = [...groups].sort((a, b) => a[0] - b[0]);
  return {
    from: sorted.map((axes) => elementCount(axes.map((axis) => shape[axis]))),
    perm: groups.map((axes) => sorted.indexOf(axes)),
  };
}

/** More axes than this that all travel alone are no network's. */
const maxTransposeAxes = 8;

/**
 * A reduced transpose as transposes of rank ≤ 4, each of the data as the one before left it; undefined for more than 8 axes. A step
 * permutes up to four runs of neighbouring axes; of all such the one is taken that brings most axes together for the rest.
 */
export function transposeSteps(transpose: ReducedTranspose): ReducedTranspose[] | undefined {
  if (transpose.from.length > maxTransposeAxes) return undefined;
  const steps: ReducedTranspose[] = [];
  let rest = transpose;
  while (rest.from.length > 4) {
    // The first of the best: fewer runs are tried first, and of those with as many the ones that keep the innermost in place.
    const moves = runPermutations(rest.from.length).map((runs) => moveRuns(rest, runs));
    const best = moves.reduce((a, b) => (b.rest.from.length < a.rest.from.length ? b : a));
    steps.push(best.step);
    rest = best.rest;
  }
  return [...steps, rest];
}

/** Ways to reorder 2 to 4 runs of `count` axes: lists of runs of axis numbers in their new order. */
function runPermutations(axes: number): number[][][] {
  const all = Array.from({ length: axes }, (_, i) => i);
  const cut = (from: number, runs: number): number[][][] =>
    runs === 1
      ? [[all.slice(from)]]
      : all
          .slice(from + 1, axes - runs + 2)
          .flatMap((to) => cut(to, runs - 1).map((rest) => [all.slice(from, to), ...rest]));
  return [2, 3, 4].flatMap((runs) => {
    const orders = permutationsOf(runs);
    return cut(0, runs).flatMap((parts) => orders.map((order) => order.map((run) => parts[run])));
  });
}

/** All orders of 0 … n − 1 but that one, those that end in n − 1 first. */
function permutationsOf(n: number): number[][] {
  const grow = (left: readonly number[]): number[][] =>
    left.length === 0
      ? [[]]
      : left
          .toReversed()
          .flatMap((last) => grow(left.filter((i) => i !== last)).map((order) => [...order, last]));
  const isSorted = (order: readonly number[]): boolean => order.every((v, i) => v === i);
  return grow(Array.from({ length: n }, (_, i) => i)).filter((order) => !isSorted(order));
}

/** The step that puts runs of axes in their order, and the transpose that is left then. */
function moveRuns(
  { from, perm }: ReducedTranspose,
  runs: readonly (readonly number[])[],
): { step: ReducedTranspose; rest: ReducedTranspose } {
  const order = runs.flat();
  const extentOf = (run: readonly number[]): number => elementCount(run.map((axis) => from[axis]));
  const sorted = runs.toSorted((a, b) => a[0] - b[0]);
  return {
    step: { from: sorted.map(extentOf), perm: runs.map((run) => sorted.indexOf(run)) },
    rest: reduceTranspose(
      order.map((axis) => from[axis]),
      perm.map((axis) => order.indexOf(axis)),
    ),
  };
}

/** Broadcasting of two shapes as two shapes of one rank ≤ 4: common 1s removed, axes with the same roles joined. */
export function alignBroadcast(a: Shape, b: Shape): { a: number[]; b: number[] } {
  const rank = Math.max(a.length, b.length);
  const left = [...new Array<number>(rank - a.length).fill(1), ...a];
  const right = [...new Array<number>(rank - b.length).fill(1), ...b];
  let axes = left.map((x, i) => ({ x, y: right[i] })).filter(({ x, y }) => x !== 1 || y !== 1);
  const role = ({ x, y }: { x: number; y: number }): string =>
    x === y ? "both" : x === 1 ? "right" : "left";
  while (axes.length > 4) {
    let at = axes.length - 2;
    while (at >= 0 && role(axes[at]) !== role(axes[at + 1])) at--;
    if (at < 0) throw new UnsupportedError(`broadcasting [${a}] with [${b}] does not fit ncnn's rank 4`);
    axes.splice(at, 2, { x: axes[at].x * axes[at + 1].x, y: axes[at].y * axes[at + 1].y });
  }
  if (axes.length === 0) axes = [{ x: 1, y: 1 }];
  return { a: axes.map(({ x }) => x), b: axes.map(({ y }) => y) };
}

/**
 * The view of a value of shape `other` that broadcasts over a blob of shape `blob`, which holds a value of shape `shape` that
 * the result has too; nothing where an axis of the blob joins one that `other` has with one that it repeats along.
 */
export function broadcastOver(blob: Shape, shape: Shape, other: Shape): number[] | undefined {
  const padded = [...new Array<number>(Math.max(shape.length - other.length, 0)).fill(1), ...other];
  const isRepeated = padded.length === shape.length && padded.every((d, i) => d === 1 || d === shape[i]);
  if (!isRepeated) return undefined;
  let axis = 0;
  const view: number[] = [];
  for (const extent of blob) {
    let [whole, part] = [1, 1];
    for (; axis < shape.length && whole < extent; axis++) {
      whole *= shape[axis];
      part *= padded[axis];
    }
    if (whole !== extent || (part !== 1 && part !== whole)) return undefined;
    view.push(part);
  }
  return view;
}

/** `order_type` of Permute by the source axes of the result, outermost first. */
export function permuteOrder(perm: readonly number[]): number {
  const names = ["", "w", "hw", "chw", "cdhw"][perm.length] ?? "";
  const sources = [...perm]
    .reverse()
    .map((axis) => names[axis])
    .join("");
  const order = ordersByRank[perm.length]?.indexOf(sources) ?? -1;
  if (order < 0) throw new GraphError(`a transpose by [${perm}] does not fit ncnn's rank 4`);
  return order;
}
