/** Memory of a plan: an arena whose buffers are reused by liveness, and constant data. */

interface Buffer {
  address: number;
  byteLength: number;
  /** Last step that reads it. */
  last: number;
}

/** First-fit allocation of buffers that live from one step to another. */
export class Arena {
  end: number;
  private readonly slack: number;
  private readonly start: number;
  /** All buffers ever placed. */
  private readonly buffers: Buffer[] = [];
  private readonly pools = new Map<string, Buffer[]>();

  /** `slack` bytes stay free behind every buffer. */
  constructor(start: number, slack: number) {
    this.start = start;
    this.end = start;
    this.slack = slack;
  }

  /**
   * An address for `byteLength` bytes that are written at step `first` and read until `last`. Calls come in the order of
   * `first`. Buffers with a `pool` are only ever reused by others of the same pool.
   */
  allocate(byteLength: number, first: number, last: number, pool?: string): number {
    const size = Math.ceil((byteLength + this.slack) / 64) * 64;
    if (pool !== undefined) {
      const list = this.pools.get(pool) ?? [];
      this.pools.set(pool, list);
      const free = list.find((buffer) => buffer.last < first);
      if (free) {
        free.last = last;
        return free.address;
      }
      const buffer = this.place(size, first, Number.POSITIVE_INFINITY);
      list.push({ ...buffer, last });
      return buffer.address;
    }
    return this.place(size, first, last).address;
  }

  private place(size: number, first: number, last: number): Buffer {
    // A pooled buffer's border is written once, so it may not lie where any other buffer ever was.
    const isPooled = last === Number.POSITIVE_INFINITY;
    const busy = this.buffers.filter((buffer) => isPooled || buffer.last >= first);
    busy.sort((a, b) => a.address - b.address);
    let address = this.start;
    for (const buffer of busy) {
      if (buffer.address - address >= size) break;
      address = Math.max(address, buffer.address + buffer.byteLength);
    }
    const buffer = { address, byteLength: size, last };
    this.buffers.push(buffer);
    this.end = Math.max(this.end, address + size);
    return buffer;
  }
}

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
