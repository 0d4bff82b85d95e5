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
  /** Those that the file gives; they may be of something else. */
  readonly statedAnchors?: readonly (readonly number[])[];
  /** The file says that the network gives one box an object. */
  readonly isEndToEnd?: boolean;
  /** What the file says that it is for: `classify`, as ultralytics spells it. */
  readonly task?: string;
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
      /** There is no decoding code that could be kept: the outputs are the values that decoding starts from, or their sigmoids. */
      readonly isRaw?: boolean;
      /**
       * Convolutions that heads name as their blobs although they are to be laid out as `[groups, cells, channels / groups]` first:
       * how many groups each has.
       */
      readonly groups?: ReadonlyMap<string, number>;
    }
  /** What is like this kind, and what differs; or, where it is sure, what it is that is no detector of boxes. */
  | { readonly near: string; readonly isSure?: true };

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

/**
 * Pieces of one row a cell: outputs with as many rows as another stand side by side in them (boxes apart from their scores), and rows of
 * one cell are apart. `left` are computed outputs that have no place in them.
 */
export function joinRows(view: HeadView): {
  readonly pieces: readonly Piece[];
  readonly left: readonly string[];
} {
  const [first] = view.tables;
  if (!first) return { pieces: [], left: [] };
  const of = (blob: string): Piece[] => view.pieces.filter(({ output }) => output === blob);
  const alike = view.tables.every((table) => isCutAlike(of(table.blob), of(first.blob)));
  const computed = view.computed.filter(({ rows }) => rows === first.rows);
  const left = view.computed.filter((table) => !computed.includes(table)).map(({ blob }) => blob);
  if (!alike)
    return {
      pieces: view.pieces.flatMap((piece) => apart([piece])),
      left: view.computed.map(({ blob }) => blob),
    };
  const pieces = of(first.blob).flatMap((piece, i) =>
    apart([
      ...view.tables.map(({ blob }) => of(blob)[i]),
      ...computed.map(({ blob, columns }): Piece => {
        const count = columns * piece.anchors;
        return {
          ...piece,
          output: blob,
          columns: Array.from({ length: count }, () => ({ origin: "other" })),
        };
      }),
    ]),
  );
  return { pieces, left };
}

const isCutAlike = (a: readonly Piece[], b: readonly Piece[]): boolean =>
  a.length === b.length &&
  a.every(
    ({ from, stride, anchors }, i) =>
      from === b[i].from && stride === b[i].stride && anchors === b[i].anchors,
  );

/** Pieces of the same cells as one for each row of a cell. */
function apart(pieces: readonly Piece[]): Piece[] {
  const [{ anchors }] = pieces;
  return Array.from({ length: anchors }, (_, row) => {
    const parts = pieces.flatMap(({ output, columns }) => {
      const count = columns.length / anchors;
      return columns
        .slice(row * count, (row + 1) * count)
        .map((column, i) => ({ column, place: { output, row, column: i } }));
    });
    return {
      ...pieces[0],
      columns: parts.map(({ column }) => column),
      places: parts.map(({ place }) => place),
    };
  });
}
