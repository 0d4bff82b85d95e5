/** Constants of a dense convolution in the layouts that its kernel reads: packed weights and the table of segments. */
import { type DotKind, type EpilogueSpec, type SegmentGroup, unitSize } from "../../../kernels/wasm/index.ts";
import { slotsOf } from "../../representations.ts";
import type { ConvolutionStep } from "../../steps.ts";
import { epilogueOf, largestOf } from "../epilogue.ts";
import type { StaticData } from "../memory.ts";
import type { Arrangement, InputRun, Matrix } from "./_segments.ts";

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

/** Lays out table and weights of a dense convolution; `vectors` is the block of output channels of its tile; `isShared`: the kernel is. */
export function packConvolution(
  data: StaticData,
  step: ConvolutionStep,
  runs: readonly InputRun[],
  { dot, groups: grouped, matrix }: Arrangement,
  vectors: number,
  isShared = false,
): PackedConvolution {
  const unit = unitSize(dot);
  const ordered = grouped.flat();
  const columns = Int32Array.from(ordered.flatMap((segment) => segment.columns));
  const table: number[] = [];
  const groups = grouped.map((list): SegmentGroup => {
    const lengths = new Set(list.map((segment) => segment.columns.length / unit));
    const length = lengths.size === 1 && !isShared ? [...lengths][0] : undefined;
    // The number is left to the table where it varies between layers that could share a kernel.
    const isVaried = isShared || (list.length > 1 && (length === undefined || length === 1));
    if (isVaried) table.push(list.length, 0);
    for (const { address, columns } of list) table.push(address, (columns.length / unit) * 4);
    const [{ pixelBytes, rowBytes, unsigned }] = list;
    return { segments: isVaried ? undefined : list.length, length, pixelBytes, rowBytes, unsigned };
  });
  return {
    table: data.add(Int32Array.from(table)),
    segments: ordered.length,
    weights: addMatrix(data, matrix, slotsOf(step.output), columns, dot, vectors),
    groups,
    units: columns.length / unit,
    correction: correctionOf(step, runs),
  };
}

/** k values that lie beside each other in a lane: 1 float, 2 i16, 4 i8. */
const lanes: Readonly<Record<DotKind, number>> = { f32: 1, i16: 2, relaxed: 4, pairs: 4 };

function addMatrix(
  data: StaticData,
  matrix: Matrix,
  slots: Int32Array,
  columns: Int32Array,
  dot: DotKind,
  vectors: number,
): number {
  const inLane = lanes[dot];
  const packed = packMatrix(matrix, slots, columns, dot, vectors);
  return data.add(packed, { kind: "matrix", ...matrix, slots, columns, inLane, vectors });
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
  const inLane = lanes[dot];
  const outputVectors = slots.length / 4;
  let o = 0;
  for (let block = 0; block < outputVectors; block += vectors) {
    const [first, end] = [block * 4, Math.min(block + vectors, outputVectors) * 4];
    for (let k = 0; k < columns.length; k += inLane) {
      for (let slot = first; slot < end; slot++) {
        const channel = slots[slot];
        if (channel < 0) {
          o += inLane;
          continue;
        }
        const base = channel * perOutput;
        for (let j = k; j < k + inLane; j++, o++) {
          const column = columns[j];
          if (column >= 0) out[o] = weight[base + column];
        }
      }
    }
  }
  return out;
}

/** What is done with the sums of a convolution. */
export function sumEpilogue(step: ConvolutionStep, runs: readonly InputRun[]): EpilogueSpec {
  const { fused, output, int8, roundOnce } = step;
  return epilogueOf(fused, output.representations, int8 ? "i32" : "f32", {
    correction: runs.some((run) => run.representation.zeroPoint > 0),
    roundOnce: int8 !== undefined && roundOnce,
    largest: largestOf(step),
  });
}

/** −Σ zero point · weight for every output channel; undefined where there are no zero points. */
export function correctionOf(
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
  const [zeroPoint] = zeroPoints;
  const isUniform = zeroPoints.every((other) => other === zeroPoint);
  // Each weight once, in loops that are short to say: this runs before anything is compiled well.
  for (let o = 0, k = 0; o < correction.length; o++) {
    let sum = 0;
    if (isUniform) for (const end = k + perOutput; k < end; k++) sum += weight[k];
    else {
      for (let i = 0; i < zeroPoints.length; i++) {
        let part = 0;
        for (const end = k + taps; k < end; k++) part += weight[k];
        sum += part * zeroPoints[i];
      }
    }
    correction[o] = isUniform ? -sum * zeroPoint : -sum;
  }
  return correction;
}
