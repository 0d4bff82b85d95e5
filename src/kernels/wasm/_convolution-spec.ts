/** What a dense convolution is told, and the sizes of what it reads. */
import { unbounded } from "../../base/activation.ts";
import type { EpilogueSpec } from "./_epilogue.ts";
import type { EpilogueStep, StoreSpec } from "./spec.ts";

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
  /** Where weights leave the cache: all pixels are gone through with so many blocks of output channels, and then with the next ones. */
  readonly panel?: number;
  readonly tile: { readonly pixels: number; readonly vectors: number };
  readonly epilogue: EpilogueSpec;
  /** The total length of all segments. */
  readonly units: number;
  /** Extents, strides and limits lie in memory (`sharedNumbers`), so that layers which differ in them have one kernel. */
  readonly shared?: true;
}

/** A number for `clip` that only says on which side of 0 the bound is; unbounded stays so. */
const sideOf = (bound: number): number => (Math.abs(bound) >= unbounded ? bound : bound >= 0 ? 0 : -1);

/** The spec without what `sharedNumbers` holds of it. */
export function sharedSpec(spec: ConvolutionSpec): ConvolutionSpec {
  const { tile, rows, width, outputVectors, groups, epilogue } = spec;
  const strides = { pixelBytes: 0, rowBytes: 0 };
  return {
    ...spec,
    shared: true,
    rows: Math.min(rows, 2),
    width: tile.pixels + (width % tile.pixels),
    outputVectors: tile.vectors + (outputVectors % tile.vectors),
    units: 0,
    groups: groups.map(({ unsigned }) => ({ ...strides, unsigned })),
    epilogue: {
      ...epilogue,
      steps: epilogue.steps.map((step): EpilogueStep => {
        if (step.kind === "residual") return { ...step, ...strides };
        if (step.kind !== "activation" || step.activation.kind !== "clip") return step;
        const { min, max } = step.activation;
        return { kind: "activation", activation: { kind: "clip", min: sideOf(min), max: sideOf(max) } };
      }),
      stores: epilogue.stores.map(
        (store): StoreSpec => ({ ...store, ...strides, least: store.least >= 0 ? 0 : -127, most: 127 }),
      ),
    },
  };
}

/** Words of 32 bits by name, in their order in memory. */
export function sharedNumbers({
  width,
  outputVectors,
  tile,
  units,
  groups,
  epilogue,
}: ConvolutionSpec): Map<string, number> {
  const numbers = new Map([
    ["width", width],
    ["blocks", Math.floor(outputVectors / tile.vectors)],
    ["units", units],
  ]);
  const strides = (
    name: string,
    { pixelBytes, rowBytes }: Record<"pixelBytes" | "rowBytes", number>,
  ): void => {
    numbers.set(`${name}.pixelBytes`, pixelBytes);
    numbers.set(`${name}.rowBytes`, rowBytes);
  };
  for (const [g, group] of groups.entries()) strides(`group${g}`, group);
  for (const [i, store] of epilogue.stores.entries()) {
    strides(`store${i}`, store);
    numbers.set(`store${i}.limits`, (store.least & 255) | ((store.most & 255) << 8));
  }
  for (const [i, step] of epilogue.steps.entries()) {
    if (step.kind === "residual") strides("residual", step);
    if (step.kind !== "activation" || step.activation.kind !== "clip") continue;
    const [min, max] = new Int32Array(Float32Array.of(step.activation.min, step.activation.max).buffer);
    numbers.set(`step${i}.min`, min);
    numbers.set(`step${i}.max`, max);
  }
  return numbers;
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
