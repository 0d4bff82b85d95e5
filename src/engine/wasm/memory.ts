/** Memory of a plan behind its arena: constant data, and how things lie. */

/** What packed weights were made from, for those that pack them when a module starts (kernels/wasm/unpack.ts). */
export type PackedFrom = PackedWeights | PackedVectors;

/** Vectors of four words one after the other for each group of four channels, `[group][vector][4]`. */
export interface PackedVectors {
  readonly kind: "vectors";
  readonly count: number;
}

export interface PackedWeights {
  readonly kind: "matrix" | "winograd";
  readonly weight: Float32Array | Int8Array;
  /** Numbers of an output channel, or input channels. */
  readonly perOutput: number;
  /** Output channel of each slot, and column, or input channel, of each k; −1: none. */
  readonly slots: Int32Array;
  readonly columns: Int32Array;
  readonly inLane: number;
  readonly vectors: number;
  /** Of Winograd's. */
  readonly size?: 2 | 4;
}

/** Constant bytes behind the arena, copied into memory when a program starts. */
export class StaticData {
  readonly start: number;
  end: number;
  readonly chunks: { readonly address: number; readonly bytes: Uint8Array; readonly from?: PackedFrom }[] =
    [];

  private readonly alignment: number;

  constructor(start: number, alignment = 64) {
    this.start = start;
    this.end = start;
    this.alignment = alignment;
  }

  /** Places the bytes of `data`, aligned, and returns their address. */
  add(data: ArrayBufferView, from?: PackedFrom): number {
    const address = align(this.end, this.alignment);
    this.chunks.push({ address, bytes: new Uint8Array(data.buffer, data.byteOffset, data.byteLength), from });
    this.end = address + data.byteLength;
    return address;
  }
}

/** Vectors may be read this far beyond a buffer's end. */
export const slack = 64;

export function align(bytes: number, to = 64): number {
  return Math.ceil(bytes / to) * to;
}
