/** Memory of values, reused by liveness. */

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
