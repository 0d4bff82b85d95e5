/**
 * The sum of a dense convolution as segments: which runs of slots it reads one after the other, and for int8 which dot product
 * suits its weights.
 */
import { type DotKind, unitSize } from "../../../kernels/wasm/index.ts";
import { windowOrigin } from "../../representations.ts";
import type { ConvolutionStep } from "../../steps.ts";
import type { Representation } from "../../values.ts";

/** Consecutive slots of one picture that a convolution reads. */
export interface InputRun {
  readonly representation: Representation;
  readonly slot: number;
  /** Input channel of the convolution in each slot. */
  readonly channels: number[];
}

/** The runs of slots that a convolution reads, in memory order, with the input channel of every slot. */
export function inputRuns(step: ConvolutionStep): InputRun[] {
  const { int8, input } = step;
  const places = input.channels.map((ref, inputChannel) => ({
    representation: ref.value.find(int8 ? "i8" : "f32", int8?.inputScale ?? 0, ref.channel),
    slot: ref.value.slot(ref.channel),
    inputChannel,
  }));
  const order = new Map<Representation, number>();
  for (const { representation } of places)
    if (!order.has(representation)) order.set(representation, order.size);
  places.sort((a, b) => order.get(a.representation)! - order.get(b.representation)! || a.slot - b.slot);
  const runs: InputRun[] = [];
  for (const { representation, slot, inputChannel } of places) {
    const last = runs.at(-1);
    if (last && last.representation === representation && last.slot + last.channels.length === slot) {
      last.channels.push(inputChannel);
    } else runs.push({ representation, slot, channels: [inputChannel] });
  }
  return runs;
}

/** A segment of the sum: where it begins at output pixel 0, and the weight column of each k (-1: none). */
export interface Segment {
  readonly address: number;
  readonly pixelBytes: number;
  readonly rowBytes: number;
  /** Bytes are unsigned. */
  readonly unsigned: boolean;
  readonly columns: number[];
}

/** A weight matrix `[output channel][column]`. */
export interface Matrix {
  readonly weight: Float32Array | Int8Array;
  readonly perOutput: number;
}

export interface Arrangement {
  readonly dot: DotKind;
  /** Units that are summed in 16 bits; 1 but for `pairs`. */
  readonly chain: number;
  /** In the order of the sum: groups of segments that step equally. */
  readonly groups: readonly Segment[][];
  readonly matrix: Matrix;
}

/** `dot`: the fastest that the inputs allow. Where weights make sums of pairs too long, it is `i16` instead. */
export function arrange(step: ConvolutionStep, runs: readonly InputRun[], dot: DotKind): Arrangement {
  const groups = groupSegments(segmentsOf(step, runs, unitSize(dot)));
  const matrix: Matrix = { weight: step.weight, perOutput: step.weight.length / step.output.channels };
  if (dot !== "pairs") return { dot, chain: 1, groups, matrix };
  const top = Math.max(...runs.map((run) => 127 + run.representation.zeroPoint));
  const split = splitForChain(step.weight as Int8Array, matrix.perOutput, groups.flat(), top);
  if (!split) return { dot: "i16", chain: 1, groups, matrix };
  return {
    dot,
    chain: split.chain,
    groups: [...groups, ...groupSegments(split.rest)],
    matrix: split.matrix,
  };
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
          address: windowOrigin(r, step) + tap + slot * slotBytes,
          pixelBytes: x.stride * r.pixelBytes,
          rowBytes: y.stride * r.rowBytes,
          unsigned: r.zeroPoint > 0,
          columns,
        };
        segments.push(segment);
        if (fillsPixel) joined = segment;
      }
    }
  }
  return segments;
}

/** Segments that step equally over pixels and rows, and are signed alike, are looped over together. */
function groupSegments(segments: readonly Segment[]): Segment[][] {
  const groups = new Map<string, Segment[]>();
  for (const segment of segments) {
    const key = `${segment.pixelBytes} ${segment.rowBytes} ${segment.unsigned}`;
    const group = groups.get(key);
    if (group) group.push(segment);
    else groups.set(key, [segment]);
  }
  return [...groups.values()];
}

/** Instructions per unit of a chain, from long to short. */
const chainCosts: readonly (readonly [chain: number, cost: number])[] = [
  [4, 2.25],
  [2, 2.5],
  [1, 3],
];
/** Of a unit of the rest: it has a table entry of its own. */
const restCost = 4;
/** Per unit of `i16`. */
const wideCost = 4;

/**
 * Chooses how many consecutive units are summed in 16 bits, inputs being in 0..top. Where the weights of a chain could
 * overflow a lane (k mod 4 in {0,1} or {2,3} of one output channel), what is too much is taken off some of them and
 * given to a second matrix: its few columns come again at the end of the sum, as segments of one unit. Exact, since
 * w = w' + rest. Undefined where so many come again that widening all inputs costs less.
 */
function splitForChain(
  weight: Int8Array,
  perOutput: number,
  segments: readonly Segment[],
  top: number,
): { chain: number; matrix: Matrix; rest: Segment[] } | undefined {
  // The most that the positive, and that the negative weights of a lane may add up to.
  const mostInLane = Math.floor(32767 / top);
  const sums = segments.map(({ columns }) => laneSums(weight, perOutput, columns));
  const units = segments.reduce((sum, segment) => sum + segment.columns.length / 4, 0);
  let [chain, least] = [1, Number.POSITIVE_INFINITY];
  let splits: SegmentSplit[] = [];
  for (const [candidate, cost] of chainCosts) {
    const found = segments.map(({ columns }, i) =>
      splitSegment(weight, perOutput, columns, overflowing(sums[i], candidate, mostInLane)),
    );
    const again = found.reduce((sum, { touched }) => sum + touched.size, 0);
    const total = units * cost + again * restCost;
    if (total < least) [chain, least, splits] = [candidate, total, found];
    if (again === 0) break;
  }
  if (least > units * wideCost) return undefined;
  if (splits.every(({ touched }) => touched.size === 0))
    return { chain, matrix: { weight, perOutput }, rest: [] };
  const doubled = doubleColumns(weight, perOutput);
  const rest = segments.flatMap((segment, i) => {
    for (const { output, column, part } of splits[i].moves) {
      doubled[output * perOutput * 2 + column] -= part;
      doubled[output * perOutput * 2 + perOutput + column] += part;
    }
    return [...splits[i].touched]
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
  return { chain, matrix: { weight: doubled, perOutput: perOutput * 2 }, rest };
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

function overflowing(
  { outputs, units, positive, negative }: LaneSums,
  chain: number,
  mostInLane: number,
): Overflow[] {
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

/** What is taken off the weights of a segment, and the units that this concerns. */
interface SegmentSplit {
  readonly moves: { readonly output: number; readonly column: number; readonly part: number }[];
  readonly touched: Set<number>;
}

/** Takes the excess of every overflow off its lane: off units that come again anyway, if possible, and off large weights. */
function splitSegment(
  weight: Int8Array,
  perOutput: number,
  columns: readonly number[],
  overflows: readonly Overflow[],
): SegmentSplit {
  const split: SegmentSplit = { moves: [], touched: new Set() };
  for (const { first, last, lane, output, sign, excess } of overflows) {
    const size = (k: number): number => weight[output * perOutput + columns[k]] * sign;
    const rank = (k: number): number => size(k) + (split.touched.has(k >> 2) ? 128 : 0);
    const places: number[] = [];
    for (let unit = first; unit < last; unit++) {
      for (const k of [unit * 4 + lane, unit * 4 + lane + 1])
        if (columns[k] >= 0 && size(k) > 0) places.push(k);
    }
    places.sort((a, b) => rank(b) - rank(a));
    let left = excess;
    for (const k of places) {
      if (left <= 0) break;
      const part = Math.min(left, size(k));
      split.moves.push({ output, column: columns[k], part: part * sign });
      split.touched.add(k >> 2);
      left -= part;
    }
  }
  return split;
}
