/** Points of boxes (landmarks, key points): what kinds of heads share that have them. */
import * as z from "zod/mini";
import { type PointFormulas, type RowView, sigmoidOf } from "../base/formula.ts";
import { sigmoid } from "../base/maths.ts";
import type { Shape, Tensor } from "../ir/tensor.ts";
import { areaOf, planeProblem, planeValues, planeView } from "./_planes.ts";
import { quote } from "./cpp.ts";
import { blobName, channel, type HeadFacts, type HeadValues } from "./kind.ts";

/** Blob `[channels, gridHeight, gridWidth]` with two numbers for each of `count` points, from the channel `from` on (default 0). */
export interface HeadPoints {
  blob: string;
  from?: number;
  /** 1..256. */
  count: number;
  /** A third number stands behind the two of each point: the logit of how surely it is seen; default false. */
  visibility?: boolean;
}

export const pointFields = {
  ...{ blob: blobName, from: channel },
  count: z.int().check(z.minimum(1), z.maximum(256)),
  visibility: z.optional(z.boolean()),
};
export const pointsSchema = z.optional(z.strictObject(pointFields));

/** Numbers for each point. */
export const pointStep = ({ visibility }: Pick<HeadPoints, "visibility">): number => (visibility ? 3 : 2);

/** The blob of the points in a list, which is empty where a head has none. */
export const pointBlobs = (points: HeadPoints | undefined): string[] => (points ? [points.blob] : []);

/** Their numbers among the values of the head. */
export const pointValues = (points: HeadPoints | undefined): HeadValues[] =>
  points ? [planeValues("points", points.blob, pointStep(points) * points.count, points.from)] : [];

export function pointsProblem(
  points: HeadPoints | undefined,
  shape: Shape | undefined,
  stride: number,
  facts: HeadFacts,
): string | undefined {
  if (!points || !shape) return undefined;
  const { blob, from = 0, count } = points;
  return planeProblem(blob, shape, from + pointStep(points) * count, stride, facts, `${count} points`);
}

/** Both numbers of a point to `[x, y]` in pixels of the input. */
export type Place = (first: number, second: number) => readonly [x: number, y: number];

/** `x y score` of each point of a cell, as `Candidates` takes them; nothing without points, or where one is no number. */
export function pointsOf(
  points: HeadPoints | undefined,
  tensor: Tensor | undefined,
  cell: number,
  place: Place,
): Float64Array | undefined {
  if (!points || !tensor) return undefined;
  const { data, shape } = tensor;
  const area = areaOf({ shape });
  const list = new Float64Array(3 * points.count);
  for (let i = 0; i < points.count; i++) {
    const at = ((points.from ?? 0) + pointStep(points) * i) * area + cell;
    const [x, y] = place(data[at], data[at + area]);
    if (Number.isNaN(x + y)) return undefined;
    list.set([x, y, points.visibility ? sigmoid(data[at + 2 * area]) : Number.NaN], 3 * i);
  }
  return list;
}

/** The view of the blob of points, in a list that is empty where a head has none. */
export const pointViews = (points: HeadPoints | undefined, shape: Shape | undefined): RowView[] =>
  points && shape ? [planeView(points.blob, shape, points.from)] : [];

/** What `pointsOf` computes, from the numbers in a view of `pointViews`, for a record of formulas. */
export const pointFormulas = (
  points: HeadPoints | undefined,
  view: number,
  place: PointFormulas["place"],
): { points?: PointFormulas } =>
  points
    ? {
        points: {
          ...{ view, from: 0, step: pointStep(points), count: points.count, place },
          ...(points.visibility && { seen: sigmoidOf({ point: 2 }) }),
        },
      }
    : {};

/** Mean squared error of the places of a cell's points, in `unit`, and of how surely they are seen; 0 without points. */
export function pointError(
  points: HeadPoints | undefined,
  float: Tensor | undefined,
  int8: Tensor | undefined,
  cell: number,
  unit: number,
): number {
  if (!points || !float || !int8) return 0;
  const area = float.shape[1] * float.shape[2];
  const step = pointStep(points);
  const first = (points.from ?? 0) * area + cell;
  let sum = 0;
  for (let i = 0; i < step * points.count; i++) {
    const [a, b] = [float.data[first + i * area], int8.data[first + i * area]];
    sum += i % step === 2 ? (sigmoid(a) - sigmoid(b)) ** 2 : ((a - b) / unit) ** 2;
  }
  return sum / (step * points.count);
}

interface Pointed {
  readonly points?: HeadPoints;
}

/** What a C++ header says of the points of heads, where some have any. `place` is the formula of a point from its two numbers `v`. */
export const cppPoints = {
  comment: (heads: readonly Pointed[], place: string): string[] =>
    withPoints(heads, [
      "From the channel points_from of points_blob on, two channels v for each of num_points landmarks:",
      `  ${place}.`,
      ...withVisibility(heads, [
        "Where has_visibility there is a third behind the two of each: it is seen with the probability sigmoid(value).",
      ]),
    ]),
  members: (heads: readonly Pointed[]): string[] =>
    withPoints(heads, [
      ...["const char* points_blob;", "int points_from;", "int num_points;"],
      ...withVisibility(heads, ["bool has_visibility;"]),
    ]),
  /** The fields of one head, with a comma before them. */
  fields: (heads: readonly Pointed[], points: HeadPoints | undefined): string =>
    withPoints(heads, [
      `${points ? `, ${quote(points.blob)}, ${points.from ?? 0}, ${points.count}` : ", 0, 0, 0"}${withVisibility(heads, [`, ${points?.visibility === true}`]).join()}`,
    ]).join(),
};

const withVisibility = (heads: readonly Pointed[], lines: string[]): string[] =>
  heads.some(({ points }) => points?.visibility) ? lines : [];

const withPoints = (heads: readonly Pointed[], lines: string[]): string[] =>
  heads.some(({ points }) => points) ? lines : [];

/** `, 5 points`. */
export const describePoints = (points: Pick<HeadPoints, "count"> | undefined): string =>
  points ? `, ${points.count} points` : "";
