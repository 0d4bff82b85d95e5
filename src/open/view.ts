/**
 * Looks at the end of a graph for recognition (`heads/view.ts`): finds the convolutions that its outputs are computed from, puts
 * values into their place that tell where they stand, runs what is behind them with the operators' reference kernels, and reads from the
 * outputs where every number comes from. How the code is spelled makes no difference.
 */
import { GraphError, NcnnkitError } from "../base/errors.ts";
import { sigmoid } from "../base/maths.ts";
import type { ChosenBoxes, HeadSource, HeadView, OutputTable, Probe } from "../heads/view.ts";
import { type Graph, match, type Node, opOf, paramsOf } from "../ir/graph.ts";
import { elementCount, type Shape, type Tensor } from "../ir/tensor.ts";
import { weightToFloat32 } from "../ir/weight.ts";
import { activationTypes } from "../ops/activations.ts";
import { convolution } from "../ops/convolution.ts";
import { ops } from "../ops/index.ts";
import { noop } from "../ops/noop.ts";
import { classList } from "./_list.ts";
import { CodedRuns, computedTable, indexOf, readTable } from "./_tables.ts";

/** Beyond what the decoding of any detector takes. */
const mostNodes = 600;
/** Numbers and multiply-accumulates; each run takes about a second at most. */
const mostWork = 2 ** 27;
const mostOutputs = 32;
const strides = [4, 8, 16, 32, 64, 128];

/** The nodes behind the sources that make outputs, in order. */
interface Tail {
  readonly nodes: readonly Node[];
  readonly sources: readonly HeadSource[];
}

/** Those of one output; sources by their blob. */
interface OutputTail {
  readonly nodes: ReadonlySet<Node>;
  readonly sources: ReadonlyMap<string, HeadSource>;
}

interface Size {
  readonly width: number;
  readonly height: number;
}

/** `shapes` are those of all blobs at the input size. Nothing where the outputs are no numbers of cells of grids, nor of classes. */
export function viewHeads(
  graph: Graph,
  size: Size,
  shapes: ReadonlyMap<string, Shape>,
  outputs: readonly string[] = endsOf(graph),
): HeadView | undefined {
  const chosen = chosenBoxes(graph, size, shapes);
  if (chosen) return { ...size, chosen, ...nothing };
  const grids = viewGrids(graph, size, shapes, outputs);
  const list = grids ? undefined : classList(graph, shapes, outputs);
  return list ? { ...size, list, ...nothing } : grids;
}

const none = (): never => {
  throw new GraphError("there are no sources to probe");
};
/** Of a view without grids. */
const nothing = { sources: [], tables: [], computed: [], unread: [], pieces: [], probe: none, zero: none };

function viewGrids(
  graph: Graph,
  size: Size,
  shapes: ReadonlyMap<string, Shape>,
  outputs: readonly string[],
): HeadView | undefined {
  if (outputs.length > mostOutputs) return undefined;
  const budget: Budget = { blobs: new Set(), left: mostWork };
  const tails = new Map(
    outputs.flatMap((blob) => {
      const tail = tailOf(graph, blob, size, shapes, budget);
      return tail ? [[blob, tail] as const] : [];
    }),
  );
  const read = [...tails.keys()];
  const tail = joinTails(graph, tails);
  if (!tail) return undefined;
  const run = (value: ValueOf): Map<string, Tensor> | undefined => runTail(tail, read, shapes, value);
  const runs = new CodedRuns(tail.sources);
  const constant = (value: number) => () => value;
  const byChannel = run((source, channel) => constant(runs.byChannel(source, channel)));
  const byCell = run(() => (cell) => runs.byCell(cell));
  if (!byChannel || !byCell) return undefined;
  let others: Map<string, Tensor> | undefined;
  const byOtherChannel = (blob: string): Tensor => {
    others ??= run((source, channel) => constant(runs.byOtherChannel(source, channel)));
    return others!.get(blob)!;
  };
  const found = new Map(
    read.map((blob) => {
      const [a, b] = [byChannel, byCell].map((values) => values.get(blob)!);
      const coded = { byChannel: a, byCell: b, byOtherChannel: () => byOtherChannel(blob) };
      return [blob, readTable(blob, coded, runs)];
    }),
  );
  const known = [...found.values()].flatMap((each) => each ?? []);
  if (known.length === 0) return undefined;
  const tables = known.map(({ table }) => table);
  const computed = read
    .filter((blob) => !found.get(blob))
    .map((blob) => computedTable(blob, shapes.get(blob)!, tables));
  return {
    ...size,
    firstWeights: firstWeightsOf(graph),
    sources: tail.sources,
    ...{ tables, computed, pieces: known.flatMap(({ pieces }) => pieces) },
    unread: outputs.filter((blob) => !tails.has(blob)),
    ...probes(run, [...tables, ...computed]),
  };
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

/** Work that is left for one run, and the blobs that are paid for. */
interface Budget {
  blobs: ReadonlySet<string>;
  left: number;
}

/** What makes an output, or nothing where it is not made from convolutions on grids by what can be run. */
function tailOf(
  graph: Graph,
  output: string,
  size: Size,
  shapes: ReadonlyMap<string, Shape>,
  budget: Budget,
): OutputTail | undefined {
  const producers = graph.producers();
  const nodes = new Set<Node>();
  const sources = new Map<string, HeadSource>();
  const seen = new Set([output]);
  const blobs = new Set(budget.blobs);
  let { left } = budget;
  for (const blob of seen) {
    const node = producers.get(blob);
    const shape = shapes.get(blob);
    if (!node || !shape) return undefined;
    const op = opOf(node, ops);
    const source = sourceOf(node, shape, size, producers, shapes);
    let work = elementCount(shape);
    if (source) sources.set(blob, source);
    else {
      if (op.source === "caller" || op.dynamicRows || !hasWeights(node)) return undefined;
      nodes.add(node);
      const [from, to] = [node.inputs, node.outputs].map((blobs) => blobs.map((name) => shapes.get(name)!));
      work += op.macs?.(from, to, paramsOf(node, ops)) ?? 0;
    }
    if (!blobs.has(blob)) left -= work;
    blobs.add(blob);
    if (nodes.size > mostNodes || left < 0) return undefined;
    if (source) continue;
    for (const input of node.inputs) seen.add(input);
  }
  if (sources.size === 0) return undefined;
  Object.assign(budget, { blobs, left });
  return { nodes, sources };
}

function joinTails(graph: Graph, tails: ReadonlyMap<string, OutputTail>): Tail | undefined {
  if (tails.size === 0) return undefined;
  const nodes = new Set([...tails.values()].flatMap((tail) => [...tail.nodes]));
  const sources = new Map([...tails.values()].flatMap((tail) => [...tail.sources]));
  return {
    nodes: graph.nodes.filter((node) => nodes.has(node)),
    sources: graph.nodes.flatMap((node) => sources.get(node.outputs[0]) ?? []),
  };
}

/** Without a `.bin` there are none. */
function hasWeights(node: Node): boolean {
  const specs = opOf(node, ops).weights?.(paramsOf(node, ops)) ?? [];
  return specs.every(({ name }) => node.weights[name] !== undefined);
}

/** A convolution on a grid, or the end of factors and summands per channel behind it (YOLOv7's implicit knowledge). */
function sourceOf(
  node: Node,
  shape: Shape,
  { width, height }: Size,
  producers: ReadonlyMap<string, Node>,
  shapes: ReadonlyMap<string, Shape>,
): HeadSource | undefined {
  if (shape.length !== 3) return undefined;
  const [channels, rows, columns] = shape;
  const stride = strides.find(
    (each) => Math.ceil(width / each) === columns && Math.ceil(height / each) === rows,
  );
  const linear = stride === undefined ? undefined : scaledBy(node, channels, producers, shapes);
  if (stride === undefined || !linear) return undefined;
  const params = paramsOf(linear, ops);
  const type = Number(params.activation_type ?? 0);
  const activation =
    type === activationTypes.none ? "none" : type === activationTypes.sigmoid ? "sigmoid" : "other";
  if (linear !== node && activation !== "none") return undefined;
  const p = match(linear, convolution);
  const isPointwise = p !== undefined && p.kernel_w * p.kernel_h * p.stride_w * p.stride_h === 1;
  return { blob: node.outputs[0], channels, columns, rows, stride, activation, isPointwise };
}

/** Factors and summands that are looked through. */
const mostScalings = 8;

/**
 * The layer with weights, if `node` is one or does no more to its result than arithmetic with a number (FCOS's `Scale`) or with one
 * for every channel.
 */
function scaledBy(
  node: Node,
  channels: number,
  producers: ReadonlyMap<string, Node>,
  shapes: ReadonlyMap<string, Shape>,
): Node | undefined {
  const isConstant = (blob: string): boolean => {
    const maker = producers.get(blob);
    const shape = shapes.get(blob);
    const isEach = shape?.[0] === channels && elementCount(shape) === channels;
    return isEach && maker !== undefined && opOf(maker, ops).source === "constant";
  };
  let at: Node | undefined = node;
  for (let i = 0; at && i <= mostScalings; i++) {
    const op = opOf(at, ops);
    if (op.linear) return at;
    const { operator = "", scalar } = op.arithmetic?.(paramsOf(at, ops)) ?? {};
    const values: string[] = at.inputs.filter((blob) => !isConstant(blob));
    const isScaling = values.length === 1 && (at.inputs.length === 2) === (scalar === undefined);
    if (!isScaling || scalar === 0 || !["add", "mul"].includes(operator)) return undefined;
    at = producers.get(values[0]);
  }
  return undefined;
}

/** Values of one channel of a source, by cell. */
type ValueOf = (source: HeadSource, channel: number) => (cell: number) => number;

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
    const data = new Float32Array(source.channels * area);
    for (let channel = 0, i = 0; channel < source.channels; channel++) {
      const of = value(source, channel);
      for (let cell = 0; cell < area; cell++, i++) {
        data[i] = source.activation === "sigmoid" ? sigmoid(of(cell)) : of(cell);
      }
    }
    blobs.set(source.blob, { shape: shapes.get(source.blob)!, data });
  }
  const last = new Map(nodes.flatMap((node) => node.inputs.map((blob) => [blob, node])));
  try {
    for (const node of nodes) {
      const inputs = node.inputs.map((blob) => blobs.get(blob)!);
      const outputShapes = node.outputs.map((blob) => shapes.get(blob)!);
      const made = opOf(node, ops).reference(inputs, paramsOf(node, ops), node.weights, outputShapes);
      for (const [i, blob] of node.outputs.entries()) blobs.set(blob, made[i]);
      for (const blob of node.inputs)
        if (last.get(blob) === node && !outputs.includes(blob)) blobs.delete(blob);
    }
  } catch (error) {
    if (error instanceof NcnnkitError) return undefined;
    throw error;
  }
  return new Map(outputs.map((blob) => [blob, blobs.get(blob)!]));
}

/** A number between −2 and 2 for every place, always the same. */
function wild(seed: number): number {
  let bits = Math.imul(seed ^ (seed >>> 16), 0x45d9f3b);
  bits = Math.imul(bits ^ (bits >>> 16), 0x45d9f3b);
  return Math.fround(((bits ^ (bits >>> 16)) >>> 0) / 2 ** 30 - 2);
}

function probes(
  run: (value: ValueOf) => Map<string, Tensor> | undefined,
  tables: readonly OutputTable[],
): Pick<HeadView, "probe" | "zero"> {
  const made = new Map<number | undefined, Probe>();
  const probe = (seed: number | undefined): Probe => {
    const known = made.get(seed);
    if (known) return known;
    const source = ({ stride, channels }: HeadSource, channel: number, cell: number): number =>
      seed === undefined
        ? 0
        : wild((seed * 15485863 + channel * 7919 + cell * 31 + stride * 104729 + channels) | 0);
    const outputs = run((of, channel) => (cell) => source(of, channel, cell));
    const result: Probe = {
      source,
      output(blob, row, column) {
        const table = tables.find((each) => each.blob === blob)!;
        return Number(outputs?.get(blob)?.data[indexOf(table, row, column)] ?? Number.NaN);
      },
    };
    made.set(seed, result);
    return result;
  };
  return { probe: (seed = 0) => probe(seed), zero: () => probe(undefined) };
}
