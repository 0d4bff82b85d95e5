/** Boxes that the graph computes, one for a cell, from convolutions of their own: which these are, and by which formula. */
import { joinRows } from "./recognition.ts";
import {
  type Channel,
  type Column,
  type HeadSource,
  type HeadView,
  isNear,
  numberAt,
  type Piece,
  sampleCells,
} from "./view.ts";

/** A piece with four computed numbers and scores. */
export interface DecodedPiece {
  readonly piece: Piece;
  /** Columns of the four numbers. */
  readonly box: readonly number[];
  /** First channel of the classes. */
  readonly scores: Channel;
  readonly objectness?: Channel;
  readonly classes: number;
}

/** All pieces of the outputs; nothing where one has other columns, or as many classes as no other. */
export function decodedPieces(view: HeadView): DecodedPiece[] | undefined {
  const { pieces, left } = joinRows(view);
  const found = pieces.map((piece) => decodedPiece(view, piece));
  const isAlike = found.every(
    (each) =>
      each?.classes === found[0]?.classes && Boolean(each?.objectness) === Boolean(found[0]?.objectness),
  );
  return found[0] && isAlike && !left.length ? (found as DecodedPiece[]) : undefined;
}

function decodedPiece(view: HeadView, piece: Piece): DecodedPiece | undefined {
  const columns = piece.columns.map((column, at) => ({ column, at }));
  const computed = columns.filter(({ column }) => column.origin === "other");
  const box = computed.flatMap(({ at }) => (isConstant(view, piece, at, 1) ? [] : [at]));
  const scored = columns.flatMap(({ column }) =>
    column.origin === "sigmoid" || column.origin === "product" ? [column] : [],
  );
  if (box.length !== 4 || scored.length + computed.length !== columns.length) return undefined;
  const [first, second] = scored;
  if (!first) return undefined;
  const isApart = first.origin === "sigmoid" && second !== undefined && second.source !== first.source;
  const objectness = first.origin === "product" ? first.by : isApart ? first : undefined;
  const run = isApart ? scored.slice(1) : scored;
  const [{ source, channel }] = run;
  const isRun = run.every((column, k) => {
    const isSame = column.source === source && column.channel === channel + k;
    return isSame && column.origin === run[0].origin && isBy(column, objectness);
  });
  if (!isRun) return undefined;
  return { piece, box, scores: { source, channel }, ...(objectness && { objectness }), classes: run.length };
}

const isBy = (column: Exclude<Column, { origin: "other" }>, by: Channel | undefined): boolean =>
  column.origin !== "product" || (column.by.source === by?.source && column.by.channel === by.channel);

/** Whether a column is one number everywhere: YOLOv6 has a 1 for objectness. */
export const isConstant = (view: HeadView, piece: Piece, column: number, value: number): boolean =>
  sampleCells(piece).every((cell) => numberAt(view.probe(), piece, cell, column) === value);

/** Left, top, right and bottom in cells, of a cell whose left top corner is (x, y), from the values of its channels. */
export type CellBox = (value: (channel: number) => number, x: number, y: number) => readonly number[];

/** How boxes are written down, relative to what `CellBox` gives times stride. */
export interface BoxForm {
  readonly corners: boolean;
}

/** The convolution and the formula that the boxes of a piece are made by. `formulasFor` gives those that a source could have. */
export function boxSource<T extends { readonly box: CellBox }>(
  view: HeadView,
  { piece, box }: DecodedPiece,
  formulasFor: (source: HeadSource) => readonly T[],
): ({ readonly source: HeadSource } & BoxForm & T) | undefined {
  const { stride, gridWidth } = piece;
  const sources = view.sources.filter((each) => each.activation === "none" && each.stride === stride);
  const probe = view.probe();
  const cells = sampleCells(piece);
  // Pixels, or parts of the input.
  const units = [
    [stride, stride],
    [stride / view.width, stride / view.height],
  ];
  for (const source of sources) {
    for (const formula of formulasFor(source)) {
      for (const corners of [false, true]) {
        const isFormula = units.some((unit) =>
          cells.every((cell) => {
            const [x, y] = [cell % gridWidth, Math.floor(cell / gridWidth)];
            const [l, t, r, b] = formula.box((i) => probe.source(source, i, cell), x, y);
            const expected = corners ? [l, t, r, b] : [(l + r) / 2, (t + b) / 2, r - l, b - t];
            return expected.every((value, i) =>
              isNear(numberAt(probe, piece, cell, box[i]) / unit[i % 2], value, 2e-4),
            );
          }),
        );
        if (isFormula) return { source, corners, ...formula };
      }
    }
  }
  return undefined;
}
