/** Reads from two runs with coded values (`view.ts`) which numbers of an output are whose: rows of boxes, cut into grids. */
import { spread } from "../base/maths.ts";
import type { Channel, Column, HeadSource, OutputTable, Piece } from "../heads/view.ts";
import { elementCount, type Tensor } from "../ir/tensor.ts";

/** How a number follows from numbers of sources; none of them for `other`. */
type Origin = Exclude<Column["origin"], "other">;

const isUnit = (value: number): boolean => value > 0 && value < 1;

/** Codes lie below 0, so that none is the sigmoid of another. */
const codeRange = { from: -4, to: -1 };

/** Numbers from 0 to count − 1 as values that can be read back from themselves, from their sigmoid or from its square. */
class Code {
  private readonly step: number;
  private readonly count: number;
  constructor(count: number) {
    this.count = count;
    this.step = (codeRange.to - codeRange.from) / count;
  }
  value(number: number): number {
    return Math.fround(codeRange.from + (number + 0.5) * this.step);
  }
  /** Of a product, that of two equal sigmoids. */
  read(value: number, origin: Origin): number | undefined {
    const part = origin === "product" ? Math.sqrt(value) : value;
    if (origin !== "raw" && !isUnit(part)) return undefined;
    const raw = origin === "raw" ? part : Math.log(part / (1 - part));
    const place = (raw - codeRange.from) / this.step - 0.5;
    const number = Math.round(place);
    const isOne = number >= 0 && number < this.count && Math.abs(place - number) < 0.1;
    return isOne ? number : undefined;
  }
  sigmoid(number: number): number {
    return 1 / (1 + Math.exp(-this.value(number)));
  }
}

/** What the outputs are where every channel, or every cell, has a value of its own. */
export class CodedRuns {
  private readonly first = new Map<HeadSource, number>();
  private readonly total: number;
  private readonly channels: Code;
  private readonly cells: Code;
  private readonly sources: readonly HeadSource[];
  /** Multiplier of the second order of the channels. */
  private readonly stride: number;

  constructor(sources: readonly HeadSource[]) {
    this.sources = sources;
    let total = 0;
    for (const source of sources) {
      this.first.set(source, total);
      total += source.channels;
    }
    this.total = total;
    this.channels = new Code(total);
    this.cells = new Code(Math.max(...sources.map(({ columns, rows }) => columns * rows)));
    this.stride = coprime(total);
  }
  byChannel(source: HeadSource, channel: number): number {
    return this.channels.value(this.first.get(source)! + channel);
  }
  /** The same in another order, far from the first. */
  byOtherChannel(source: HeadSource, channel: number): number {
    return this.channels.value(this.other(this.first.get(source)! + channel));
  }
  byCell(cell: number): number {
    return this.cells.value(cell);
  }
  readonly cell = (value: number, origin: Origin): number | undefined => this.cells.read(value, origin);

  /** What a number is that has these values, if it is of cell 0: where the cell is known, a value is one thing only. */
  columnOf(
    byChannel: number,
    byOtherChannel: () => number,
    byCell: number,
  ): Exclude<Column, { origin: "other" }> | undefined {
    for (const origin of ["raw", "sigmoid"] as const) {
      if (this.cell(byCell, origin) !== 0) continue;
      const code = this.channels.read(byChannel, origin);
      if (code !== undefined) return { origin, ...this.channelOf(code) };
    }
    if (this.cell(byCell, "product") !== 0) return undefined;
    const pair = this.pairOf(byChannel, byOtherChannel());
    if (!pair) return undefined;
    const [a, b] = pair.map((code) => this.channelOf(code));
    const isFirst = a.source === b.source ? a.channel < b.channel : a.source.channels <= b.source.channels;
    return { origin: "product", ...(isFirst ? b : a), by: isFirst ? a : b };
  }

  private other(code: number): number {
    return (code * this.stride) % this.total;
  }
  private channelOf(code: number): Channel {
    const source = this.sources.findLast((each) => this.first.get(each)! <= code)!;
    return { source, channel: code - this.first.get(source)! };
  }
  /** The two channels whose sigmoids have these products in both orders. */
  private pairOf(product: number, otherProduct: number): [number, number] | undefined {
    let best: [number, number] | undefined;
    let least = 2e-6 * otherProduct;
    for (let a = 0; a < this.total; a++) {
      const b = this.channels.read(product / this.channels.sigmoid(a), "sigmoid");
      if (b === undefined || b <= a) continue;
      const found = this.channels.sigmoid(this.other(a)) * this.channels.sigmoid(this.other(b));
      const error = Math.abs(found - otherProduct);
      if (error < least) [best, least] = [[a, b], error];
    }
    return best;
  }
}

/** A number about 0.38 of `total` without a divisor in common. */
function coprime(total: number): number {
  const divisor = (a: number, b: number): number => (b ? divisor(b, a % b) : a);
  let number = Math.max(1, Math.round(total * 0.382));
  while (divisor(number, total) !== 1) number++;
  return number;
}

/** One output in the three runs. */
export interface CodedOutput {
  readonly byChannel: Tensor;
  /** Needed where there are products. */
  byOtherChannel(): Tensor;
  readonly byCell: Tensor;
}

/** An output as a table and its rows as grids; nothing where it is none. */
export function readTable(
  blob: string,
  coded: CodedOutput,
  runs: CodedRuns,
): { table: OutputTable; pieces: Piece[] } | undefined {
  const { shape } = coded.byChannel;
  for (const form of formsOf(shape)) {
    const table = { blob, shape, ...form };
    const pieces = new Reader(table, coded, runs).pieces();
    if (pieces) return { table, pieces };
  }
  return undefined;
}

type Form = Omit<OutputTable, "blob" | "shape">;

/** Rows along the last axis or the last two, or columns along the first or the first two, or single numbers. */
function formsOf(shape: readonly number[]): Form[] {
  const dims = shape.filter((extent) => extent > 1);
  if (dims.length < 1) return [];
  const total = elementCount(dims);
  const form = (isRowMajor: boolean, columnExtents: readonly number[]): Form => {
    const columns = elementCount(columnExtents);
    return { isRowMajor, columnExtents, columns, rows: total / columns };
  };
  return [
    form(true, dims.slice(-1)),
    ...(dims.length > 2 ? [form(true, dims.slice(-2)), form(false, dims.slice(0, 2))] : []),
    form(false, dims.slice(0, 1)),
    form(false, []),
  ];
}

export const indexOf = ({ rows, columns, isRowMajor }: OutputTable, row: number, column: number): number =>
  isRowMajor ? row * columns + column : column * rows + row;

/** Rows of a cell that are looked for. */
const mostAnchors = 16;
/** Cells of a column that are looked at: its code, not chance, puts the others where they are. */
const mostLooked = 256;

/** Cuts the rows of a table into grids. */
class Reader {
  private readonly table: OutputTable;
  private readonly coded: CodedOutput;
  private readonly runs: CodedRuns;
  constructor(table: OutputTable, coded: CodedOutput, runs: CodedRuns) {
    this.table = table;
    this.coded = coded;
    this.runs = runs;
  }

  pieces(): Piece[] | undefined {
    const { table } = this;
    const pieces: Piece[] = [];
    for (let from = 0; from < table.rows; ) {
      const found = this.sourceAt(from);
      if (!found) return undefined;
      const { source, anchors } = found;
      const { columns: gridWidth, rows: gridHeight, stride } = source;
      const cells = gridWidth * gridHeight;
      if (from + cells * anchors > table.rows) return undefined;
      const columns = Array.from({ length: anchors }, (_, anchor) =>
        this.columns(from + anchor, anchors, cells),
      ).flat();
      if (columns.every(({ origin }) => origin === "other")) return undefined;
      pieces.push({ output: table.blob, from, anchors, stride, gridWidth, gridHeight, columns });
      from += cells * anchors;
    }
    return pieces;
  }

  /** The source of the first number of a row that is of cell 0 and which is of cell 1 in the next row, or in one soon after. */
  private sourceAt(row: number): { source: HeadSource; anchors: number } | undefined {
    for (let column = 0; column < this.table.columns; column++) {
      const found = this.columnAt(row, column);
      if (!found) continue;
      const { source } = found;
      if (source.columns * source.rows === 1) return { source, anchors: 1 };
      for (let anchors = 1; anchors <= mostAnchors && row + anchors < this.table.rows; anchors++) {
        if (this.isOf(row + anchors, column, found, row, 1)) return { source, anchors };
      }
    }
    return undefined;
  }

  private columns(from: number, step: number, cells: number): Column[] {
    const looked = spread(
      Array.from({ length: cells }, (_, cell) => cell),
      mostLooked,
    );
    return Array.from({ length: this.table.columns }, (_, column): Column => {
      const first = this.columnAt(from, column);
      if (!first || first.source.columns * first.source.rows !== cells) return { origin: "other" };
      const isSame = (cell: number): boolean => this.isOf(from + cell * step, column, first, from, cell);
      return looked.every(isSame) ? first : { origin: "other" };
    });
  }

  /** Whether a number is the same channels as that of the row `first`, at another cell. */
  private isOf(
    row: number,
    column: number,
    { origin }: { origin: Origin },
    first: number,
    cell: number,
  ): boolean {
    const { byChannel } = this.coded;
    const [a, b] = [this.at(byChannel, row, column), this.at(byChannel, first, column)];
    return Math.abs(a - b) <= 1e-6 && this.cellAt(row, column, origin) === cell;
  }
  private cellAt(row: number, column: number, origin: Origin): number | undefined {
    return this.runs.cell(this.at(this.coded.byCell, row, column), origin);
  }
  private columnAt(row: number, column: number): Exclude<Column, { origin: "other" }> | undefined {
    const { byChannel, byCell } = this.coded;
    return this.runs.columnOf(
      this.at(byChannel, row, column),
      () => this.at(this.coded.byOtherChannel(), row, column),
      this.at(byCell, row, column),
    );
  }
  private at({ data }: Tensor, row: number, column: number): number {
    return Number(data[indexOf(this.table, row, column)]);
  }
}

/** An output without numbers that could be read: with as many rows as one of `known` has if it can be, else planes or rows. */
export function computedTable(
  blob: string,
  shape: readonly number[],
  known: readonly OutputTable[],
): OutputTable {
  const dims = shape.filter((extent) => extent > 1);
  const isRowMajor = dims.length < 3;
  const columns = (isRowMajor ? dims[dims.length - 1] : dims[0]) ?? 1;
  const usual = {
    ...{ isRowMajor, columns, columnExtents: [columns] },
    rows: elementCount(shape) / columns,
  };
  const isKnown = ({ rows }: Form): boolean => known.some((table) => table.rows === rows);
  return { blob, shape, ...([usual, ...formsOf(shape)].find(isKnown) ?? usual) };
}
