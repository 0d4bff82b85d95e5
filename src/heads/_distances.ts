/** The record of heads that give distances to the sides of a box (`distances.ts`), and what their bins are. */
import { add, cosOf, div, type Formula, mul, sinOf, sub } from "../base/formula.ts";
import type { HeadAngle } from "./_angles.ts";
import type { HeadMask } from "./_masks.ts";
import type { HeadPoints } from "./_points.ts";

/** Points `(cell + point + scale·v)·stride`. */
export interface PlacedPoints extends HeadPoints {
  /** Cells for a value of 1; default 1. */
  scale?: number;
  /** Where in its cell a point is measured from; default that of the box. */
  point?: number;
}

/**
 * Blobs `[channels, gridHeight, gridWidth]` of logits. Scores are σ of a channel a class. Boxes have `4·bins` channels, sides in
 * the order left, top, right, bottom: `distance = Σ k·softmax(bins)[k]·stride` from the point `(cell + point)·stride`; with one bin
 * the value itself is the distance in cells.
 */
export interface DistancesHead {
  kind: "distances";
  /** Blob of the class logits, and the channel of the first class; default 0. */
  scores: string;
  scoresFrom?: number;
  /** Blob of the distances, and the channel of the first bin; default 0. */
  boxes: string;
  boxesFrom?: number;
  /** Input pixels per grid cell. */
  stride: number;
  /** Numbers for one side, 1..64. */
  bins: number;
  /** Where the point is in its cell: 0.5 in the middle, 0 at the left top corner. */
  point: number;
  /** The network is trained to give one box an object: none are dropped for overlapping; default false. */
  oneToOne?: boolean;
  points?: PlacedPoints;
  mask?: HeadMask;
  /** The box is turned about its middle, which lies `(right − left)/2, (bottom − top)/2` from the point along the turned axes. */
  angle?: HeadAngle;
}

/** Distances to the four sides in cells, from the bins. */
export function distancesOf(bins: number, value: (i: number) => number): number[] {
  return [0, 1, 2, 3].map((side) => {
    if (bins === 1) return value(side);
    let most = Number.NEGATIVE_INFINITY;
    for (let k = 0; k < bins; k++) most = Math.max(most, value(side * bins + k));
    let [sum, weighted] = [0, 0];
    for (let k = 0; k < bins; k++) {
      const weight = Math.exp(value(side * bins + k) - most);
      sum += weight;
      weighted += k * weight;
    }
    return weighted / sum;
  });
}

/** Distances to the sides of the box before it is turned about its middle. */
export function aboutMiddle([left, top, right, bottom]: readonly number[], angle: number): number[] {
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  const [x, y] = [(right - left) / 2, (bottom - top) / 2];
  const [middleX, middleY] = [x * cos - y * sin, x * sin + y * cos];
  const [halfWidth, halfHeight] = [(left + right) / 2, (top + bottom) / 2];
  return [halfWidth - middleX, halfHeight - middleY, halfWidth + middleX, halfHeight + middleY];
}

/** The same as formulas. */
export function aboutMiddleFormulas(
  [left, top, right, bottom]: readonly Formula[],
  angle: Formula,
): Formula[] {
  const [cos, sin] = [cosOf(angle), sinOf(angle)];
  const [x, y] = [div(sub(right, left), 2), div(sub(bottom, top), 2)];
  const [middleX, middleY] = [sub(mul(x, cos), mul(y, sin)), add(mul(x, sin), mul(y, cos))];
  const [halfWidth, halfHeight] = [div(add(left, right), 2), div(add(top, bottom), 2)];
  return [
    sub(halfWidth, middleX),
    sub(halfHeight, middleY),
    add(halfWidth, middleX),
    add(halfHeight, middleY),
  ];
}
