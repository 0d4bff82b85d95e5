/** Bodies that were packed for the way. */
import { brotliDecompressSync, gunzipSync, inflateSync } from "node:zlib";
import { Refusal } from "./refusal.ts";

const unpackers = { gzip: gunzipSync, "x-gzip": gunzipSync, deflate: inflateSync, br: brotliDecompressSync };

/** The body as it was before its `content-encoding`. Throws Refusal for one that is broken, unknown or above `most` bytes. */
export function unpacked(
  bytes: Uint8Array<ArrayBuffer>,
  encoding: string,
  most: number,
): Uint8Array<ArrayBuffer> {
  const name = encoding.trim().toLowerCase();
  if (name === "" || name === "identity") return bytes;
  const unpack = Object.entries(unpackers).find(([key]) => key === name)?.[1];
  if (!unpack) {
    const known = Object.keys(unpackers).join(", ");
    throw new Refusal(415, `content-encoding ${JSON.stringify(encoding)}; expected ${known} or none`);
  }
  try {
    const whole = unpack(bytes, { maxOutputLength: most });
    return new Uint8Array(whole.buffer as ArrayBuffer, whole.byteOffset, whole.length);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === "ERR_BUFFER_TOO_LARGE") {
      throw new Refusal(413, `the body has more than ${most} bytes once it is unpacked`);
    }
    throw new Refusal(400, `the body is no ${name}: ${message}`);
  }
}
