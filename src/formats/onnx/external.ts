/** Tensor data kept in files beside the model. */
import { InputError, UnsupportedError } from "../../base/errors.ts";

/** Gives the bytes of a file named relative to the folder of the model. */
export type ExternalData = (relativePath: string) => Uint8Array;

/** The path, if it stays inside the model's folder; absolute paths, drive letters and `..` are refused. */
export function checkExternalPath(path: string, what: string): string {
  const parts = path.split(/[\\/]/);
  if (
    path === "" ||
    parts.includes("..") ||
    parts[0] === "" ||
    /^[A-Za-z]:/.test(path) ||
    path.includes("\0")
  ) {
    throw new InputError(
      `${what}: external data path ${JSON.stringify(path)} leaves the folder of the model; only files inside it are read`,
    );
  }
  return path;
}

/** Bytes `[offset, offset + length)` of an external file; `length` undefined means to its end. */
export function readExternal(
  entries: ReadonlyMap<string, string>,
  expectedBytes: number,
  what: string,
  external: ExternalData | undefined,
): Uint8Array {
  const path = checkExternalPath(entries.get("location") ?? "", what);
  if (!external) {
    throw new UnsupportedError(
      `${what}: its data is in the file ${JSON.stringify(path)}; give that file together with the model`,
    );
  }
  const file = external(path);
  const offset = wholeNumber(entries.get("offset") ?? "0", what);
  const length = wholeNumber(entries.get("length") ?? String(expectedBytes), what);
  if (length !== expectedBytes || offset + length > file.length) {
    throw new InputError(
      `${what}: bytes ${offset} to ${offset + length} of ${path} are asked for (${expectedBytes} needed), the file has ${file.length}`,
    );
  }
  return file.subarray(offset, offset + length);
}

function wholeNumber(text: string, what: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value)) {
    throw new InputError(
      `${what}: external data offset or length ${JSON.stringify(text)} is not a whole number`,
    );
  }
  return value;
}
