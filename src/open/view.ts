/**
 * Looks at the end of a graph for recognition (`heads/view.ts`): finds the convolutions that its outputs are computed from, puts
 * values into their place that tell where they stand, runs what is behind them with the operators' reference kernels, and reads from the
 * outputs where every number comes from. How the code is spelled makes no difference.
 */
import { GraphError, NcnnkitError } from "../base/errors.ts";
import { sigmoid } from "../base/maths.ts";
import type { ChosenBoxes, Column, HeadSource, HeadView, OutputTable, Piece, Probe } from "../heads/view.ts";
import { type Graph, match, type Node, opOf, paramsOf } from "../ir/graph.ts";
import { elementCount, type Shape, type Tensor } from "../ir/tensor.ts";
import { weightToFloat32 } from "../ir/weight.ts";
import { activationTypes } from "../ops/activations.ts";
import { ops } from "../ops/index.ts";
import { noop } from "../ops/noop.ts";

/** Beyond what the decoding of any detector takes. */
const mostNodes = 600;
/** Numbers and multiply-accumulates; each run takes about a second at most. */
const mostWork = 2 ** 26;
const mostOutputs = 32;
const strides = [4, 8, 16, 32, 64, 128];

/** The nodes behind the sources that make the outputs, in order, or nothing where the outputs are not made from convolutions on grids. */
interface Tail {
  readonly nodes: Node[];
  readonly sources: HeadSource[];
}

/** `shapes` are those of all blobs at the input size. Nothing where the outputs are no numbers of cells of grids. */
export function viewHeads(
  graph: Graph,
  size: { readonly width: number; readonly height: number },
  shapes: ReadonlyMap<string, Shape>,
): HeadView | undefined {
  const outputs = endsOf(graph);
  const chosen = chosenBoxes(graph, size, shapes);
  if (chosen) {
    const probe = (): never => {
      throw new GraphError("there are no sources to probe");
    };
    return { ...size, chosen, sources: [], tables: [], pieces: [], computed: [], probe };
  }
  if (outputs.length === 0 || outputs.length > mostOutputs) return undefined;
  const tail = tailOf(graph, outputs, size, shapes);
  if (!tail) return undefined;
  const run = (value: ValueOf): Map<string, Tensor> | undefined => runTail(tail, outputs, shapes, value);
  // Two runs: one with a value for every channel, one with a value for every cell.
  const offsets = offsetsOf(tail.sources);
  const channels = new Code(offsets.total);
  const cells = new Code(Math.max(...tail.sources.map(({ columns, rows }) => columns * rows)));
  const byChannel = run((source, channel) => channels.value(offsets.of(source) + channel));
  const byCell = run((_, __, cell) => cells.value(cell));
  if (!byChannel || !byCell) return undefined;
  const tables: OutputTable[] = [];
  const pieces: Piece[] = [];
  const computed: OutputTable[] = [];
  for (const blob of outputs) {
    const read = { channels, cells, offsets, sources: tail.sources };
    const found = readTable(blob, byChannel.get(blob)!, byCell.get(blob)!, read);
    if (found) {
      tables.push(found.table);
      pieces.push(...found.pieces);
    } else computed.push(computedTable(blob, byChannel.get(blob)!.shape));
  }
  if (!pieces.length) return undefined;
  const firstWeights = firstWeightsOf(graph);
  const probe = probes(run, [...tables, ...computed]);
  return { ...size, firstWeights, sources: tail.sources, tables, pieces, computed, probe };
}

/** The outputs; those that a Noop at the end gathers to one are seen apart. */
function endsOf(graph: Graph): string[] {
  const producers = graph.producers();
  return graph.outputs.flatMap((blob) => {
    const node = producers.get(blob);
    const gathers = node && match(node, noop) && node.inputs.length > node.outputs.length;
    return gathers ? node.inputs : [blob];
  });
}

function firstWeightsOf(graph: Graph): number | undefined {
  const weight = graph.nodes.find((node) => opOf(node, ops).linear)?.weights.weight;
  if (!weight || weight.storage === "i8") return undefined;
  const values = weightToFloat32(weight);
  return values.reduce((sum, value) => sum + Math.abs(value), 0) / values.length;
}

function chosenBoxes(
  graph: Graph,
  size: { readonly width: number },
  shapes: ReadonlyMap<string, Shape>,
): ChosenBoxes | undefined {
  const [blob, ...more] = graph.outputs;
  const node = blob === undefined || more.length ? undefined : graph.producers().get(blob);
  const inputs = node?.inputs.map((name) => shapes.get(name)!) ?? [];
  const found = node && opOf(node, ops).detections?.(inputs, paramsOf(node, ops));
  if (!found) return undefined;
  const isFromGrids = inputs.every((shape) => shape.length === 3);
  const stride = isFromGrids ? Math.max(...inputs.map(([, , columns]) => size.width / columns)) : 1;
  return { blob, ...found, isFromGrids, stride: Number.isInteger(stride) ? stride : 1 };
}

function tailOf(
  graph: Graph,
  outputs: readonly string[],
  size: { readonly width: number; readonly height: number },
  shapes: ReadonlyMap<string, Shape>,
): Tail | undefined {
  const producers = graph.producers();
  const tail = new Set<Node>();
  const sources = new Map<string, HeadSource>();
  const seen = new Set(outputs);
  let work = 0;
  for (const blob of seen) {
    const node = producers.get(blob);
    const shape = shapes.get(blob);
    if (!node || !shape) return undefined;
    const op = opOf(node, ops);
    const layer = op.linear ? node : scaledBy(node, producers);
    const source = layer && sourceOf(layer, blob, shape, size);
    work += elementCount(shape);
    if (source) sources.set(blob, source);
    else {
      if (op.source === "caller" || op.dynamicRows || !hasWeights(node)) return undefined;
      tail.add(node);
      const [from, to] = [node.inputs, node.outputs].map((blobs) => blobs.map((name) => shapes.get(name)!));
      work += op.macs?.(from, to, paramsOf(node, ops)) ?? 0;
    }
    if (tail.size > mostNodes || work > mostWork) return undefined;
    if (source) continue;
    for (const input of node.inputs) seen.add(input);
  }
  if (sources.size === 0) return undefined;
  return {
    nodes: graph.nodes.filter((node) => tail.has(node)),
    sources: graph.nodes.flatMap((node) => sources.get(node.outputs[0]) ?? []),
  };
}

/** The layer with weights whose values this one only multiplies by a number, as FCOS's `Scale` does; passes fold that. */
function scaledBy(node: Node, producers: ReadonlyMap<string, Node>): Node | undefined {
  const { operator, scalar } = opOf(node, ops).arithmetic?.(paramsOf(node, ops)) ?? {};
  if (operator !== "mul" || !scalar || node.inputs.length !== 1) return undefined;
  const layer = producers.get(node.inputs[0]);
  const isRaw = layer && Number(paramsOf(layer, ops).activation_type ?? 0) === activationTypes.none;
  return isRaw && opOf(layer, ops).linear ? layer : undefined;
}

/** Without a `.bin` there are none. */
function hasWeights(node: Node): boolean {
  const specs = opOf(node, ops).weights?.(paramsOf(node, ops)) ?? [];
  return specs.every(({ name }) => node.weights[name] !== undefined);
}

function sourceOf(
  node: Node,
  blob: string,
  shape: Shape,
  { width, height }: { readonly width: number; readonly height: number },
): HeadSource | undefined {
  if (shape.length !== 3) return undefined;
  const [channels, rows, columns] = shape;
  const stride = strides.find(
    (each) => Math.ceil(width / each) === columns && Math.ceil(height / each) === rows,
  );
  if (stride === undefined) return undefined;
  const type = Number(paramsOf(node, ops).activation_type ?? 0);
  const activation =
    type === activationTypes.none ? "none" : type === activationTypes.sigmoid ? "sigmoid" : "other";
  return { blob, channels, columns, rows, stride, activation };
}

type ValueOf = (source: HeadSource, channel: number, cell: number) => number;

/** The outputs for given values of the sources, before their activation; nothing where a layer refuses. */
function runTail(
  { nodes, sources }: Tail,
  outputs: readonly string[],
  shapes: ReadonlyMap<string, Shape>,
  value: ValueOf,
): Map<string, Tensor> | undefined {
  const blobs = new Map<string, Tensor>();
  for (const source of sources) {
    const area = source.columns * source.rows;
    const data = Float32Array.from({ length: source.channels * area }, (_, i) => {
      const raw = value(source, Math.floor(i / area), i % area);
      return source.activation === "sigmoid" ? sigmoid(raw) : raw;
    });
    blobs.set(source.blob, { shape: shapes.get(source.blob)!, data });
  }
  try {
    for (const node of nodes) {
      const inputs = node.inputs.map((blob) => blobs.get(blob)!);
      const outputShapes = node.outputs.map((blob) => shapes.get(blob)!);
      const made = opOf(node, ops).reference(inputs, paramsOf(node, ops), node.weights, outputShapes);
      for (const [i, blob] of node.outputs.entries()) blobs.set(blob, made[i]);
    }
  } catch (error) {
    if (error instanceof NcnnkitError) return undefined;
    throw error;
  }
  return new Map(outputs.map((blob) => [blob, blobs.get(blob)!]));
}

/** Codes lie below 0, so that none is the sigmoid of another. */
const codeRange = { from: -4, to: -1 };

/** Numbers from 0 to count − 1 as values that can be read back from themselves or from their sigmoid. */
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
  read(value: number, origin: "raw" | "sigmoid"): number | undefined {
    const raw = origin === "raw" ? value : Math.log(value / (1 - value));
    const place = (raw - codeRange.from) / this.step - 0.5;
    const number = Math.round(place);
    const isOne = number >= 0 && number < this.count && Math.abs(place - number) < 0.1;
    return isOne ? number : undefined;
  }
}

interface Offsets {
  of(source: HeadSource): number;
  readonly total: number;
}

function offsetsOf(sources: readonly HeadSource[]): Offsets {
  const at = new Map<HeadSource, number>();
  let total = 0;
  for (const source of sources) {
    at.set(source, total);
    total += source.channels;
  }
  return { of: (source) => at.get(source)!, total };
}

interface Codes {
  readonly channels: Code;
  readonly cells: Code;
  readonly offsets: Offsets;
  readonly sources: readonly HeadSource[];
}

/** Where one number of an output comes from, as far as it is the number of a source or its sigmoid. */
interface Place {
  readonly origin: "raw" | "sigmoid";
  readonly source: HeadSource;
  readonly channel: number;
  readonly cell: number;
}

/** The output with its last axis as columns, or else its first, whichever makes whole grids of its rows. */
function readTable(
  blob: string,
  byChannel: Tensor,
  byCell: Tensor,
  codes: Codes,
): { table: OutputTable; pieces: Piece[] } | undefined {
  const dims = byChannel.shape.filter((extent) => extent > 1);
  if (dims.length < 1) return undefined;
  const placeOf = (index: number): Place | undefined => {
    for (const origin of ["raw", "sigmoid"] as const) {
      const code = codes.channels.read(byChannel.data[index], origin);
      const cell = code === undefined ? undefined : codes.cells.read(byCell.data[index], origin);
      if (code === undefined || cell === undefined) continue;
      const source = codes.sources.findLast((each) => codes.offsets.of(each) <= code)!;
      if (cell < source.columns * source.rows) {
        return { origin, source, channel: code - codes.offsets.of(source), cell };
      }
    }
    return undefined;
  };
  const total = elementCount(dims);
  const forms = [
    { isRowMajor: true, columns: dims[dims.length - 1] },
    { isRowMajor: false, columns: dims[0] },
    { isRowMajor: false, columns: 1 },
  ];
  for (const { isRowMajor, columns } of forms) {
    const rows = total / columns;
    const table = { blob, rows, columns, isRowMajor };
    const pieces = piecesOf(table, (row, column) => placeOf(indexOf(table, row, column)));
    if (pieces) return { table, pieces };
  }
  return undefined;
}

/** Planes, or else rows. */
function computedTable(blob: string, shape: Shape): OutputTable {
  const dims = shape.filter((extent) => extent > 1);
  const isRowMajor = dims.length < 3;
  const columns = (isRowMajor ? dims[dims.length - 1] : dims[0]) ?? 1;
  return { blob, rows: elementCount(shape) / columns, columns, isRowMajor };
}

const indexOf = ({ rows, columns, isRowMajor }: OutputTable, row: number, column: number): number =>
  isRowMajor ? row * columns + column : column * rows + row;

type PlaceAt = (row: number, column: number) => Place | undefined;

/** Cuts the rows into whole grids; nothing where they are none. */
function piecesOf(table: OutputTable, placeAt: PlaceAt): Piece[] | undefined {
  const pieces: Piece[] = [];
  for (let from = 0; from < table.rows; ) {
    const first = firstCell(table, from, placeAt);
    if (!first) return undefined;
    const { source, anchors } = first;
    const { columns: gridWidth, rows: gridHeight, stride } = source;
    const cells = gridWidth * gridHeight;
    if (from + cells * anchors > table.rows) return undefined;
    const columns = Array.from({ length: anchors }, (_, anchor) =>
      columnsOf(table, (cell) => from + cell * anchors + anchor, cells, placeAt),
    ).flat();
    if (columns.every(({ origin }) => origin === "other")) return undefined;
    pieces.push({ output: table.blob, from, anchors, stride, gridWidth, gridHeight, columns });
    from += cells * anchors;
  }
  return pieces;
}

/** Rows of a cell that are looked for. */
const mostAnchors = 16;

/** The source of the first number of a row that is of cell 0 and which is of cell 1 in the next row, or in one soon after. */
function firstCell(
  table: OutputTable,
  row: number,
  placeAt: PlaceAt,
): { source: HeadSource; anchors: number } | undefined {
  for (let column = 0; column < table.columns; column++) {
    const place = placeAt(row, column);
    if (place?.cell !== 0) continue;
    const { source } = place;
    if (source.columns * source.rows === 1) return { source, anchors: 1 };
    for (let anchors = 1; anchors <= mostAnchors && row + anchors < table.rows; anchors++) {
      const next = placeAt(row + anchors, column);
      if (next?.source === source && next.channel === place.channel && next.cell === 1) {
        return { source, anchors };
      }
    }
  }
  return undefined;
}

function columnsOf(
  table: OutputTable,
  rowOf: (cell: number) => number,
  cells: number,
  placeAt: PlaceAt,
): Column[] {
  return Array.from({ length: table.columns }, (_, column): Column => {
    const first = placeAt(rowOf(0), column);
    if (!first) return { origin: "other" };
    for (let cell = 0; cell < cells; cell++) {
      const place = placeAt(rowOf(cell), column);
      const isSame =
        place?.origin === first.origin &&
        place.source === first.source &&
        place.channel === first.channel &&
        place.cell === cell;
      if (!isSame) return { origin: "other" };
    }
    return { origin: first.origin, source: first.source, channel: first.channel };
  });
}

/** A number between −2 and 2 for every place, always the same. */
function wild(seed: number): number {
  const value = Math.sin((seed + 1) * 12.9898) * 43758.5453;
  return Math.fround(4 * (value - Math.floor(value)) - 2);
}

function probes(
  run: (value: ValueOf) => Map<string, Tensor> | undefined,
  tables: readonly OutputTable[],
): HeadView["probe"] {
  const made = new Map<number | undefined, Probe>();
  return (value) => {
    const known = made.get(value);
    if (known) return known;
    const source: ValueOf = ({ stride, channels }, channel, cell) =>
      value ?? wild(channel * 7919 + cell * 31 + stride * 104729 + channels);
    const outputs = run(source);
    const probe: Probe = {
      source,
      output(blob, row, column) {
        const table = tables.find((each) => each.blob === blob)!;
        return Number(outputs?.get(blob)?.data[indexOf(table, row, column)] ?? Number.NaN);
      },
    };
    made.set(value, probe);
    return probe;
  };
}
