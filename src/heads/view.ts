/**
 * What a graph's outputs are made of, as recognition sees it: values of convolutions on grids of the picture (*sources*), and for
 * every number of an output which of them it is. Filled in by `open/view.ts`, which runs the end of the graph with made-up values.
 */
import type { Shape } from "../ir/tensor.ts";

/** A convolution on a grid of the picture from which outputs are computed by arithmetic alone. */
export interface HeadSource {
  readonly blob: string;
  readonly channels: number;
  /** Cells. */
  readonly columns: number;
  readonly rows: number;
  /** Input pixels per cell. */
  readonly stride: number;
  /** What the convolution itself puts on its result. */
  readonly activation: "none" | "sigmoid" | "other";
  /** One cell of its input makes one of its own, as in the last convolution of a detector. */
  readonly isPointwise: boolean;
}

export interface Channel {
  readonly source: HeadSource;
  readonly channel: number;
}

/** Where the numbers at one place of all cells come from. */
export type Column =
  | ({ readonly origin: "raw" | "sigmoid" } & Channel)
  /** The product of its sigmoid and that of `by`, which is the one of fewer or earlier channels: a class and objectness. */
  | ({ readonly origin: "product"; readonly by: Channel } & Channel)
  /** Computed in another way, or from several numbers. */
  | { readonly origin: "other" };

/** Rows of an output, `anchors` one after the other for each cell of a grid, row by row. */
export interface Piece {
  readonly output: string;
  /** First row of the output that is cell 0. */
  readonly from: number;
  readonly anchors: number;
  readonly stride: number;
  readonly gridWidth: number;
  readonly gridHeight: number;
  /** Of a cell: the columns of its first row, of its second, … */
  readonly columns: readonly Column[];
  /** Where the columns stand, where they are not all of the output's (`joinRows`); `row` is that of the cell. */
  readonly places?: readonly { readonly output: string; readonly row: number; readonly column: number }[];
}

/** An output as a table: a row for every box, a column for every number of one. */
export interface OutputTable {
  readonly blob: string;
  readonly shape: Shape;
  readonly rows: number;
  readonly columns: number;
  /** Extents of the axes that a row goes along; their product is `columns`. */
  readonly columnExtents: readonly number[];
  /** The numbers of a box lie one after the other; else the boxes do. */
  readonly isRowMajor: boolean;
}

/** Values of sources and of the outputs that follow from them. */
export interface Probe {
  /** Of one number of a source, before its activation. */
  source(source: HeadSource, channel: number, cell: number): number;
  output(blob: string, row: number, column: number): number;
}

/** The only output of a graph that ends in a layer which decodes and chooses boxes. */
export interface ChosenBoxes {
  readonly blob: string;
  readonly classes: number;
  /** The layer drops boxes at or below this score. */
  readonly confidence: number;
  /** It decodes values of grids, as YOLO has them; else of a list of prior boxes, as SSD has it. */
  readonly isFromGrids: boolean;
  /** Of the coarsest grid, in pixels; 1 without grids. */
  readonly stride: number;
}

/** The only output of a graph that has a number for every class of the whole picture. */
export interface ClassList {
  /** Logits, or what its last layer with weights computes. */
  readonly blob: string;
  readonly count: number;
  /** The output is the softmax of the blob; else it is the blob, perhaps in another shape. */
  readonly isSoftmax: boolean;
}

export interface HeadView {
  /** Input size in pixels at which all this was found. */
  readonly width: number;
  readonly height: number;
  /** Mean magnitude of the first layer's weights, where it has some: it is small where values go up to 255. */
  readonly firstWeights?: number;
  /** Then there is nothing else. */
  readonly chosen?: ChosenBoxes;
  /** The same. */
  readonly list?: ClassList;
  readonly sources: readonly HeadSource[];
  readonly tables: readonly OutputTable[];
  /** Finest stride first within each output. */
  readonly pieces: readonly Piece[];
  /** Outputs all of whose numbers are computed from several of the sources'; they are not among `tables`. */
  readonly computed: readonly OutputTable[];
  /** Outputs that are not made of sources alone. */
  readonly unread: readonly string[];
  /** Values for random sources (between −2 and 2), others for every seed. */
  probe(seed?: number): Probe;
  /** Values for sources that are all 0. */
  zero(): Probe;
}

/** Whether every number of the outputs was looked for, and a cell is one row. */
export const isPlain = ({ computed, pieces }: HeadView): boolean =>
  !computed.length && pieces.every(({ anchors }) => anchors === 1);

/** A number of a piece; `column` is among those of the first row of a cell, unless the piece says where its columns stand. */
export function numberAt(probe: Probe, piece: Piece, cell: number, column: number): number {
  const place = piece.places?.[column] ?? { output: piece.output, row: 0, column };
  return probe.output(place.output, piece.from + cell * piece.anchors + place.row, place.column);
}

/** Channels of one source that columns `from … from + count − 1` are, in order. */
export function channelsOf(
  { columns }: Piece,
  from: number,
  count: number,
  origin: "raw" | "sigmoid",
): Channel | undefined {
  const [first] = columns.slice(from, from + 1);
  if (count < 1 || from + count > columns.length || first?.origin !== origin) return undefined;
  const { source, channel } = first;
  const isRun = columns
    .slice(from, from + count)
    .every(
      (column, i) => column.origin === origin && column.source === source && column.channel === channel + i,
    );
  return isRun && source.activation !== "other" ? { source, channel } : undefined;
}

/** More than any formula has unknowns. */
const mostSamples = 24;

/** Cells spread over a piece that are looked at where a formula is compared. */
export function sampleCells({ gridWidth, gridHeight }: Piece): number[] {
  const cells = gridWidth * gridHeight;
  if (cells <= mostSamples) return Array.from({ length: cells }, (_, cell) => cell);
  // Both axes in steps of their own, so that x says nothing of y.
  const part = (i: number, step: number, extent: number): number => Math.floor(((i * step) % 1) * extent);
  const spread = Array.from(
    { length: mostSamples - 1 },
    (_, i) => part(i, 0.7548777, gridWidth) + gridWidth * part(i, 0.5698403, gridHeight),
  );
  return [...new Set([...spread, cells - 1])];
}

export const isNear = (a: number, b: number, tolerance = 1e-3): boolean =>
  Math.abs(a - b) <= tolerance * Math.max(1, Math.abs(b));
