/** What a kind of detector output has to say about itself. One object per kind; the list is `heads/index.ts`. */
import * as z from "zod/mini";
import type { BoxFormulas } from "../base/formula.ts";
import type { Shape, Tensor } from "../ir/tensor.ts";
import type { Candidates, DecodeOptions } from "./candidates.ts";
import type { Recognition, RecognitionFacts } from "./recognition.ts";
import type { HeadView } from "./view.ts";

/** What the shape of a head's blobs follows from. */
export interface HeadFacts {
  /** Size of the network's input in pixels. */
  readonly width: number;
  readonly height: number;
  /** Number of classes: of labels in the manifest. */
  readonly classes: number;
}

/** What values of a head stand for. */
export type PartName = "box" | "objectness" | "class" | "points" | "mask" | "angle";

/**
 * The values at `from … from + count − 1` along an axis of one of the blobs, at all places of the other axes; all values together where
 * the axis is −1.
 */
export interface HeadValues {
  readonly part: PartName;
  readonly blob: string;
  /** Outermost first. */
  readonly axis: number;
  readonly from: number;
  readonly count: number;
}

/** The part of a C++ header that tells how the heads of one kind are laid out and decoded. */
export interface CppHeads {
  /** Comment lines without `//`: layout and formulas. */
  readonly comment: readonly string[];
  /** Members of `struct Head`, a line each. */
  readonly members: readonly string[];
  /** An initialiser of `struct Head` for every head. */
  readonly rows: readonly string[];
}

export interface HeadPart {
  readonly what: string;
  /** As it is, its sigmoid, or otherwise computed. */
  readonly origin: "raw" | "sigmoid" | "other";
  /** `n`: as many as there are, of classes or bins. */
  readonly channels: number | "n";
}

/**
 * A kind of head. `H` is its record in the manifest. `outputs` and `shapes` below are those of `blobs(head)`, in their order.
 * A kind that lacks a part does not compile, so that all of the product serves every kind.
 */
export interface HeadKind<H extends { readonly kind: string }> {
  readonly kind: H["kind"];
  /** What it is, for people: `YOLOv5 head`. */
  readonly title: string;
  /** Rules of its record in the manifest. */
  readonly schema: z.core.$ZodTypeDiscriminable & z.core.$ZodType<H>;
  /** Blobs that decoding reads. */
  blobs(head: H): readonly string[];
  /** Input sizes must be multiples of it, in pixels. */
  stride(head: H): number;
  /** Fields for people: `stride 8, anchors 10,13,…`. */
  describe(head: H): string;
  /** Why blobs of these shapes are not this head's, found and expected; nothing where they fit. */
  problem(head: H, shapes: readonly Shape[], facts: HeadFacts): string | undefined;
  /** Adds the boxes to `out`. The shapes have been checked (`problem`). A NaN box (a broken model) is never added. */
  decode(head: H, outputs: readonly Tensor[], classes: number, options: DecodeOptions, out: Candidates): void;
  /** What `decode` computes, for those that make code of it: the same boxes in the same order. */
  formulas(head: H, shapes: readonly Shape[], facts: HeadFacts): readonly BoxFormulas[];
  /**
   * Which values of the blobs are boxes, objectness and classes. None where a value at the same place of two outputs does not
   * stand for the same thing, as in a list of what was found.
   */
  values(head: H, shapes: readonly Shape[], classes: number): readonly HeadValues[];
  /** False where the network drops overlapping boxes itself, or makes none. */
  needsNms(head: H): boolean;
  /**
   * How much each value of the blobs matters for scores that are to keep their mean under int8, at least 0, laid out as the
   * values; undefined for a blob that is left to the means of the layers.
   */
  importance(head: H, outputs: readonly Tensor[], classes: number): (Float32Array | undefined)[];
  /** How far detections of `int8` are from those of `float`: squared errors of scores, and of boxes where an object is. */
  loss(head: H, float: readonly Tensor[], int8: readonly Tensor[], classes: number): number;
  cpp(heads: readonly H[]): CppHeads;
  /** What an output of logits and scores has for a cell, in its order: said where something is like it. */
  readonly parts?: readonly HeadPart[];
  /** Heads of this kind in what a graph's outputs are made of; nothing where they are of another. */
  recognise(view: HeadView, facts: RecognitionFacts): Recognition<H> | undefined;
  /** Recognition asks whether a view is plain (`isPlain`); of the others, views that are not are kept away. */
  readonly seesAll?: true;
}

/** A kind with its own record type kept. */
export const defineHead = <H extends { readonly kind: string }>(kind: HeadKind<H>): HeadKind<H> => kind;

/** Parts of schemas that kinds share. */
export const blobName = z.string().check(
  z.minLength(1),
  z.maxLength(4096),
  z.refine((name) => !/\s/.test(name), { error: "a blob name without spaces" }),
);
/** First channel of what belongs to a head in a blob that has more; default 0. */
export const channel = z.optional(z.int().check(z.minimum(0), z.maximum(65535)));
export const extent = z.int().check(z.minimum(1), z.maximum(16384));
/** `w0 h0 w1 h1 …` in input pixels. */
export const anchorSizes = z.array(z.number().check(z.positive())).check(
  z.minLength(2),
  z.maxLength(256),
  z.refine((list) => list.length % 2 === 0, { error: "pairs of width and height" }),
);

/** Scores below this are background: there are too many of them to be right on average about each. */
export const leastScore = 0.1;

/** Below this a cell has no object whose box could be wrong. */
export const leastObject = 0.01;

/** Inverse of the sigmoid; below 0 and above 1 everything or nothing passes. */
export const logit = (p: number): number =>
  p <= 0 ? Number.NEGATIVE_INFINITY : p >= 1 ? Number.POSITIVE_INFINITY : Math.log(p / (1 - p));
/** Logit comparisons are only a quick sieve before the score itself is compared, so they may let a little more pass. */
export const logitSlack = 1e-6;

/** First class with the greatest of `values[at + k]` among the allowed, or −1. */
export function bestClass(
  values: ArrayLike<number>,
  at: number,
  classes: number,
  allowed?: Uint8Array,
): number {
  let best = -1;
  let greatest = Number.NEGATIVE_INFINITY;
  for (let k = 0; k < classes; k++) {
    const value = values[at + k];
    if (value > greatest && (!allowed || allowed[k])) {
      best = k;
      greatest = value;
    }
  }
  return best;
}
