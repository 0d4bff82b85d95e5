/** What recognition of heads is asked and answers. */
import type { FamilyName } from "./families.ts";
import type { HeadView, Piece } from "./view.ts";

/** What is known besides the graph. */
export interface RecognitionFacts {
  /** Class names, where the file or the caller gives them. */
  readonly labels?: readonly string[];
  /** What the caller says that it is. */
  readonly family?: FamilyName;
  /** Anchors of each head in pixels, smallest stride first, where the caller gives them. */
  readonly anchors?: readonly (readonly number[])[];
  /** The file says that the network gives one box an object. */
  readonly isEndToEnd?: boolean;
}

export type Recognition<H> =
  | {
      readonly heads: H[];
      readonly classes: number;
      /** Names of the classes, where the kind is made for them. */
      readonly labels?: readonly string[];
      /** Whose pre-processing it most likely has. */
      readonly family?: FamilyName;
      /** What was taken for granted that neither graph nor file proves, a sentence each. */
      readonly notes: readonly string[];
      /** Outputs stay as they are: the graph is not cut to the blobs of the heads. */
      readonly isWhole?: boolean;
    }
  /** What is like this kind, and what differs. */
  | { readonly near: string };

/** All columns of a grid together, in the order of the outputs; nothing where outputs have several grids of a stride. */
export function joinLevels(view: HeadView): Piece[] | undefined {
  const levels = new Map<number, Piece[]>();
  for (const piece of view.pieces) {
    const list = levels.get(piece.stride) ?? [];
    if (list.some(({ output }) => output === piece.output)) return undefined;
    levels.set(piece.stride, [...list, piece]);
  }
  return [...levels]
    .sort(([a], [b]) => a - b)
    .map(([, list]) => ({ ...list[0], columns: list.flatMap(({ columns }) => columns) }));
}
