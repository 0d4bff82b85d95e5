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
import { slotsOf } from "./plan.ts";
import type { Arrangement, InputRun, Matrix } from "./segments.ts";
import type { ConvolutionStep, DepthwiseStep, Int8Scales } from "./steps.ts";

export interface PackedConvolution {
  readonly table: number;
  readonly weights: number;
  readonly groups: SegmentGroup[];
  /** Number of segments in all. */
  readonly segments: number;
  /** Total units of k. */
  readonly units: number;
  /** int8: what accumulators begin at to make up for the inputs' zero points; absent where those are 0. */
  readonly correction?: Int32Array;
}

/** Lays out table and weights of a dense convolution; `vectors` is the block of output channels of its tile. */
export function packConvolution(
  data: StaticData,
  step: ConvolutionStep,
  runs: readonly InputRun[],
  { dot, groups: grouped, matrix }: Arrangement,
  vectors: number,
): PackedConvolution {
  const unit = unitSize(dot);
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
    const [{ pixelBytes, rowBytes, unsigned }] = list;
    return { segments: isVaried ? undefined : list.length, length, pixelBytes, rowBytes, unsigned };
  });
  return {
    table: data.add(Int32Array.from(table)),
    segments: ordered.length,
    weights: data.add(packMatrix(matrix, slotsOf(step.output), columns, dot, vectors)),
    groups,
    units: columns.length / unit,
    correction: correctionOf(step, runs),
  };
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

/** −Σ zero point · weight for every output channel. */
function correctionOf(
  { weight, output, input, int8 }: ConvolutionStep,
  runs: readonly InputRun[],
): Int32Array | undefined {
  if (!int8 || runs.every((run) => run.representation.zeroPoint === 0)) return undefined;
  const zeroPoints = new Int32Array(input.channels.length);
  for (const { representation, channels } of runs) {
    for (const channel of channels) zeroPoints[channel] = representation.zeroPoint;
  }
  const perOutput = weight.length / output.channels;
  const taps = perOutput / zeroPoints.length;
  const correction = new Int32Array(output.channels);
  weight.forEach((w, k) => {
    correction[Math.floor(k / perOutput)] -= w * zeroPoints[Math.floor((k % perOutput) / taps)];
  });
  return correction;
}

export interface EpilogueData {
  readonly bias?: Float32Array;
  readonly int8?: Int8Scales;
  readonly correction?: Int32Array;
  /** What is written; all representations when absent. */
  readonly stores?: readonly Representation[];
}

/**
 * Constant vectors of all groups of four slots, `[group][vector][4]`; the number of groups is rounded up to `blockGroups`,
 * which kernels may read at once.
 */
export function packEpilogue(
  data: StaticData,
  spec: EpilogueSpec,
  output: Value,
  { bias, int8, correction, stores = output.representations }: EpilogueData,
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
      else if (vector === "correction") integers[at] = correction![channel];
      else {
        const store = Number(vector.slice("requantize".length));
        out[at] = stores[store].scales![channel];
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
      else bytes[pixel * r.pixelBytes + slot] = quantize(constant[i], r.scales![channel]) + r.zeroPoint;
    }
    r.address = data.add(bytes);
  }
}
