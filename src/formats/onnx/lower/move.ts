/** Layers that only move data: views, transposes, slices, joins and repeats. */

import type { Params } from "../../../ir/op.ts";
import { elementCount, type Shape } from "../../../ir/tensor.ts";
import { open } from "../../../ops/crop.ts";
import { share } from "../../../ops/slice.ts";
import { normalizeAxis, sliceArguments, sliceRange, splitSizes, transposePerm } from "../arguments.ts";
import { intAttribute, type OnnxNode, tensorNumbers } from "../model.ts";
import type { Lower, Lowering, Value } from "./context.ts";
import { axisInBlob, blobShapeOf, permuteOrder, reduceTranspose, transposeSteps } from "./layout.ts";

/** A strided slice becomes at most this many pieces. */
const maxPieces = 64;

/** The same data under another shape: no layer. */
const view: Lower = (l, node) => l.alias(node.outputs[0], l.value(node.inputs[0]));

const sameList = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((v, i) => v === b[i]);

const transpose: Lower = (l, node) => {
  const value = l.value(node.inputs[0]);
  const given = transposePerm(node, value.shape.length);
  const { from, perm } = reduceTranspose(value.shape, given);
  if (perm.every((axis, i) => axis === i)) {
    l.alias(node.outputs[0], value);
    return;
  }
  if (value.blobShape.length === 3 && transposeChannels(l, value, from, perm)) return;
  const steps =
    transposeSteps({ from, perm }) ??
    l.unsupported(
      `a transpose of rank ${given.length} by [${given}] of [${value.shape}]`,
      "up to 8 axes that do not stay side by side",
    );
  const last = steps.length - 1;
  const moved = steps.slice(0, last).reduce((current, step) => {
    const [blob] = l.layer("Permute", [l.as(current, step.from)], { order_type: permuteOrder(step.perm) });
    return l.view(blob, value.shape);
  }, value);
  l.result("Permute", [l.as(moved, steps[last].from)], { order_type: permuteOrder(steps[last].perm) });
};

/** Transposes that are one layer on pictures: ShuffleChannel, PixelShuffle and Reorg. */
function transposeChannels(
  l: Lowering,
  value: Value,
  from: readonly number[],
  perm: readonly number[],
): boolean {
  const [c, h, w] = value.blobShape;
  const [a, b] = from;
  if (sameList(perm, [1, 0, 2]) && a * b === c && from[2] === h * w) {
    // The smaller of the two numbers names the groups, as people write it.
    const params: Params = a <= b ? { group: a } : { group: b, reverse: 1 };
    l.result("ShuffleChannel", [value.blob], params);
    return true;
  }
  const five = from.length === 4 ? [1, ...from] : from;
  const order = from.length === 4 ? [0, ...perm.map((axis) => axis + 1)] : perm;
  if (five.length !== 5) return false;
  // [c, r, r, h, w] to [c, h, r, w, r], or with the blocks outermost.
  const isCrd = sameList(order, [0, 3, 1, 4, 2]) && five[1] === five[2] && five[3] === h && five[4] === w;
  const isDcr = sameList(order, [2, 3, 0, 4, 1]) && five[0] === five[1] && five[3] === h && five[4] === w;
  if (isCrd || isDcr) {
    l.result("PixelShuffle", [value.blob], { upscale_factor: five[1], ...(isDcr ? { mode: 1 } : {}) });
    return true;
  }
  // [c, h, s, w, s] to [c, s, s, h, w], or with the blocks outermost.
  const isBlocks = five[0] === c && five[2] === five[4] && five[1] * five[2] === h && five[3] * five[4] === w;
  const isInner = sameList(order, [0, 2, 4, 1, 3]);
  const isOuter = sameList(order, [2, 4, 0, 1, 3]);
  if (!isBlocks || !(isInner || isOuter)) return false;
  l.result("Reorg", [value.blob], { stride: five[2], ...(isOuter ? { mode: 1 } : {}) });
  return true;
}

/** A stretch of one ONNX axis; bounds as the file has them, so that "to the end" stays that. */
interface Stretch {
  readonly axis: number;
  readonly start: number;
  readonly length: number;
  /** The end was given relative to the extent. */
  readonly fromEnd?: number;
}

/** Where a stretch lies in a blob: an axis of the blob and the factor between both counts. */
function locate(
  value: Value,
  { axis, start, length }: Stretch,
): { axis: number; factor: number } | undefined {
  const found = axisInBlob(value.shape, value.blobShape, axis);
  if (found >= 0) return { axis: found, factor: 1 };
  // The outermost axis of the value against the outermost of the blob: whole blocks are blocks in both.
  if (elementCount(value.shape.slice(0, axis)) !== 1) return undefined;
  const inner = elementCount(value.shape.slice(axis + 1));
  const block = elementCount(value.blobShape.slice(1));
  if ((start * inner) % block || (length * inner) % block) return undefined;
  return { axis: 0, factor: inner / block };
}

/** Cuts stretches out of a value with as few Crop layers as its layout allows. */
function crop(l: Lowering, source: Value, stretches: readonly Stretch[], output: string): Value {
  let value = source;
  const pending = stretches.filter(({ axis, length }) => length !== value.shape[axis]);
  if (pending.some(({ length }) => length < 1)) l.unsupported("an empty slice", "slices with elements");
  while (pending.length > 0) {
    const located = pending.map((stretch) => locate(value, stretch));
    if (!located[0]) {
      const shape = blobShapeOf(value.shape, new Set([pending[0].axis]));
      value = l.view(l.as(value, shape), value.shape);
      continue;
    }
    const now = pending.filter((_, i) => located[i]);
    const places = located.filter((place) => place !== undefined);
    const params: Params = {
      starts: now.map(({ start }, i) => start * places[i].factor),
      ends: now.map(({ axis, start, length, fromEnd }, i) => {
        if (start + length === value.shape[axis]) return open;
        return places[i].factor === 1 && fromEnd !== undefined
          ? fromEnd
          : (start + length) * places[i].factor;
      }),
      axes: places.map((place) => place.axis),
    };
    for (const stretch of now) pending.splice(pending.indexOf(stretch), 1);
    const shape = value.shape.map((d, i) => now.find(({ axis }) => axis === i)?.length ?? d);
    const [blob] = l.layer(
      "Crop",
      [value.blob],
      params,
      {},
      {
        outputs: [pending.length === 0 ? output : `${output}_crop`],
      },
    );
    value = l.view(blob, shape);
  }
  return value;
}

const slice: Lower = (l, node) => {
  const rank = l.shapeOf(node.inputs[0]).length;
  const given =
    sliceArguments(node, (i) => l.optionalNumbers(node.inputs[i]), rank) ??
    l.unsupported("a Slice without bounds", "constant bounds");
  let value = l.value(node.inputs[0]);
  const plain: Stretch[] = [];
  const strided: { axis: number; start: number; step: number; length: number }[] = [];
  given.axes.forEach((axis, i) => {
    const range = sliceRange(value.shape[axis], given.starts[i], given.ends[i], given.steps[i]);
    if (range.step < 0 && range.length > 1)
      l.unsupported("a Slice with a negative step", "steps of 1 or more");
    if (range.step === 1 || range.length === 1) {
      const fromEnd = given.ends[i] < 0 ? given.ends[i] : undefined;
      plain.push({ axis, start: range.start, length: range.length, fromEnd });
    } else strided.push({ axis, ...range });
  });
  value = crop(l, value, plain, node.outputs[0]);
  for (const range of strided) value = takeEvery(l, value, range, node.outputs[0]);
  l.define(node.outputs[0], value.blob);
};

/** Every step-th element along an axis: as a view [n/step, step] where that is possible, else piece by piece. */
function takeEvery(
  l: Lowering,
  value: Value,
  { axis, start, step, length }: { axis: number; start: number; step: number; length: number },
  output: string,
): Value {
  const extent = value.shape[axis];
  const shape = value.shape.map((d, i) => (i === axis ? length : d));
  if (extent === length * step && start < step) {
    const split = [...value.shape.slice(0, axis), length, step, ...value.shape.slice(axis + 1)];
    const seen = l.view(l.as(value, blobShapeOf(split, new Set([axis, axis + 1]))), split);
    return l.view(crop(l, seen, [{ axis: axis + 1, start, length: 1 }], output).blob, shape);
  }
  if (length > maxPieces)
    l.unsupported(`a Slice with step ${step}`, "extents that are multiples of the step");
  const indices = Array.from({ length }, (_, i) => start + i * step);
  return l.view(pick(l, value, axis, indices, output), shape);
}

/** Elements `indices` along an axis, joined: runs of neighbours are one Crop each. */
function pick(l: Lowering, value: Value, axis: number, indices: readonly number[], output: string): string {
  const runs: { start: number; length: number }[] = [];
  for (const index of indices) {
    const last = runs.at(-1);
    if (last && last.start + last.length === index) last.length++;
    else runs.push({ start: index, length: 1 });
  }
  if (runs.length === 0) l.unsupported("a result without elements", "at least one element");
  if (runs.length === 1) return crop(l, value, [{ axis, ...runs[0] }], output).blob;
  const parts = runs.map((run, i) => crop(l, value, [{ axis, ...run }], `${output}_part${i}`));
  return join(l, parts, axis, output);
}

const gather: Lower = (l, node) => {
  const value = l.value(node.inputs[0]);
  const indices =
    l.constant(node.inputs[1]) ??
    l.unsupported("Gather with indices computed at run time", "constant indices");
  const axis = normalizeAxis(intAttribute(node, "axis", 0), value.shape.length);
  const extent = value.shape[axis];
  const list = Array.from(tensorNumbers(indices), (i) => (i < 0 ? i + extent : i));
  if (list.length > maxPieces) l.unsupported(`Gather of ${list.length} elements`, `at most ${maxPieces}`);
  l.define(node.outputs[0], pick(l, value, axis, list, node.outputs[0]));
};

const split: Lower = (l, node) => {
  const source = l.value(node.inputs[0]);
  const axis = normalizeAxis(intAttribute(node, "axis", 0), source.shape.length);
  const sizes = splitSizes(node, l.constant(node.inputs[1]), source.shape[axis]);
  if (sizes.some((size) => size < 1)) l.unsupported("an empty part of a Split", "parts with elements");
  let value = source;
  let start = 0;
  let places = sizes.map((length) => {
    start += length;
    return locate(value, { axis, start: start - length, length });
  });
  if (places.includes(undefined)) {
    value = l.view(l.as(value, blobShapeOf(value.shape, new Set([axis]))), value.shape);
    places = sizes.map(() => locate(value, { axis, start: 0, length: value.shape[axis] }));
  }
  const place = places[0] ?? l.unsupported("a Split along this axis", "an axis of the blob");
  const isEqual = sizes.every((size) => size === sizes[0]);
  const slices = sizes.map((size, i) => (isEqual || i === sizes.length - 1 ? share : size * place.factor));
  const outputs = node.outputs.map((name, i) => name || `${node.outputs[0]}_unused${i}`);
  const params: Params = { slices, ...(place.axis ? { axis: place.axis } : {}) };
  const blobs = l.layer("Slice", [value.blob], params, {}, { outputs });
  node.outputs.forEach((name, i) => {
    if (name) l.define(name, blobs[i]);
  });
};

const concat: Lower = (l, node) => {
  const values = node.inputs.map((name) => l.value(name));
  const axis = normalizeAxis(intAttribute(node, "axis", 0), values[0].shape.length);
  l.define(node.outputs[0], join(l, values, axis, node.outputs[0]));
};

function join(l: Lowering, values: readonly Value[], axis: number, output: string): string {
  const [first] = values;
  const places = values.map((value) => axisInBlob(value.shape, value.blobShape, axis));
  const isAligned = values.every(
    ({ blobShape }, i) =>
      places[i] === places[0] &&
      places[i] >= 0 &&
      blobShape.length === first.blobShape.length &&
      blobShape.every((d, j) => j === places[0] || d === first.blobShape[j]),
  );
  if (isAligned)
    return concatLayer(
      l,
      values.map(({ blob }) => blob),
      places[0],
      output,
    );
  // Axes that are 1 in every input go; the joined axis stays.
  const rest = first.shape.map((d, i) => (i === axis ? 2 : d));
  const at = blobShapeOf(rest.slice(0, axis)).filter((_, i, list) => list.length > 1 || list[i] !== 1).length;
  const blobs = values.map((value) => l.as(value, blobShapeOf(value.shape, new Set([axis]))));
  return concatLayer(l, blobs, at, output);
}

function concatLayer(l: Lowering, blobs: readonly string[], axis: number, output: string): string {
  return l.layer("Concat", blobs, axis ? { axis } : {}, {}, { outputs: [output] })[0];
}

/** Repeats along each axis, of a value whose shape has as many axes as `repeats`. */
function repeat(l: Lowering, value: Value, shape: readonly number[], repeats: readonly number[]): void {
  if (repeats.every((n) => n === 1)) {
    l.alias(l.node.outputs[0], value);
    return;
  }
  const keep = new Set(repeats.flatMap((n, i) => (n === 1 ? [] : [i])));
  const blobShape = blobShapeOf(shape, keep);
  const blob = l.as(value, blobShape);
  const perAxis = blobShape.map(() => 1);
  for (const axis of keep) {
    const at = placeOf(shape, blobShape, axis, keep);
    perAxis[at] = repeats[axis];
  }
  l.result("Tile", [blob], { repeats: perAxis });
}

/** The axis of `blobShapeOf(shape, keep)` that is ONNX axis `axis`, one of `keep`. */
function placeOf(shape: readonly number[], blob: Shape, axis: number, keep: ReadonlySet<number>): number {
  const after = blobShapeOf(shape.slice(axis), new Set([...keep].map((a) => a - axis))).length;
  return blob.length - after;
}

const expand: Lower = (l, node) => {
  const value = l.value(node.inputs[0]);
  const target = l.shapeOf(node.outputs[0]);
  const shape = [...new Array<number>(target.length - value.shape.length).fill(1), ...value.shape];
  repeat(
    l,
    value,
    shape,
    target.map((d, i) => (d === shape[i] ? 1 : d)),
  );
};

const tile: Lower = (l, node) => {
  const value = l.value(node.inputs[0]);
  repeat(l, value, value.shape, l.numbers(node.inputs[1], "repeats"));
};

export const move: Record<string, Lower> = {
  CastLike: view,
  Concat: concat,
  Dropout: (l: Lowering, node: OnnxNode) => {
    if (node.outputs[1]) l.unsupported("Dropout with a mask", "Dropout with one output");
    view(l, node);
  },
  Expand: expand,
  Flatten: view,
  Gather: gather,
  Identity: view,
  Reshape: view,
  Slice: slice,
  Split: split,
  Squeeze: view,
  Tile: tile,
  Transpose: transpose,
  Unsqueeze: view,
};
