/** Angles of boxes that are turned: what heads share that have them. */
import * as z from "zod/mini";
import { type Formula, mul, sigmoidOf, sub } from "../base/formula.ts";
import { sigmoid } from "../base/maths.ts";
import type { Shape, Tensor } from "../ir/tensor.ts";
import { areaOf, planeProblem, planeValues } from "./_planes.ts";
import { quote } from "./cpp.ts";
import { blobName, channel, type HeadFacts, type HeadValues } from "./kind.ts";

/**
 * Channel `from` (default 0) of a blob `[channels, gridHeight, gridWidth]`: a logit, `angle = (σ(v) − ¼)·π`, or with `radians` the angle
 * itself. A box is turned about its middle from the x axis towards the y axis, which points down.
 */
export interface HeadAngle {
  blob: string;
  from?: number;
  radians?: boolean;
}

export const angleSchema = z.optional(
  z.strictObject({ blob: blobName, from: channel, radians: z.optional(z.boolean()) }),
);

export const angleBlobs = (angle: HeadAngle | undefined): string[] => (angle ? [angle.blob] : []);

export const angleValues = (angle: HeadAngle | undefined): HeadValues[] =>
  angle ? [planeValues("angle", angle.blob, 1, angle.from)] : [];

export const angleProblem = (
  angle: HeadAngle | undefined,
  shape: Shape | undefined,
  stride: number,
  facts: HeadFacts,
): string | undefined =>
  angle && shape
    ? planeProblem(angle.blob, shape, (angle.from ?? 0) + 1, stride, facts, "an angle")
    : undefined;

/** What an angle is from the value of its channel, in radians. */
export const angleFrom = (value: number, radians: boolean | undefined): number =>
  radians ? value : (sigmoid(value) - 0.25) * Math.PI;

/** The same, of a number in a view. */
export const angleFormula = (value: Formula, radians: boolean | undefined): Formula =>
  radians ? value : mul(sub(sigmoidOf(value), 0.25), Math.PI);

/** The angle of a cell in radians; nothing without angles. */
export function angleOf(
  angle: HeadAngle | undefined,
  tensor: Tensor | undefined,
  cell: number,
): number | undefined {
  if (!angle || !tensor) return undefined;
  return angleFrom(tensor.data[(angle.from ?? 0) * areaOf(tensor) + cell], angle.radians);
}

/** 1 where a box is wrong by a right angle; 0 without angles. */
export function angleError(
  angle: HeadAngle | undefined,
  float: Tensor | undefined,
  int8: Tensor | undefined,
  cell: number,
): number {
  const [a, b] = [angleOf(angle, float, cell), angleOf(angle, int8, cell)];
  return a === undefined || b === undefined ? 0 : Math.sin(a - b) ** 2;
}

interface Angled {
  readonly angle?: HeadAngle;
}

/** What a C++ header says of the angles of heads, where some have any. */
export const cppAngles = {
  comment: (heads: readonly Angled[]): string[] =>
    withAngles(heads, [
      "Boxes are turned about their middle: the channel angle_from of angle_blob is a value v a cell,",
      "  angle = v where is_radians, else (sigmoid(v) - 0.25) * pi, from the x axis towards the y axis, which points down;",
      "  width = left + right, height = top + bottom, and the middle lies (right - left) / 2 along the turned x axis and",
      "  (bottom - top) / 2 along the turned y axis from the point.",
    ]),
  members: (heads: readonly Angled[]): string[] =>
    withAngles(heads, ["const char* angle_blob;", "int angle_from;", "bool is_radians;"]),
  fields: (heads: readonly Angled[], angle: HeadAngle | undefined): string =>
    withAngles(heads, [
      angle ? `, ${quote(angle.blob)}, ${angle.from ?? 0}, ${angle.radians === true}` : ", 0, 0, false",
    ]).join(),
};

const withAngles = (heads: readonly Angled[], lines: string[]): string[] =>
  heads.some(({ angle }) => angle) ? lines : [];

/** `, turned boxes`. */
export const describeAngle = (angle: unknown): string => (angle ? ", turned boxes" : "");
