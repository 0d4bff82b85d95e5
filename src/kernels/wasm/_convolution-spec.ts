/** What a dense convolution is told, and the sizes of what it reads. */
import type { EpilogueSpec } from "./_epilogue.ts";

export interface SegmentGroup {
  /** Number of segments, at least 1; where it is not given, an entry in front of the group's says it. */
  readonly segments?: number;
  /** Units of k in every segment when they are equal, else the table holds each length. */
  readonly length?: number;
  /** Bytes between the inputs of neighbouring output pixels, and output rows. */
  readonly pixelBytes: number;
  readonly rowBytes: number;
  /** i8 inputs are unsigned bytes: only `i16` has to know. */
  readonly unsigned: boolean;
}

/**
 * `relaxed`: i32x4.relaxed_dot_i8x16_i7x16_add_s with the weights as the signed operand, exact for the operands that the
 * planner lets through; `pairs`: i16x8.relaxed_dot_i8x16_i7x16_s on the same operands, summed in 16 bits over `chain` units
 * before it is widened, for machines on which that saves instructions; `i16`: i32x4.dot_i16x8_s on inputs widened to 16 bits, exact always.
 */
export type DotKind = "f32" | "relaxed" | "pairs" | "i16";

export interface ConvolutionSpec {
  readonly kind: "convolution";
  /** `wide`: as `i16`, of inputs that are 16 bits wide in memory. */
  readonly dot: DotKind | "wide";
  /** `pairs`: consecutive units whose sums of two products, added up, are known to fit 16 bits; else 1. */
  readonly chain: number;
  readonly groups: readonly SegmentGroup[];
  /** Output pixels; `rows` is 1 when all pixels can be treated as one long row. */
  readonly rows: number;
  readonly width: number;
  /** Output channels in vectors of four. */
  readonly outputVectors: number;
  readonly tile: { readonly pixels: number; readonly vectors: number };
  readonly epilogue: EpilogueSpec;
  /** The total length of all segments. */
  readonly units: number;
}

/** k values in a unit of the sum. */
export function unitSize(dot: ConvolutionSpec["dot"]): number {
  return dot === "f32" ? 1 : dot === "wide" ? 2 : 4;
}
/** Bytes of input in a unit. All are 4: one float, four bytes, or two of 16 bits. */
export const unitBytes = 4;
/** Table entry: address of the segment at output pixel 0, length in bytes; in front of a group: its number of segments. */
export const segmentEntryBytes = 8;

/** Bytes of scratch that a thread needs: the inputs of one tile as i16. */
export function scratchBytes({ dot, tile, units }: ConvolutionSpec): number {
  return dot === "i16" ? tile.pixels * scratchPixelBytes(units) : 0;
}
/** Bytes of one pixel's widened inputs; widening writes 16 bytes at a time. */
export function scratchPixelBytes(units: number): number {
  return units * 8 + 16;
}
