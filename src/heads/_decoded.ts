/** Boxes that the graph computes, one for a cell, from convolutions of their own: which these are, and by which formula. */
import { joinRows } from "./recognition.ts";
import {
  type Channel,
  type Column,
  type HeadSource,
  type HeadView,
  isNear,
  numberAt,
  type OutputTable,
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
  /** Columns behind the scores. */
  readonly extras: readonly number[];
}

/** Outputs that are planes of the picture, as prototypes of masks are. */
export const isPlane = ({ width, height }: HeadView, { shape }: OutputTable): boolean => {
  const [, rows, columns] = shape;
  return shape.length === 3 && width % columns === 0 && width / columns === height / rows;
};

/** All pieces of the outputs, and outputs that have no place in them. */
export interface Decoded {
  readonly pieces: readonly DecodedPiece[];
  readonly planes: readonly OutputTable[];
}

/** Nothing where a piece has other columns, or as many classes as no other. */
export function decodedOutputs(view: HeadView): Decoded | undefined {
  const { pieces, left } = joinRows(view);
  const found = pieces.map((piece) => decodedPiece(view, piece));
  const isAlike = found.every(
    (each) =>
      each?.classes === found[0]?.classes &&
      each?.extras.length === found[0]?.extras.length &&
      Boolean(each?.objectness) === Boolean(found[0]?.objectness),
  );
  const planes = view.computed.filter(({ blob }) => left.includes(blob));
  if (!found[0] || !isAlike || !planes.every((table) => isPlane(view, table))) return undefined;
  return { pieces: found as DecodedPiece[], planes };
}

/** The pieces, where there is nothing but boxes and scores. */
export function decodedPieces(view: HeadView): readonly DecodedPiece[] | undefined {
  const found = decodedOutputs(view);
  const isPlain = found && !found.planes.length && !found.pieces[0].extras.length;
  return isPlain ? found.pieces : undefined;
}

function decodedPiece(view: HeadView, piece: Piece): DecodedPiece | undefined {
  const columns = piece.columns.map((column, at) => ({ column, at }));
  const start = columns.find(({ column }) => column.origin === "sigmoid" || column.origin === "product");
  if (!start || start.column.origin === "other") return undefined;
  const [first, second] = [start.column, piece.columns.at(start.at + 1)];
  const isApart =
    first.origin === "sigmoid" && second?.origin === "sigmoid" && second.source !== first.source;
  const objectness = first.origin === "product" ? first.by : isApart ? first : undefined;
  const from = start.at + Number(isApart);
  const scored = piece.columns[from];
  if (scored.origin === "other") return undefined;
  const { source, channel, origin } = scored;
  let end = from + 1;
  for (; end < columns.length; end++) {
    const column = piece.columns[end];
    if (column.origin !== origin || column.source !== source) break;
    if (column.channel !== channel + end - from || !isBy(column, objectness)) break;
  }
  const isComputed = ({ column, at }: (typeof columns)[number]): boolean =>
    column.origin === "other" && !isConstant(view, piece, at, 1);
  const [before, behind] = [columns.slice(0, start.at), columns.slice(end)];
  // Boxes in an output of their own come behind the scores.
  const isBehind = !before.some(isComputed);
  const rest = isBehind ? behind : before;
  const box = rest.filter(isComputed);
  if (box.length !== 4 || rest.some(({ column }) => column.origin !== "other")) return undefined;
  return {
    ...{ piece, box: box.map(({ at }) => at), scores: { source, channel } },
    ...(objectness && { objectness }),
    ...{ classes: end - from, extras: isBehind ? [] : behind.map(({ at }) => at) },
  };
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
