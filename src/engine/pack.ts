/** Constants in the layouts that the kernels read: packed weights, segment tables, epilogue vectors, resize tables. */
import {
  type DepthwiseSpec,
  type DotKind,
  depthwiseBlock,
  type EpilogueSpec,
  epilogueVectors,
  resizeEntryBytes,
  type SegmentGroup,
  unitSize,
} from "../kernels/wasm/index.ts";
import { dequantizeScale, quantize } from "../ops/_int8.ts";
import type { Representation, Value } from "./layout.ts";
import type { StaticData } from "./memory.ts";
import { slotsOf, windowOrigin } from "./plan.ts";
import type { ConvolutionStep, DepthwiseStep, Int8Scales } from "./steps.ts";

/** Consecutive slots of one picture that a convolution reads. */
export interface InputRun {
  readonly representation: Representation;
  readonly slot: number;
  /** Input channel of the convolution in each slot. */
  readonly channels: number[];
}

/** A segment of the sum: where it begins at output pixel 0, and the weight column of each k (-1: none). */
interface Segment {
  readonly address: number;
  readonly pixelBytes: number;
  readonly rowBytes: number;
  readonly columns: number[];
}

export interface PackedConvolution {
  readonly table: number;
  readonly weights: number;
  readonly groups: SegmentGroup[];
  /** Number of segments in all. */
  readonly segments: number;
  /** Units that are summed in 16 bits; 1 but for `pairs`. */
  readonly chain: number;
  /** Total units of k. */
  readonly units: number;
  /** int8: Σ of the weights of every output channel. */
  readonly weightSums?: Int32Array;
}

/** The segments of all taps and runs; those that continue each other in memory are joined. */
function segmentsOf(step: ConvolutionStep, runs: readonly InputRun[], unit: number): Segment[] {
  const { y, x } = step;
  const taps = y.kernel * x.kernel;
  const segments: Segment[] = [];
  for (let ky = 0; ky < y.kernel; ky++) {
    for (const { representation: r, slot, channels } of runs) {
      const slotBytes = r.dtype === "f32" ? 4 : 1;
      const padded = Math.ceil(channels.length / unit) * unit;
      const fillsPixel = slot === 0 && padded === r.value.slotCount && x.dilation === 1;
      let joined: Segment | undefined;
      for (let kx = 0; kx < x.kernel; kx++) {
        const columns = new Array<number>(padded).fill(-1);
        for (const [i, channel] of channels.entries()) columns[i] = channel * taps + ky * x.kernel + kx;
        if (joined) {
          joined.columns.push(...columns);
          continue;
        }
        const tap = ky * y.dilation * r.rowBytes + kx * x.dilation * r.pixelBytes;
        const segment = {
          address: windowOrigin(r, y, x) + tap + slot * slotBytes,
          pixelBytes: x.stride * r.pixelBytes,
          rowBytes: y.stride * r.rowBytes,
          columns,
        };
        segments.push(segment);
        if (fillsPixel) joined = segment;
      }
    }
  }
  return segments;
}

/** Segments that step equally over pixels and rows are looped over together. */
function groupSegments(segments: readonly Segment[]): Segment[][] {
  const groups = new Map<string, Segment[]>();
  for (const segment of segments) {
    const key = `${segment.pixelBytes} ${segment.rowBytes}`;
    const group = groups.get(key);
    if (group) group.push(segment);
    else groups.set(key, [segment]);
  }
  return [...groups.values()];
}

/** Lays out table and weights of a dense convolution; `vectors` is the block of output channels of its tile. */
export function packConvolution(
  data: StaticData,
  step: ConvolutionStep,
  runs: readonly InputRun[],
  dot: DotKind,
  vectors: number,
): PackedConvolution {
  const unit = unitSize(dot);
  const grouped = groupSegments(segmentsOf(step, runs, unit));
  const perOutput = step.weight.length / step.output.channels;
  let matrix: Matrix = { weight: step.weight, perOutput };
  let chain = 1;
  if (dot === "pairs") {
    const split = splitForChain(step.weight as Int8Array, perOutput, grouped.flat());
    chain = split.chain;
    matrix = split.matrix;
    grouped.push(...groupSegments(split.rest));
  }
  const ordered = grouped.flat();
  const columns = Int32Array.from(ordered.flatMap((segment) => segment.columns));
  const table: number[] = [];
  const groups = grouped.map((list): SegmentGroup => {
    const lengths = new Set(list.map((segment) => segment.columns.length / unit));
    const length = lengths.size === 1 ? [...lengths][0] : undefined;
    // The number is left to the table where it varies between layers that could share a kernel.
    const isVaried = list.length > 1 && (length === undefined || length === 1);
    if (isVaried) table.push(list.length, 0);
    for (const { address, columns } of list) table.push(address, (columns.length / unit) * 4);
    const [{ pixelBytes, rowBytes }] = list;
    return { segments: isVaried ? undefined : list.length, length, pixelBytes, rowBytes };
  });
  return {
    table: data.add(Int32Array.from(table)),
    segments: ordered.length,
    weights: data.add(packMatrix(matrix, slotsOf(step.output), columns, dot, vectors)),
    groups,
    chain,
    units: columns.length / unit,
    weightSums: step.int8 ? sumWeights(step) : undefined,
  };
}

/** A weight matrix `[output channel][column]`. */
interface Matrix {
  readonly weight: Float32Array | Int8Array;
  readonly perOutput: number;
}

/** The most that the positive, and that the negative weights of a lane may add up to: inputs are at most 127. */
const mostInLane = Math.floor(32767 / 127);

/** Instructions per unit of a chain, from long to short; a unit of the rest costs some more for its table entry. */
const chainCosts: readonly (readonly [chain: number, cost: number])[] = [
  [4, 2.25],
  [2, 2.5],
  [1, 3],
];
const restCost = 7;

/**
 * Chooses how many consecutive units are summed in 16 bits, inputs being in 0..127. Where the weights of a chain could
 * overflow a lane (k mod 4 in {0,1} or {2,3} of one output channel), what is too much is taken off the largest of them and
 * given to a second matrix: its few columns come again at the end of the sum, as segments of one unit. Exact, since
 * w = w' + rest.
 */
function splitForChain(
  weight: Int8Array,
  perOutput: number,
  segments: readonly Segment[],
): { chain: number; matrix: Matrix; rest: Segment[] } {
  const sums = segments.map(({ columns }) => laneSums(weight, perOutput, columns));
  const units = segments.reduce((sum, segment) => sum + segment.columns.length / 4, 0);
  let chain = 1;
  let least = Number.POSITIVE_INFINITY;
  for (const [candidate, cost] of chainCosts) {
    // One unit of rest, mostly, for each chain that overflows for any output channel.
    const over = sums.reduce(
      (n, sum) => n + new Set(overflowing(sum, candidate).map(({ first }) => first)).size,
      0,
    );
    const total = units * cost + over * restCost;
    if (total < least) {
      least = total;
      chain = candidate;
    }
    if (over === 0) break;
  }
  const matrix = { weight: doubleColumns(weight, perOutput), perOutput: perOutput * 2 };
  const rest = segments.flatMap((segment, i) => {
    const touched = new Set<number>();
    for (const overflow of overflowing(sums[i], chain))
      takeOff(matrix.weight, perOutput, segment.columns, overflow, touched);
    return [...touched]
      .sort((a, b) => a - b)
      .map((unit): Segment => {
        const columns = segment.columns.slice(unit * 4, unit * 4 + 4);
        return {
          ...segment,
          address: segment.address + unit * 4,
          columns: columns.map((column) => (column < 0 ? -1 : column + perOutput)),
        };
      });
  });
  return { chain, matrix: rest.length ? matrix : { weight, perOutput }, rest };
}

/** Sums of the positive and of the negative weights `[unit][lane 0 or 2][output channel]`. */
interface LaneSums {
  readonly outputs: number;
  readonly units: number;
  readonly positive: Int16Array;
  readonly negative: Int16Array;
}

function laneSums(weight: Int8Array, perOutput: number, columns: readonly number[]): LaneSums {
  const outputs = weight.length / perOutput;
  const lanes = columns.length / 2;
  const positive = new Int16Array(lanes * outputs);
  const negative = new Int16Array(lanes * outputs);
  for (let k = 0; k < columns.length; k++) {
    const column = columns[k];
    if (column < 0) continue;
    for (let o = 0, at = (k >> 1) * outputs, from = column; o < outputs; o++, at++, from += perOutput) {
      const w = weight[from];
      if (w > 0) positive[at] += w;
      else negative[at] -= w;
    }
  }
  return { outputs, units: columns.length / 4, positive, negative };
}

/** A chain of units whose sum in one lane of one output channel would not fit. */
interface Overflow {
  readonly first: number;
  readonly last: number;
  readonly lane: 0 | 2;
  readonly output: number;
  readonly sign: 1 | -1;
  readonly excess: number;
}

function overflowing({ outputs, units, positive, negative }: LaneSums, chain: number): Overflow[] {
  const found: Overflow[] = [];
  for (let first = 0; first < units; first += chain) {
    const last = Math.min(first + chain, units);
    for (let half = 0; half < 2; half++) {
      for (let output = 0; output < outputs; output++) {
        let [p, n] = [0, 0];
        for (let unit = first; unit < last; unit++) {
          const at = (unit * 2 + half) * outputs + output;
          p += positive[at];
          n += negative[at];
        }
        const lane = half === 0 ? 0 : 2;
        if (p > mostInLane) found.push({ first, last, lane, output, sign: 1, excess: p - mostInLane });
        if (n > mostInLane) found.push({ first, last, lane, output, sign: -1, excess: n - mostInLane });
      }
    }
  }
  return found;
}

/** Every output's columns, followed by as many zeros. */
function doubleColumns(weight: Int8Array, perOutput: number): Int8Array {
  const doubled = new Int8Array(weight.length * 2);
  for (let from = 0; from < weight.length; from += perOutput) {
    doubled.set(weight.subarray(from, from + perOutput), from * 2);
  }
  return doubled;
}

/**
 * Moves the excess of an overflow from the largest weights of its lane to their second halves in `doubled`; adds the units
 * that this changes to `touched`.
 */
function takeOff(
  doubled: Int8Array,
  perOutput: number,
  columns: readonly number[],
  { first, last, lane, output, sign, excess }: Overflow,
  touched: Set<number>,
): void {
  const base = output * perOutput * 2;
  const size = (k: number): number => doubled[base + columns[k]] * sign;
  const places: number[] = [];
  for (let unit = first; unit < last; unit++) {
    for (const k of [unit * 4 + lane, unit * 4 + lane + 1]) if (columns[k] >= 0) places.push(k);
  }
  places.sort((a, b) => size(b) - size(a));
  let left = excess;
  for (const k of places) {
    if (left <= 0) break;
    const part = Math.min(left, size(k));
    doubled[base + columns[k]] -= part * sign;
    doubled[base + perOutput + columns[k]] += part * sign;
    left -= part;
    touched.add(k >> 2);
  }
}

/** Weights as `[block][k unit][vectors][lanes]`; see the head of kernels/wasm/convolution.ts. */
function packMatrix(
  { weight, perOutput }: Matrix,
  slots: Int32Array,
  columns: Int32Array,
  dot: DotKind,
  vectors: number,
): Float32Array | Int8Array | Int16Array {
  const count = slots.length * columns.length;
  const out =
    dot === "f32" ? new Float32Array(count) : dot === "i16" ? new Int16Array(count) : new Int8Array(count);
  // k values that lie beside each other in a lane: 1 float, 2 i16, 4 i8.
  const inLane = dot === "f32" ? 1 : dot === "i16" ? 2 : 4;
  const outputVectors = slots.length / 4;
  let o = 0;
  for (let block = 0; block < outputVectors; block += vectors) {
    const channels = slots.subarray(block * 4, Math.min(block + vectors, outputVectors) * 4);
    for (let k = 0; k < columns.length; k += inLane) {
      for (const channel of channels) {
        const base = channel * perOutput;
        for (let j = 0; j < inLane; j++, o++) {
          const column = columns[k + j];
          if (channel >= 0 && column >= 0) out[o] = weight[base + column];
        }
      }
    }
  }
  return out;
}

function sumWeights({ weight, output }: ConvolutionStep): Int32Array {
  const sums = new Int32Array(output.channels);
  const perOutput = weight.length / output.channels;
  for (let k = 0; k < weight.length; k++) sums[Math.floor(k / perOutput)] += weight[k];
  return sums;
}

export interface EpilogueData {
  readonly bias?: Float32Array;
  readonly int8?: Int8Scales;
  readonly weightSums?: Int32Array;
}

/**
 * Constant vectors of all groups of four slots, `[group][vector][4]`; the number of groups is rounded up to `blockGroups`,
 * which kernels may read at once.
 */
export function packEpilogue(
  data: StaticData,
  spec: EpilogueSpec,
  output: Value,
  { bias, int8, weightSums }: EpilogueData,
  blockGroups = 1,
): number {
  const vectors = epilogueVectors(spec);
  if (vectors.length === 0) return 0;
  const slots = slotsOf(output);
  const groups = Math.ceil(slots.length / 4 / blockGroups) * blockGroups;
  const out = new Float32Array(groups * vectors.length * 4);
  const integers = new Int32Array(out.buffer);
  slots.forEach((channel, slot) => {
    if (channel < 0) return;
    vectors.forEach((vector, v) => {
      const at = (Math.floor(slot / 4) * vectors.length + v) * 4 + (slot % 4);
      if (vector === "bias") out[at] = bias?.[channel] ?? 0;
      else if (vector === "scale") out[at] = dequantizeScale(int8!.bottom, int8!.weight[channel]);
      else if (vector === "correction") integers[at] = -128 * weightSums![channel];
      else {
        const store = Number(vector.slice("requantize".length));
        out[at] = output.representations[store].scales![channel];
      }
    });
  });
  return data.add(out);
}

/** Weights `[block of channels][tap][channel]`, and how many taps may be summed in 16 bits at a time. */
export function packDepthwise(
  data: StaticData,
  step: DepthwiseStep,
  input: Representation,
  nonNegative: boolean,
): { weights: number; tapGroups: number[] } {
  const isInt8 = step.int8 !== undefined;
  const block = depthwiseBlock({ input: input.dtype } as Pick<DepthwiseSpec, "input">);
  const slots = slotsOf(step.output);
  const taps = step.y.kernel * step.x.kernel;
  const blocks = Math.ceil(slots.length / block);
  const count = blocks * taps * block;
  const out = isInt8 ? new Int16Array(count) : new Float32Array(count);
  slots.forEach((channel, slot) => {
    if (channel < 0) return;
    for (let tap = 0; tap < taps; tap++) {
      out[(Math.floor(slot / block) * taps + tap) * block + (slot % block)] =
        step.weight[channel * taps + tap];
    }
  });
  return { weights: data.add(out), tapGroups: isInt8 ? groupTaps(step.weight, taps, nonNegative) : [] };
}

/**
 * Splits the taps into as few consecutive groups as keep every channel's sum within 16 bits: 127·Σ|w| ≤ 32767, or where
 * inputs cannot be negative, the positive and the negative weights each.
 */
function groupTaps(weight: Float32Array | Int8Array, taps: number, nonNegative: boolean): number[] {
  const channels = weight.length / taps;
  const most = Math.floor(32767 / 127);
  const groups: number[] = [];
  let positive = new Int32Array(channels);
  let negative = new Int32Array(channels);
  for (let tap = 0; tap < taps; tap++) {
    const at = (c: number): number => weight[c * taps + tap];
    const p = positive.map((sum, c) => sum + Math.max(at(c), 0));
    const n = negative.map((sum, c) => sum + Math.max(-at(c), 0));
    const fits = p.every((sum, c) => (nonNegative ? Math.max(sum, n[c]) : sum + n[c]) <= most);
    if (groups.length > 0 && fits) {
      groups[groups.length - 1]++;
      [positive, negative] = [p, n];
    } else {
      groups.push(1);
      positive = positive.map((_, c) => Math.max(at(c), 0));
      negative = negative.map((_, c) => Math.max(-at(c), 0));
    }
  }
  return groups;
}

/** Resize table of one axis: byte offsets of the two sources and the weight of the second. */
export function packTaps(
  data: StaticData,
  taps: readonly (readonly [number, number, number])[],
  bytes: number,
): number {
  const table = new DataView(new ArrayBuffer(taps.length * resizeEntryBytes));
  taps.forEach(([first, second, weight], i) => {
    table.setInt32(i * resizeEntryBytes, first * bytes, true);
    table.setInt32(i * resizeEntryBytes + 4, second * bytes, true);
    table.setFloat32(i * resizeEntryBytes + 8, weight, true);
  });
  return data.add(table);
}

/** Places the numbers of a constant value, in every representation asked for. */
export function packConstant(data: StaticData, value: Value): void {
  const { constant, channels } = value;
  if (!constant) return;
  for (const r of value.representations) {
    const bytes = new Uint8Array(r.byteLength);
    const floats = new Float32Array(bytes.buffer);
    for (let i = 0; i < constant.length; i++) {
      const [pixel, channel] = [Math.floor(i / channels), i % channels];
      const slot = value.slot(channel);
      if (r.dtype === "f32") floats[(pixel * r.pixelBytes) / 4 + slot] = constant[i];
      else
        bytes[pixel * r.pixelBytes + slot] = quantize(constant[i], r.scales![channel]) + (r.biased ? 128 : 0);
    }
    r.address = data.add(bytes);
  }
}
