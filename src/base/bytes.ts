/** Bounds-checked little-endian reading and growing writing, used by every binary format. Offsets are file offsets. */
import { FormatError } from "./errors.ts";

export class ByteReader {
  readonly bytes: Uint8Array;
  readonly what: string;
  private readonly view: DataView;
  offset: number;
  readonly end: number;

  /**
   * Reads `bytes[start, end)`; `what` names the data in errors (`yolov5ss.bin`). Throws FormatError when that is not a range
   * inside the bytes.
   */
  constructor(bytes: Uint8Array, what: string, start = 0, end = bytes.length) {
    // A plain view: Node's Buffer, a subclass, has a `slice` that does not copy.
    this.bytes = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.what = what;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.offset = start;
    this.end = end;
    if (!(start >= 0 && start <= end && end <= bytes.length)) {
      this.fail(`bytes [${start}, ${end}) are wanted of ${bytes.length}`, start);
    }
  }

  get remaining(): number {
    return this.end - this.offset;
  }

  fail(message: string, offset = this.offset): never {
    throw new FormatError(`${this.what}: ${message} (byte ${offset})`);
  }

  /** Checks that `count` bytes are left for `field` and steps over them, returning where they began. */
  private take(count: number, field: string): number {
    if (!(count >= 0) || count > this.remaining) {
      this.fail(`truncated: ${field} needs ${count} bytes, ${this.remaining} are left`);
    }
    const at = this.offset;
    this.offset += count;
    return at;
  }

  skip(count: number, field: string): void {
    this.take(count, field);
  }
  u8(field: string): number {
    return this.view.getUint8(this.take(1, field));
  }
  u16(field: string): number {
    return this.view.getUint16(this.take(2, field), true);
  }
  u32(field: string): number {
    return this.view.getUint32(this.take(4, field), true);
  }
  i32(field: string): number {
    return this.view.getInt32(this.take(4, field), true);
  }
  i64(field: string): bigint {
    return this.view.getBigInt64(this.take(8, field), true);
  }
  /** An unsigned 64-bit number that must fit a double exactly. */
  u64(field: string): number {
    const at = this.take(8, field);
    const value = this.view.getBigUint64(at, true);
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) this.fail(`${field} ${value} is too large`, at);
    return Number(value);
  }
  f32(field: string): number {
    return this.view.getFloat32(this.take(4, field), true);
  }
  f64(field: string, littleEndian = true): number {
    return this.view.getFloat64(this.take(8, field), littleEndian);
  }
  /** A view of the next `count` bytes, not a copy. */
  raw(count: number, field: string): Uint8Array {
    const at = this.take(count, field);
    return this.bytes.subarray(at, at + count);
  }
  f32Array(count: number, field: string): Float32Array {
    return new Float32Array(this.copy(count * 4, field));
  }
  u16Array(count: number, field: string): Uint16Array {
    return new Uint16Array(this.copy(count * 2, field));
  }
  i8Array(count: number, field: string): Int8Array {
    return new Int8Array(this.copy(count, field));
  }
  private copy(byteCount: number, field: string): ArrayBuffer {
    return this.raw(byteCount, field).slice().buffer as ArrayBuffer;
  }
  /** Refuses an element count that the remaining bytes cannot hold, before anything is allocated for it. */
  payFor(count: number, bytesEach: number, field: string): number {
    if (!Number.isSafeInteger(count) || count < 0 || count * bytesEach > this.remaining) {
      this.fail(`${field}: count ${count} cannot fit the ${this.remaining} bytes that are left`);
    }
    return count;
  }
}

export class ByteWriter {
  private buffer = new Uint8Array(1024);
  private view = new DataView(this.buffer.buffer);
  length = 0;

  /** Makes room for `count` bytes; replaces `view` when it grows, so call it before using that. */
  private room(count: number): number {
    const at = this.length;
    if (at + count > this.buffer.length) {
      const bigger = new Uint8Array(Math.max(this.buffer.length * 2, at + count));
      bigger.set(this.buffer.subarray(0, at));
      this.buffer = bigger;
      this.view = new DataView(bigger.buffer);
    }
    this.length += count;
    return at;
  }
  u8(value: number): this {
    const at = this.room(1);
    this.view.setUint8(at, value);
    return this;
  }
  u16(value: number): this {
    const at = this.room(2);
    this.view.setUint16(at, value, true);
    return this;
  }
  u32(value: number): this {
    const at = this.room(4);
    this.view.setUint32(at, value, true);
    return this;
  }
  i32(value: number): this {
    const at = this.room(4);
    this.view.setInt32(at, value, true);
    return this;
  }
  f32(value: number): this {
    const at = this.room(4);
    this.view.setFloat32(at, value, true);
    return this;
  }
  raw(bytes: Uint8Array): this {
    const at = this.room(bytes.length);
    this.buffer.set(bytes, at);
    return this;
  }
  /** The bytes of a typed array, in memory order (all platforms JavaScript runs on are little-endian). */
  array(values: Float32Array | Uint16Array | Int8Array | Uint8Array): this {
    return this.raw(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
  }
  /** Zero bytes until the length is a multiple of `alignment`. */
  align(alignment: number): this {
    while (this.length % alignment) this.u8(0);
    return this;
  }
  /** The bytes written so far, as a copy of exact length. */
  finish(): Uint8Array {
    return this.buffer.slice(0, this.length);
  }
}
