/** Files that people pass for a checkpoint, recognised by their first bytes so that the error can say what to do. */
import { FormatError, type NcnnkitError, UnsupportedError } from "../../base/errors.ts";

/** Protocol 2, then the magic number 0x1950a86a20f9469cfc6c that torch.save wrote before PyTorch 1.6. */
const legacyMagic = [0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];

function startsWith(bytes: Uint8Array, expected: readonly number[] | string): boolean {
  const wanted = typeof expected === "string" ? new TextEncoder().encode(expected) : expected;
  return bytes.length >= wanted.length && wanted.every((byte, i) => bytes[i] === byte);
}

/** A protobuf that begins with ir_version (field 1) below 20 and then producer_name, domain or a graph. */
function looksLikeOnnx(bytes: Uint8Array): boolean {
  return (
    bytes.length > 4 && bytes[0] === 0x08 && bytes[1] < 20 && [0x12, 0x1a, 0x22, 0x3a].includes(bytes[2])
  );
}

function looksLikeSafetensors(bytes: Uint8Array): boolean {
  if (bytes.length < 10 || bytes[8] !== 0x7b) return false;
  const length = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true);
  return length <= BigInt(bytes.length - 8);
}

export function isZip(bytes: Uint8Array): boolean {
  return startsWith(bytes, [0x50, 0x4b, 3, 4]) || startsWith(bytes, [0x50, 0x4b, 5, 6]);
}

/** The error for bytes that are no zip archive. */
export function wrongFile(bytes: Uint8Array, what: string): NcnnkitError {
  const head = new TextDecoder().decode(bytes.subarray(0, 256)).trimStart().toLowerCase();
  if (bytes.length === 0) return new FormatError(`${what}: the file is empty`);
  if (startsWith(bytes, legacyMagic)) {
    return new UnsupportedError(
      `${what}: saved in the format of PyTorch before 1.6 (a bare pickle, not a zip archive); load it in PyTorch 1.6 or later and save it again with torch.save`,
    );
  }
  if (head.startsWith("version https://git-lfs")) {
    return new FormatError(`${what}: a Git LFS pointer, not the file itself; run "git lfs pull"`);
  }
  if (head.startsWith("<")) {
    return new FormatError(
      `${what}: an HTML or XML page, not a checkpoint; download the file itself (a "raw" or "download" link)`,
    );
  }
  if (looksLikeSafetensors(bytes)) {
    return new UnsupportedError(
      `${what}: a safetensors file, which holds weights without the network's structure; use the training checkpoint or export the model to ONNX`,
    );
  }
  if (looksLikeOnnx(bytes)) {
    return new FormatError(`${what}: an ONNX model, not a torch checkpoint; name it .onnx`);
  }
  if (startsWith(bytes, "7767517\n") || startsWith(bytes, [0xdd, 0x86, 0x76, 0])) {
    return new FormatError(`${what}: an ncnn param file, not a torch checkpoint; name it .param`);
  }
  if (bytes[0] === 0x80 && bytes[1] >= 2 && bytes[1] <= 5) {
    return new FormatError(`${what}: a bare pickle, expected the zip archive that torch.save writes`);
  }
  if (startsWith(bytes, [0x1f, 0x8b])) return new FormatError(`${what}: a gzip file; unpack it first`);
  const shown = Array.from(bytes.subarray(0, 8), (byte) => byte.toString(16).padStart(2, "0")).join(" ");
  return new FormatError(
    `${what}: not a torch checkpoint: it begins with ${shown}, expected a zip archive (50 4b 03 04)`,
  );
}
