/** Masks of boxes: coefficients of each box, and prototypes that all boxes share. What kinds of heads have in common that have them. */
import * as z from "zod/mini";
import type { MaskPlace } from "../base/formula.ts";
import { formatShape, type Shape, type Tensor } from "../ir/tensor.ts";
import { areaOf, planeProblem, planeValues } from "./_planes.ts";
import type { CandidateMask } from "./candidates.ts";
import { quote } from "./cpp.ts";
import { blobName, channel, type HeadFacts, type HeadValues } from "./kind.ts";

/** A mask is positive where `Σ coefficient[k]·prototype[k]` is, inside of its box; σ of it is the probability. */
export interface SharedPrototypes {
  /** Blob `[count, height, width]`, a grid of the picture like those of heads. */
  prototypes: string;
  /** Coefficients of a box: prototypes, 1..256. */
  count: number;
}

/** Coefficients in a blob `[channels, gridHeight, gridWidth]`, from the channel `from` on (default 0). */
export interface HeadMask extends SharedPrototypes {
  blob: string;
  from?: number;
}

const sharedFields = { prototypes: blobName, count: z.int().check(z.minimum(1), z.maximum(256)) };
export const prototypesSchema = z.optional(z.strictObject(sharedFields));
export const maskSchema = z.optional(z.strictObject({ blob: blobName, from: channel, ...sharedFields }));

/** Its blobs in a list, which is empty where a head has no masks. */
export const maskBlobs = (mask: HeadMask | undefined): string[] => (mask ? [mask.blob, mask.prototypes] : []);

export const prototypeValues = (mask: SharedPrototypes | undefined): HeadValues[] =>
  mask ? [planeValues("mask", mask.prototypes, mask.count)] : [];

export const maskValues = (mask: HeadMask | undefined): HeadValues[] =>
  mask ? [planeValues("mask", mask.blob, mask.count, mask.from), ...prototypeValues(mask)] : [];

export function prototypesProblem(
  mask: SharedPrototypes | undefined,
  shape: Shape | undefined,
  { width, height }: HeadFacts,
): string | undefined {
  if (!mask || !shape) return undefined;
  const [count, rows, columns] = shape;
  const stride = width / columns;
  const isGrid = shape.length === 3 && Number.isInteger(stride) && stride === height / rows;
  if (isGrid && count === mask.count) return undefined;
  return `${mask.prototypes} is ${formatShape(shape)} (w x h x c), expected a grid of the ${width}x${height} input with ${mask.count} channels, a prototype each`;
}

export const maskProblem = (
  mask: HeadMask | undefined,
  [coefficients, prototypes]: readonly (Shape | undefined)[],
  stride: number,
  facts: HeadFacts,
): string | undefined =>
  mask && coefficients
    ? (planeProblem(
        mask.blob,
        coefficients,
        (mask.from ?? 0) + mask.count,
        stride,
        facts,
        `${mask.count} mask coefficients`,
      ) ?? prototypesProblem(mask, prototypes, facts))
    : undefined;

/** The mask of a cell for `Candidates`; nothing without masks. */
export function maskOf(
  mask: HeadMask | undefined,
  coefficients: Tensor | undefined,
  prototypes: Tensor | undefined,
  cell: number,
): CandidateMask | undefined {
  if (!mask || !coefficients || !prototypes) return undefined;
  const area = areaOf(coefficients);
  const first = (mask.from ?? 0) * area + cell;
  const values = Float64Array.from({ length: mask.count }, (_, k) => coefficients.data[first + k * area]);
  return { coefficients: values, prototypes };
}

/** Where the coefficients are, for a record of formulas: in a view, from a number of its rows on. */
export const maskFormula = (
  mask: SharedPrototypes | undefined,
  view: number,
  from: number,
  probabilities: boolean,
): { mask?: MaskPlace } =>
  mask ? { mask: { view, from, count: mask.count, prototypes: mask.prototypes, probabilities } } : {};

/** Squared difference of `count` values from `at` on, `step` apart, in parts of their energy: about 1 where all is wrong. */
export function relativeError(
  { data: float }: Tensor,
  { data: int8 }: Tensor,
  at: number,
  count: number,
  step = 1,
): number {
  let [energy, noise] = [0, 0];
  for (let k = 0, i = at; k < count; k++, i += step) {
    energy += float[i] ** 2;
    noise += (float[i] - int8[i]) ** 2;
  }
  return energy > 0 ? noise / energy : Number(noise > 0);
}

/** The error of a cell's mask: of its coefficients, and of the prototypes. 0 without masks. */
export function maskErrors(
  mask: HeadMask | undefined,
  [float, floatPrototypes]: readonly (Tensor | undefined)[],
  [int8, int8Prototypes]: readonly (Tensor | undefined)[],
): (cell: number) => number {
  if (!mask || !float || !int8 || !floatPrototypes || !int8Prototypes) return () => 0;
  const shared = relativeError(floatPrototypes, int8Prototypes, 0, floatPrototypes.data.length);
  const area = areaOf(float);
  const first = (mask.from ?? 0) * area;
  return (cell) => shared + relativeError(float, int8, first + cell, mask.count, area);
}

interface Masked<M> {
  readonly mask?: M;
}

/** What a C++ header says of the masks of heads, where some have any; `where` the coefficients are, a sentence. */
export const cppPrototypes = {
  comment: (heads: readonly Masked<SharedPrototypes>[], where: string): string[] =>
    withMasks(heads, [
      where,
      "  mask = sigmoid(sum over k of coefficient[k] * channel k of prototypes_blob), cut to the box; it is above a half inside.",
    ]),
  members: (heads: readonly Masked<SharedPrototypes>[]): string[] =>
    withMasks(heads, ["int num_masks;", "const char* prototypes_blob;"]),
  /** The fields of one head, with a comma before them. */
  fields: (heads: readonly Masked<SharedPrototypes>[], mask: SharedPrototypes | undefined): string =>
    withMasks(heads, [mask ? `, ${mask.count}, ${quote(mask.prototypes)}` : ", 0, 0"]).join(),
};

/** The same for heads with a blob of coefficients. */
export const cppMasks = {
  comment: (heads: readonly Masked<HeadMask>[]): string[] =>
    cppPrototypes.comment(
      heads,
      "From the channel mask_from of mask_blob on, num_masks channels of mask coefficients:",
    ),
  members: (heads: readonly Masked<HeadMask>[]): string[] =>
    withMasks(heads, ["const char* mask_blob;", "int mask_from;", ...cppPrototypes.members(heads)]),
  fields: (heads: readonly Masked<HeadMask>[], mask: HeadMask | undefined): string =>
    withMasks(heads, [
      `${mask ? `, ${quote(mask.blob)}, ${mask.from ?? 0}` : ", 0, 0"}${cppPrototypes.fields(heads, mask)}`,
    ]).join(),
};

const withMasks = (heads: readonly Masked<SharedPrototypes>[], lines: string[]): string[] =>
  heads.some(({ mask }) => mask) ? lines : [];

/** `, masks of 32 prototypes`. */
export const describeMask = (mask: SharedPrototypes | undefined): string =>
  mask ? `, masks of ${mask.count} prototypes` : "";
