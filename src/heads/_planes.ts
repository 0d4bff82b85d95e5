/** What kinds of heads share whose blobs are convolutions `[channels, gridHeight, gridWidth]`: class scores in planes, one a class. */
import type { RowView } from "../base/formula.ts";
import { sigmoid } from "../base/maths.ts";
import { sieve as plainSieve, type SieveGrid } from "../base/sieve.ts";
import { formatShape, type Shape, type Tensor } from "../ir/tensor.ts";
import type { DecodeOptions } from "./candidates.ts";
import { type HeadFacts, type HeadValues, leastObject, leastScore, type PartName } from "./kind.ts";

/** Levels above 32 come from one more convolution of stride 2, which rounds its grid up: any multiple of 32 will do for them. */
export const gridStride = (stride: number): number => Math.min(stride, 32);

/** Part of a problem on a blob that should have `least` channels (exactly, or from a first one on) on the grid of the stride. */
export function planeProblem(
  blob: string,
  shape: Shape,
  least: number,
  stride: number,
  { width, height }: HeadFacts,
  what: string,
): string | undefined {
  const expected = [least, Math.ceil(height / stride), Math.ceil(width / stride)];
  const fits =
    shape.length === 3 && shape[0] >= least && shape[1] === expected[1] && shape[2] === expected[2];
  if (fits) return undefined;
  return `${blob} is ${formatShape(shape)} (w x h x c), expected ${formatShape(expected)} (${what}, cells of a ${width}x${height} input at stride ${stride})`;
}

/** Channels of such a blob that are one part of the head. */
export const planeValues = (part: PartName, blob: string, count: number, from = 0): HeadValues => ({
  ...{ part, blob, axis: 0, from, count },
});

/** Cells as rows: a number of a cell for each channel from `from` on. */
export const planeView = (blob: string, shape: Shape, from = 0): RowView => {
  const area = shape[1] * shape[2];
  return { blob, first: from * area, rowStride: 1, valueStride: area };
};

export const areaOf = ({ shape }: Pick<Tensor, "shape">): number => shape[1] * shape[2];

/** Where scores can come from: cells of which no value of the grid is above `least` have none that passes. */
export interface ScoreSource {
  readonly data: Tensor["data"];
  /** A row for each cell. */
  readonly grid: SieveGrid;
  readonly least: number;
}

/** `count` planes from channel `first` on, without what channel `less` has, if one is given. */
export function planesAbove(
  tensor: Tensor,
  first: number,
  count: number,
  least: number,
  less?: number,
): ScoreSource {
  const area = areaOf(tensor);
  const grid = { first: first * area, rows: area, columns: count, rowStride: 1, columnStride: area };
  return {
    ...{ data: tensor.data, least },
    grid: less === undefined ? grid : { ...grid, less: less * area },
  };
}

/** Calls `visit` with the cells and classes whose score passes, cell by cell. `scoreOf(cell, class)` must not be NaN to pass. */
export function visitScores(
  { data, grid, least }: ScoreSource,
  classes: number,
  { confidence, multiLabel, allowed, sieve = plainSieve }: DecodeOptions,
  scoreOf: (cell: number, classId: number) => number,
  visit: (cell: number, classId: number, score: number) => void,
): void {
  sieve(data, grid, least, (cell) => {
    let best = -1;
    let most = confidence;
    for (let k = 0; k < classes; k++) {
      if (allowed && !allowed[k]) continue;
      const score = scoreOf(cell, k);
      if (!(score > most)) continue;
      if (multiLabel) visit(cell, k, score);
      else [best, most] = [k, score];
    }
    if (best >= 0) visit(cell, best, most);
  });
}

/** Weights of logits whose sigmoids are the scores: the score where it is no background. */
export function logitImportance(data: ArrayLike<number>, from: number, to: number): Float32Array {
  const weights = new Float32Array(data.length);
  for (let i = from; i < to; i++) {
    const score = sigmoid(data[i]);
    if (score >= leastScore) weights[i] = score;
  }
  return weights;
}

/**
 * Squared errors of scores, and of boxes by `boxError(cell)` (about 1 for a box that is wholly wrong) as far as there is an
 * object. Scores of the float and of the int8 network are asked for by cell and class.
 */
export function planeLoss(
  cells: number,
  classes: number,
  float: (cell: number, classId: number) => number,
  int8: (cell: number, classId: number) => number,
  boxError: (cell: number) => number,
): number {
  let loss = 0;
  for (let cell = 0; cell < cells; cell++) {
    let object = 0;
    for (let k = 0; k < classes; k++) {
      const score = float(cell, k);
      loss += (score - int8(cell, k)) ** 2;
      object = Math.max(object, score);
    }
    if (object >= leastObject) loss += object * boxError(cell);
  }
  return loss;
}
