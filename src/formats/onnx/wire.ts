/**
 * Protocol buffer wire format on top of `pbf`, which trusts its input: here every length is checked against the bytes
 * of the enclosing message, nesting is bounded, and errors are of this kit.
 */
import { PbfReader } from "pbf";
import { FormatError } from "../../base/errors.ts";

const wireVarint = 0;
const wireBytes = 2;
const wireFixed32 = 5;

/** ONNX nests model > graph > node > attribute > graph …; real files stay below 20. */
const maxDepth = 64;

export class WireReader {
  private readonly pbf: PbfReader;
  private readonly what: string;
  private end: number;
  private depth = 0;

  constructor(bytes: Uint8Array, what: string) {
    this.pbf = new PbfReader(bytes);
    this.what = what;
    this.end = bytes.length;
  }

  fail(message: string): never {
    throw new FormatError(
      `${this.what}: ${message} (byte ${this.pbf.pos}); the file is damaged or is not an ONNX model`,
    );
  }

  /** Calls `read(field)` for every field up to the end of the message; it must read the value or `skip` it. */
  fields(read: (field: number) => void): void {
    const { pbf } = this;
    while (pbf.pos < this.end) {
      const tag = this.varint(false);
      pbf.type = tag & 7;
      const field = Math.floor(tag / 8);
      if (field < 1) this.fail(`invalid field number ${field}`);
      read(field);
    }
  }

  /** Reads a nested message with `fields`. */
  message(read: (field: number) => void): void {
    const outer = this.end;
    if (++this.depth > maxDepth) this.fail(`messages are nested more than ${maxDepth} deep`);
    this.end = this.lengthEnd();
    this.fields(read);
    this.end = outer;
    this.depth--;
  }

  skip(): void {
    const { pbf } = this;
    if (pbf.type === wireVarint) this.varint(false);
    else if (pbf.type === wireBytes) pbf.pos = this.lengthEnd();
    else if (pbf.type === wireFixed32) this.take(4);
    else if (pbf.type === 1) this.take(8);
    else this.fail(`unknown wire type ${pbf.type}`);
  }

  /** A signed 64-bit integer, rounded to a double. */
  int(): number {
    this.expect(wireVarint);
    return this.varint(true);
  }
  float(): number {
    this.expect(wireFixed32);
    return this.pbf.dataView.getFloat32(this.take(4), true);
  }
  bytes(): Uint8Array {
    this.expect(wireBytes);
    const end = this.lengthEnd();
    const { pos } = this.pbf;
    this.pbf.pos = end;
    return this.pbf.buf.subarray(pos, end);
  }
  string(): string {
    return new TextDecoder().decode(this.bytes());
  }
  /** Appends one integer, or all of a packed list. */
  ints(into: number[], signed = true): void {
    if (this.pbf.type !== wireBytes) {
      this.expect(wireVarint);
      into.push(this.varint(signed));
      return;
    }
    const outer = this.end;
    this.end = this.lengthEnd();
    while (this.pbf.pos < this.end) into.push(this.varint(signed));
    this.end = outer;
  }
  floats(into: number[]): void {
    this.fixed(into, 4, wireFixed32, (at) => this.pbf.dataView.getFloat32(at, true));
  }
  doubles(into: number[]): void {
    this.fixed(into, 8, 1, (at) => this.pbf.dataView.getFloat64(at, true));
  }

  private fixed(into: number[], width: number, wireType: number, get: (at: number) => number): void {
    if (this.pbf.type !== wireBytes) {
      this.expect(wireType);
      into.push(get(this.take(width)));
      return;
    }
    const packed = this.bytes();
    if (packed.length % width)
      this.fail(`packed list of ${packed.length} bytes is not a multiple of ${width}`);
    const start = this.pbf.pos - packed.length;
    for (let at = 0; at < packed.length; at += width) into.push(get(start + at));
  }
  private expect(wireType: number): void {
    if (this.pbf.type !== wireType) this.fail(`wire type ${this.pbf.type}, expected ${wireType}`);
  }
  private take(count: number): number {
    const at = this.pbf.pos;
    if (at + count > this.end) this.fail(`truncated: ${count} bytes are needed, ${this.end - at} are left`);
    this.pbf.pos = at + count;
    return at;
  }
  private lengthEnd(): number {
    const length = this.varint(false);
    const left = this.end - this.pbf.pos;
    if (length > left) this.fail(`truncated: a field of ${length} bytes, ${left} are left`);
    return this.pbf.pos + length;
  }
  private varint(signed: boolean): number {
    let value: number;
    try {
      value = this.pbf.readVarint(signed);
    } catch {
      this.fail("a number runs past ten bytes or past the end");
    }
    if (this.pbf.pos > this.end) this.fail("a number runs past the end of its message");
    return value;
  }
}
