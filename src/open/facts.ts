/** What is known of a model besides its graph: by its file, or by who opens it. */
import { expectKind } from "../base/arguments.ts";
import type { FamilyName } from "../heads/families.ts";
import type { Preprocessing } from "../heads/input.ts";
import type { Head } from "../heads/manifest.ts";

/** Facts that a caller may know better than the file. */
export interface KnownFacts {
  /** `w0 h0 w1 h1 …` in pixels for each head, smallest stride first. */
  anchors?: readonly (readonly number[])[];
  /** Class names by class number. */
  labels?: readonly string[];
  /** Default input size in pixels: side of a square, or both sides. */
  size?: number | { width: number; height: number };
  /** Whose pre-processing the model has, where the file does not say: `yolox`, `nanodet`, … */
  family?: FamilyName;
  /** Parts of the pre-processing that are known; they go before the family's. */
  preprocessing?: Partial<Preprocessing>;
}

/** Facts that come from the file itself. */
export interface FileFacts extends KnownFacts {
  /** `value = (level − mean)·norm` for each channel. */
  levels?: { readonly mean: readonly number[]; readonly norm: readonly number[] };
  /** Heads, where there are any. */
  recognised?: RecognisedFacts;
  /** The file says whose it is, so that the family's pre-processing is no assumption. */
  isFamilyStated?: boolean;
  /** What the file says that it is for, and that it gives one box an object (`heads/recognition.ts`). */
  task?: string;
  isEndToEnd?: boolean;
}

/** What recognition found (`recognise.ts`). */
export interface RecognisedFacts {
  readonly heads: readonly Head[];
  readonly classes: number;
  readonly labels?: readonly string[];
  readonly family?: FamilyName;
  readonly width: number;
  readonly height: number;
  readonly stride: number;
  readonly isSizeFree?: boolean;
}

/** What YOLOv5 models are trained and exported at unless told otherwise. */
export const defaultSize = 640;

export function bothSides(size: KnownFacts["size"]): { width: number; height: number } | undefined {
  if (size === undefined) return undefined;
  if (typeof size === "number") return { width: size, height: size };
  expectKind("size", size, "a number, or { width, height }");
  return size;
}
