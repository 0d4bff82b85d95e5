/**
 * The formula by which code in a graph turns head convolutions into boxes, told from what it computes: every number of an
 * output is followed back to the logits that it depends on and compared with YOLOv5's formulas. How the code is spelled, in
 * which order it leaves the numbers and what was merged into its constants makes no difference.
 */
import { sigmoid } from "../../base/maths.ts";
import { count, ravel, unravel } from "./arguments.ts";
import { allKnown } from "./dims.ts";
import { fitTo, near } from "./fit.ts";
import type { OnnxShape } from "./infer.ts";
import type { OnnxModel, OnnxNode } from "./model.ts";
import { isTraceable, type Traced, Tracer } from "./trace.ts";

export interface DecodedHead {
  /** The value `[1, anchors · (5 + classes), height, width]` of logits. */
  readonly logits: string;
  readonly stride: number;
  readonly anchorCount: number;
  /** Numbers per box, 5 + classes. */
  readonly numbers: number;
  /** `w0 h0 w1 h1 …` in input pixels; absent where the outputs are logits, which do not tell. */
  readonly anchors?: number[];
}

export interface DecodeMatch {
  /** Finest stride first; empty where the outputs are not YOLOv5's boxes or logits. */
  readonly heads: DecodedHead[];
  /** What differs, where something came near. */
  readonly nearest?: string;
  /** Numbers behind the class scores of each box: mask coefficients of a segmentation model. */
  readonly extra?: number;
}

interface Size {
  readonly width: number;
  readonly height: number;
}

/** One number of an output as a function of logits; σ is the sigmoid of the logit at `channel`. */
type Fact =
  | { readonly kind: "raw" | "sigmoid" | "exp" | "other"; readonly channel: number; readonly factor?: number }
  /** σ(channel) · σ(by). */
  | { readonly kind: "product"; readonly channel: number; readonly by: number }
  /** slope·σ + offset. */
  | {
      readonly kind: "center";
      readonly channel: number;
      readonly slope: number;
      readonly offset: number;
      readonly x: number;
      readonly y: number;
    }
  /** factor·σ². */
  | { readonly kind: "size"; readonly channel: number; readonly factor: number };

/** A fact with the place of its number among those of its cell. */
type PlacedFact = Fact & { readonly place: number };

/** What the numbers of the outputs say about one head convolution. */
interface Source {
  readonly name: string;
  readonly channels: number;
  readonly height: number;
  readonly width: number;
  readonly stride: number;
  readonly facts: Map<number, PlacedFact[]>;
  /** Numbers per box as outputs of logits have them. */
  rowLength?: number;
}

/** More than a formula has unknowns. */
const probeCount = 9;
/** Cells of an output that are visited; of those of one anchor, how many are looked at, and how many of them in full. */
const sampledCells = 512;
const keptCells = 9;
const fullCells = 2;
/** Beyond what any detector has; a damaged file may say anything. */
const mostChannels = 16384;
const mostOutputs = 64;
/** Factors and summands per channel behind one convolution. */
const mostScalings = 8;

/**
 * Compares how `outputs` are computed with YOLOv5's decoding for an input of `size`. Only constants and logits of head
 * convolutions may go into them.
 */
export function matchDecode(
  model: OnnxModel,
  shapes: ReadonlyMap<string, OnnxShape>,
  size: Size,
  outputs: readonly string[],
): DecodeMatch {
  if (outputs.length > mostOutputs) return { heads: [] };
  const producers = new Map(model.graph.nodes.flatMap((node) => node.outputs.map((name) => [name, node])));
  const sources = new Map<string, Source>();
  for (const output of outputs) {
    for (const name of cutsOf(output, model, producers, shapes)) {
      const source = sourceOf(name, shapes, size);
      if (source) sources.set(name, source);
    }
  }
  if (sources.size === 0 || sources.size > mostOutputs) return { heads: [] };
  const order = [...sources.keys()];
  const tracer = new Tracer(model, shapes, (value, index) => {
    const source = order.indexOf(value);
    return source < 0 ? undefined : probesOf(source * 7919 + index);
  });
  const explained = outputs.map((output) => readOutput(output, shapes, tracer, sources));
  const judged = [...sources.values()].map((source) => judge(source, size));
  const heads = judged.flatMap(({ head }) => head ?? []).sort((a, b) => a.stride - b.stride);
  const nearest = judged.find((result) => result.nearest)?.nearest;
  const extra = judged.find((result) => result.extra)?.extra;
  if (extra !== undefined) return { heads: [], extra };
  if (heads.length === 0 || nearest !== undefined) return { heads: [], ...(nearest ? { nearest } : {}) };
  if (heads.length < judged.length || explained.includes(false)) {
    return { heads: [], nearest: "outputs do not come from the recognized heads alone" };
  }
  return { heads };
}

/** Values that the code behind `output` starts from: what arithmetic and data movement do not make. */
function cutsOf(
  output: string,
  model: OnnxModel,
  producers: ReadonlyMap<string, OnnxNode>,
  shapes: ReadonlyMap<string, OnnxShape>,
): Set<string> {
  const cuts = new Set<string>();
  const seen = new Set([output]);
  for (const name of seen) {
    if (!name || model.graph.initializers.has(name)) continue;
    const node = producers.get(name);
    if (node && isTraceable(node)) for (const input of node.inputs) seen.add(input);
    else cuts.add(afterScaling(name, model, shapes));
  }
  return cuts;
}

/** The end of the factors and summands per channel behind a convolution (YOLOv7's implicit knowledge). */
function afterScaling(name: string, model: OnnxModel, shapes: ReadonlyMap<string, OnnxShape>): string {
  let value = name;
  for (let i = 0; i < mostScalings; i++) {
    const channels = shapes.get(value)?.[1];
    const readers = model.graph.nodes.filter((node) => node.inputs.includes(value));
    const [node] = readers;
    const constant = node?.inputs
      .map((input) => model.graph.initializers.get(input))
      .find((tensor) => tensor);
    const isPerChannel =
      readers.length === 1 &&
      ["Add", "Mul"].includes(node.opType) &&
      constant?.data.length === channels &&
      constant?.dims.at(-3) === channels;
    if (!isPerChannel) return value;
    [value] = node.outputs;
  }
  return value;
}

function sourceOf(name: string, shapes: ReadonlyMap<string, OnnxShape>, size: Size): Source | undefined {
  const shape = shapes.get(name);
  if (shape?.length !== 4 || !allKnown(shape) || shape[0] !== 1) return undefined;
  const [, channels, height, width] = shape;
  const stride = size.height / height;
  if (stride !== size.width / width || !Number.isInteger(stride)) return undefined;
  return { name, channels, height, width, stride, facts: new Map() };
}

/** Numbers from −4 to 4, others for every logit. */
function probesOf(seed: number): Float64Array {
  return Float64Array.from({ length: probeCount }, (_, p) => {
    const wild = Math.sin((seed + 1) * 12.9898 + (p + 1) * 78.233) * 43758.5453;
    return 8 * (wild - Math.floor(wild)) - 4;
  });
}

/** Adds what the numbers of one output say to the sources; false when some come from elsewhere. */
function readOutput(
  output: string,
  shapes: ReadonlyMap<string, OnnxShape>,
  tracer: Tracer,
  sources: ReadonlyMap<string, Source>,
): boolean {
  const dims = shapes.get(output);
  if (!dims?.length || !allKnown(dims)) return false;
  const look = (index: number): { source: Source; traced: Traced } | undefined => {
    const traced = tracer.element(output, index);
    const source = traced?.leaves[0] && sources.get(traced.leaves[0].value);
    return source && traced.leaves.every((leaf) => leaf.value === source.name)
      ? { source, traced }
      : undefined;
  };
  const axes = channelAxes(dims, look);
  if (!axes) return false;
  const cellDims = dims.map((extent, axis) => (axes.includes(axis) ? 1 : extent));
  const channelDims = dims.map((extent, axis) => (axes.includes(axis) ? extent : 1));
  const cells = count(cellDims);
  const channels = count(channelDims);
  if (channels > mostChannels) return false;
  const place = (cell: number, channel: number): number => {
    const at = unravel(cell, cellDims);
    return ravel(
      unravel(channel, channelDims).map((part, axis) => part + at[axis]),
      dims,
    );
  };
  const groups = groupCells(cells, (cell) => {
    const first = look(place(cell, 0));
    const leaf = first?.traced.leaves[0];
    return leaf && `${leaf.value} ${Math.floor(leaf.index / (first.source.width * first.source.height))}`;
  });
  if (!groups) return false;
  for (const group of groups) {
    for (const [i, cell] of group.entries()) {
      tracer.forget();
      const step = i < fullCells || channels <= 16 ? 1 : Math.ceil(channels / 8);
      for (let channel = 0; channel < channels; channel += channel < 4 ? 1 : step) {
        const found = look(place(cell, channel));
        if (!found) return false;
        for (const fact of factsOf(found.traced, found.source))
          addFact(found.source, { ...fact, place: channel });
      }
      if (i === 0) noteRow(look, (channel) => place(cell, channel), channelDims, channels);
    }
  }
  return true;
}

/** Cells spread over all of them, by what their first number comes from; at most `keptCells` of each kind, its first and last among them. */
function groupCells(cells: number, kindOf: (cell: number) => string | undefined): number[][] | undefined {
  const groups = new Map<string, number[]>();
  const samples = Math.min(cells, sampledCells);
  for (let i = 0; i < samples; i++) {
    const cell = samples === 1 ? 0 : Math.floor((i * (cells - 1)) / (samples - 1));
    const kind = kindOf(cell);
    if (kind === undefined) return undefined;
    const group = groups.get(kind);
    if (group) group.push(cell);
    else groups.set(kind, [cell]);
  }
  return [...groups.values()].map((group) => {
    const kept = Math.min(group.length, keptCells);
    return Array.from(
      { length: kept },
      (_, i) => group[Math.floor((i * (group.length - 1)) / Math.max(kept - 1, 1))],
    );
  });
}

/** Axes along which the numbers of one cell lie: a step along them stays in the cell. */
function channelAxes(
  dims: readonly number[],
  look: (index: number) => { source: Source; traced: Traced } | undefined,
): number[] | undefined {
  const cellOf = (at: readonly number[]): string | undefined => {
    const found = look(ravel(at, dims));
    if (!found) return undefined;
    return `${found.source.name} ${found.traced.leaves[0].index % (found.source.width * found.source.height)}`;
  };
  const axes: number[] = [];
  for (const [axis, extent] of dims.entries()) {
    if (extent === 1) continue;
    const low = dims.map(() => 0);
    const high = dims.map((d) => d - 1);
    const cells = [low, low.with(axis, 1), high, high.with(axis, extent - 2)].map(cellOf);
    if (cells.includes(undefined)) return undefined;
    if (cells[0] === cells[1] && cells[2] === cells[3]) axes.push(axis);
  }
  return axes;
}

/** Notes how many numbers stand together where an output has one logit after the other. */
function noteRow(
  look: (index: number) => { source: Source; traced: Traced } | undefined,
  at: (channel: number) => number,
  channelDims: readonly number[],
  channels: number,
): void {
  const first = look(at(0));
  const last = look(at(channels - 1));
  if (!first || last?.source !== first.source) return;
  const { source } = first;
  const channelOf = (traced: Traced): number =>
    Math.floor(traced.leaves[0].index / (source.width * source.height));
  const row = channelDims.filter((extent) => extent > 1).at(-1) ?? 1;
  const from = channelOf(first.traced);
  if (channelOf(last.traced) === from + channels - 1 && from % row === 0) source.rowLength = row;
}

function addFact(source: Source, fact: PlacedFact): void {
  const list = source.facts.get(fact.channel);
  if (list) list.push(fact);
  else source.facts.set(fact.channel, [fact]);
}

/** What one number of an output is. A corner of a box says two things: of its centre, and of its size. */
function factsOf(traced: Traced, source: Source): Fact[] {
  const area = source.width * source.height;
  const values = Array.from(traced.numbers);
  const [first, second] = traced.leaves.map(({ index, probes }) => ({
    channel: Math.floor(index / area),
    cell: index % area,
    probes: Array.from(probes),
  }));
  const { channel } = first;
  if (traced.leaves.length > 2 || (second && second.cell !== first.cell)) return [{ kind: "other", channel }];
  const y = Math.floor(first.cell / source.width);
  const x = first.cell % source.width;
  const s = first.probes.map(sigmoid);
  if (second) {
    const by = second.probes.map(sigmoid);
    const product = s.map((v, p) => v * by[p]);
    if (near(values, product)) {
      return [
        { kind: "product", channel, by: second.channel },
        { kind: "product", channel: second.channel, by: channel },
      ];
    }
    return cornerFacts(values, [s, by], [channel, second.channel], x, y) ?? [{ kind: "other", channel }];
  }
  if (near(values, first.probes)) return [{ kind: "raw", channel }];
  const fit = fitTo(values, [s.map(() => 1), s, s.map((v) => v * v)]);
  if (fit) {
    const [offset, slope, square] = fit;
    if (!square && near([offset, slope], [0, 1])) return [{ kind: "sigmoid", channel }];
    if (!square && slope) return [{ kind: "center", channel, slope, offset, x, y }];
    if (!offset && !slope && square) return [{ kind: "size", channel, factor: square }];
    return [{ kind: "other", channel }];
  }
  const power = fitTo(values, [first.probes.map(Math.exp)]);
  return [power ? { kind: "exp", channel, factor: power[0] } : { kind: "other", channel }];
}

/** `centre ± size/2`. */
function cornerFacts(
  values: readonly number[],
  [a, b]: readonly (readonly number[])[],
  channels: readonly number[],
  x: number,
  y: number,
): Fact[] | undefined {
  const square = (list: readonly number[]): number[] => list.map((v) => v * v);
  const fit = fitTo(values, [a.map(() => 1), a, square(a), b, square(b)]);
  if (!fit) return undefined;
  const [offset, ...rest] = fit;
  // The centre is linear in its sigmoid, half the size is the square of the other.
  for (const [c, s] of [
    [0, 1],
    [1, 0],
  ]) {
    const [slope, none, nothing, half] = [rest[2 * c], rest[2 * c + 1], rest[2 * s], rest[2 * s + 1]];
    if (!slope || !half || none || nothing) continue;
    return [
      { kind: "center", channel: channels[c], slope, offset, x, y },
      { kind: "size", channel: channels[s], factor: 2 * Math.abs(half) },
    ];
  }
  return undefined;
}

interface Judgement {
  head?: DecodedHead;
  nearest?: string;
  extra?: number;
}

/** What all numbers that come from one convolution say together. */
function judge(source: Source, size: Size): Judgement {
  const { facts, channels, stride } = source;
  const kinds = (channel: number): Set<Fact["kind"]> => new Set(facts.get(channel)?.map(({ kind }) => kind));
  const all = [...facts.keys()].sort((a, b) => a - b);
  const sizes = all.filter((channel) => kinds(channel).has("size"));
  if (sizes.length === 0) return judgeLogits(source, all, kinds);
  const anchorCount = sizes.length / 2;
  const numbers = channels / anchorCount;
  const expected = Array.from({ length: sizes.length }, (_, i) => Math.floor(i / 2) * numbers + 2 + (i % 2));
  if (!Number.isInteger(numbers) || numbers < 6 || sizes.some((channel, i) => channel !== expected[i])) {
    return { nearest: `sizes come from the channels ${sizes.slice(0, 8).join(", ")} of ${channels}` };
  }
  const anchors: number[] = [];
  for (let a = 0; a < anchorCount; a++) {
    const scores = judgeScores(a * numbers, numbers, kinds, facts);
    if (typeof scores !== "number") return { nearest: scores };
    if (scores > 0) return { extra: scores };
    const pair = judgeBox(a * numbers, source, size);
    if (typeof pair === "string") return { nearest: pair };
    anchors.push(...pair);
  }
  return { head: { logits: source.name, stride, anchorCount, numbers, anchors } };
}

/** Outputs of logits, or of their sigmoids: the formula of the boxes is not in the graph. */
function judgeLogits(
  source: Source,
  all: readonly number[],
  kinds: (channel: number) => Set<Fact["kind"]>,
): Judgement {
  const { name: logits, channels, rowLength: numbers, stride, facts } = source;
  const found = new Set(all.flatMap((channel) => [...kinds(channel)]));
  const exp = all.find((channel) => kinds(channel).has("exp"));
  if (exp !== undefined) {
    const fact = facts.get(exp)?.find(({ kind }) => kind === "exp");
    const factor = fact?.kind === "exp" ? number(fact.factor ?? 1) : "";
    return { nearest: `sizes are exp(t)·${factor} (YOLOv3, v4, X), expected (2σ(t))²·anchor` };
  }
  if (found.has("center")) return { nearest: "centres without sizes of the form (2σ(t))²·anchor" };
  const isPlain = found.size === 1 && (found.has("raw") || found.has("sigmoid"));
  const isRow = numbers !== undefined && numbers >= 6 && numbers < channels && channels % numbers === 0;
  if (!isPlain || !isRow) return {};
  return { head: { logits, stride, anchorCount: channels / numbers, numbers } };
}

/** Numbers behind the classes that are no scores, or what is wrong with the scores. */
function judgeScores(
  first: number,
  numbers: number,
  kinds: (channel: number) => Set<Fact["kind"]>,
  facts: ReadonlyMap<number, readonly Fact[]>,
): number | string {
  const isObjectness = kinds(first + 4).has("sigmoid") || kinds(first + 4).has("product");
  if (!isObjectness) return "objectness is not σ(t)";
  let classes = 0;
  while (classes < numbers - 5) {
    const channel = first + 5 + classes;
    const list = facts.get(channel)?.filter(({ kind }) => kind !== "raw") ?? [];
    if (list.length === 0) break;
    const isScore = list.every(
      (fact) => fact.kind === "sigmoid" || (fact.kind === "product" && fact.by === first + 4),
    );
    if (!isScore) return `the score of class ${classes} is neither σ(t) nor σ(objectness)·σ(t)`;
    classes++;
  }
  if (classes === 0) return "there are no class scores";
  return numbers - 5 - classes;
}

/** Width and height of an anchor in input pixels, or how centre or size differ from YOLOv5's. */
function judgeBox(first: number, source: Source, size: Size): readonly [number, number] | string {
  const pair: number[] = [];
  const units: string[] = [];
  for (const [axis, extent] of [size.width, size.height].entries()) {
    const centers = source.facts.get(first + axis)?.filter((fact) => fact.kind === "center") ?? [];
    const sizes = source.facts.get(first + 2 + axis)?.filter((fact) => fact.kind === "size") ?? [];
    const rest = [...(source.facts.get(first + axis) ?? []), ...(source.facts.get(first + 2 + axis) ?? [])];
    const isWhole = rest.every(({ kind }) => kind === "raw" || kind === "center" || kind === "size");
    if (centers.length === 0 || sizes.length === 0 || !isWhole)
      return "centres or sizes are not computed from σ(t)";
    const unit = unitOf(centers[0].slope / (2 * source.stride), extent, source.stride);
    const { slope, offset, x, y } = centers[0];
    const cell = axis === 0 ? x : y;
    if (!unit || centers.some((fact) => !isCenter(fact, axis, source.stride * unit.scale))) {
      return `a centre is ${number(slope)}·σ(t) + ${number(offset)} at cell ${cell} of stride ${source.stride}, expected (2σ(t) − 0.5 + ${cell})·${source.stride}`;
    }
    const [{ factor }] = sizes;
    if (sizes.some((fact) => Math.abs(fact.factor - factor) > 1e-4 * factor))
      return "the size of an anchor changes from cell to cell";
    const anchor = factor / (4 * unit.scale);
    if (!(anchor > 0 && anchor < 16 * extent)) return `sizes are ${number(factor)}·σ(t)²`;
    pair.push(tidy(anchor));
    units.push(unit.name);
  }
  if (isCrossed(source.facts, first)) return "the width comes from the channel of the height";
  return units[0] === units[1] ? [pair[0], pair[1]] : `x is in ${units[0]}, y in ${units[1]}`;
}

/** Whether x stands before y, but the number of the width behind that of the height, or the other way round. */
function isCrossed(facts: ReadonlyMap<number, readonly PlacedFact[]>, first: number): boolean {
  const placeOf = (channel: number, kind: Fact["kind"]): number =>
    facts.get(first + channel)?.find((fact) => fact.kind === kind)?.place ?? 0;
  const centers = placeOf(1, "center") - placeOf(0, "center");
  return centers * (placeOf(3, "size") - placeOf(2, "size")) < 0;
}

/** The unit of coordinates that are `scale` times pixels. */
function unitOf(scale: number, extent: number, stride: number): { name: string; scale: number } | undefined {
  const units = [
    { name: "pixels", scale: 1 },
    { name: "parts of the input", scale: 1 / extent },
    { name: "cells", scale: 1 / stride },
  ];
  return units.find((unit) => Math.abs(scale - unit.scale) <= 1e-3 * unit.scale);
}

function isCenter(
  { slope, offset, x, y }: { slope: number; offset: number; x: number; y: number },
  axis: number,
  step: number,
): boolean {
  const expected = ((axis === 0 ? x : y) - 0.5) * step;
  return Math.abs(slope - 2 * step) <= 2e-3 * step && Math.abs(offset - expected) <= 0.01 * step;
}

/** Anchors are written with few digits; what arithmetic in float32 did to them is taken back. */
const tidy = (value: number): number => Number(value.toPrecision(6));
const number = (value: number): string => String(Number(value.toPrecision(4)));
