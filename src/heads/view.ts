/**
 * What a graph's outputs are made of, as recognition sees it: values of convolutions on grids of the picture (*sources*), and for
 * every number of an output which of them it is. Filled in by `open/view.ts`, which runs the end of the graph with made-up values.
 */

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
}

/** Where the numbers at one place of all cells come from. */
export type Column =
  | { readonly origin: "raw" | "sigmoid"; readonly source: HeadSource; readonly channel: number }
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
}

/** An output as a table: a row for every box, a column for every number of one. */
export interface OutputTable {
  readonly blob: string;
  readonly rows: number;
  readonly columns: number;
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

export interface HeadView {
  /** Input size in pixels at which all this was found. */
  readonly width: number;
  readonly height: number;
  /** Mean magnitude of the first layer's weights, where it has some: it is small where values go up to 255. */
  readonly firstWeights?: number;
  /** Then there is nothing else. */
  readonly chosen?: ChosenBoxes;
  readonly sources: readonly HeadSource[];
  readonly tables: readonly OutputTable[];
  /** Finest stride first within each output. */
  readonly pieces: readonly Piece[];
  /** Outputs all of whose numbers are computed from several of the sources'; they are not among `tables`. */
  readonly computed: readonly OutputTable[];
  /** Values for random sources (between −2 and 2), or for sources that are all `value`. */
  probe(value?: number): Probe;
}

/** Whether every number of the outputs was looked for, and a cell is one row. */
export const isPlain = ({ computed, pieces }: HeadView): boolean =>
  !computed.length && pieces.every(({ anchors }) => anchors === 1);

/** Channels of one source that columns `from … from + count − 1` are, in order. */
export function channelsOf(
  { columns }: Piece,
  from: number,
  count: number,
  origin: "raw" | "sigmoid",
): { source: HeadSource; channel: number } | undefined {
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

/** Cells spread over a piece that are looked at where a formula is compared. */
export function sampleCells({ gridWidth, gridHeight }: Piece): number[] {
  const cells = gridWidth * gridHeight;
  const samples = Math.min(cells, 24);
  return Array.from({ length: samples }, (_, i) =>
    samples === 1 ? 0 : Math.floor((i * (cells - 1)) / (samples - 1)),
  );
}

export const isNear = (a: number, b: number, tolerance = 1e-3): boolean =>
  Math.abs(a - b) <= tolerance * Math.max(1, Math.abs(b));
