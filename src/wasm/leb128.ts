/** LEB128 variable-length integers: seven bits a byte, lowest first, the top bit says that more follow. */
import type { ByteWriter } from "../base/bytes.ts";

/** A whole number in [0, 2^32). */
export function writeUnsigned(out: ByteWriter, value: number): void {
  if (!(value >= 0 && value <= 0xffffffff && Number.isInteger(value))) {
    throw new Error(`${value} is not an unsigned 32-bit number`);
  }
  let rest = value;
  while (rest > 0x7f) {
    out.u8((rest & 0x7f) | 0x80);
    rest >>>= 7;
  }
  out.u8(rest);
}

/** A whole number in [−2^31, 2^31). */
export function writeSigned(out: ByteWriter, value: number): void {
  if ((value | 0) !== value) throw new Error(`${value} is not a signed 32-bit number`);
  let rest = value;
  while (rest < -64 || rest > 63) {
    out.u8((rest & 0x7f) | 0x80);
    rest >>= 7;
  }
  out.u8(rest & 0x7f);
}

/** A whole number in [−2^63, 2^63). */
export function writeSigned64(out: ByteWriter, value: bigint): void {
  if (BigInt.asIntN(64, value) !== value) throw new Error(`${value} is not a signed 64-bit number`);
  let rest = value;
  while (rest < -64n || rest > 63n) {
    out.u8(Number(rest & 0x7fn) | 0x80);
    rest >>= 7n;
  }
  out.u8(Number(rest & 0x7fn));
}
