/** Reading from disk: the one place where files are opened, with clear errors and bounded memory. */

import { constants, readdirSync, realpathSync, type Stats, statSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import path from "node:path";
import { expectKind } from "../base/arguments.ts";
import { InputError } from "../index.ts";
import type { Folder } from "../open/source.ts";

const mebibyte = 2 ** 20;

/** The most bytes that are read of a file, by what it is read for; a string of JavaScript holds no more than 2^29 - 24 characters. */
const mostBytes = {
  model: 2 ** 31 - 1,
  picture: 1024 * mebibyte,
  annotations: 2 ** 29 - 24,
  text: 64 * mebibyte,
} as const;

export type FileUse = keyof typeof mostBytes;

/** `cannot read a.pt: there is no such file`; the system's error code is kept where it says more. */
export function fileError(action: string, file: string, error: unknown): InputError {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  const reasons: Record<string, string> = {
    ENOENT: "there is no such file or folder",
    ENOTDIR: "a part of the path is a file, not a folder",
    EISDIR: "it is a folder",
    EACCES: "permission denied",
    EPERM: "not permitted",
    EBUSY: "another program has it open",
    EROFS: "the file system is read-only",
    ENOSPC: "no space left on the device",
    EEXIST: "something of that name is in the way",
    ENAMETOOLONG: "the name is too long",
    EMFILE: "too many open files",
    ELOOP: "its links go in a circle",
    EAGAIN: "it is no file of fixed content",
    ENXIO: "it is a socket or a device, not a file",
  };
  const reason = reasons[code] ?? (error instanceof Error ? error.message : String(error));
  return new InputError(`cannot ${action} ${file}: ${reason}`, { cause: error });
}

/** What something is that is no regular file; nothing for one that is. */
export function oddity(stats: Stats): string | undefined {
  if (stats.isFile()) return undefined;
  if (stats.isDirectory()) return "a folder";
  if (stats.isFIFO()) return "a pipe";
  if (stats.isSocket()) return "a socket";
  return "a device";
}

/**
 * All bytes of a regular file: a pipe or a device may never end, so it is refused, and nothing ever waits for one. `use` sets
 * how large the file may be, whatever its size is said to be (in /proc it is 0). Throws InputError.
 */
export async function readBytes(file: string, use: FileUse = "model"): Promise<Uint8Array> {
  expectKind("readBytes: file", file, "a string");
  let handle: FileHandle | undefined;
  try {
    // Without O_NONBLOCK, opening a pipe waits until somebody writes to it. Windows has neither.
    handle = await open(file, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    const stats = await handle.stat();
    const odd = oddity(stats);
    if (odd) throw new InputError(`cannot read ${file}: it is ${odd}, expected a regular file`);
    return await readWhole(handle, stats.size, mostBytes[use], file);
  } catch (error) {
    throw error instanceof InputError ? error : fileError("read", file, error);
  } finally {
    await handle?.close().catch(() => {}); // what was read is there, and an error says more
  }
}

async function readWhole(handle: FileHandle, size: number, most: number, file: string): Promise<Uint8Array> {
  const tooLarge = (bytes: string): InputError =>
    new InputError(`${file} has ${bytes} bytes; files above ${most} bytes are not read for this`);
  if (size > most) throw tooLarge(String(size));
  let bytes = new Uint8Array(size);
  let length = 0;
  for (;;) {
    if (length === bytes.length) {
      // Usually the end: one small read tells.
      const beyond = new Uint8Array(4096);
      const { bytesRead } = await handle.read(beyond, 0, beyond.length);
      if (bytesRead === 0) return bytes;
      if (length + bytesRead > most) throw tooLarge(`more than ${most}`);
      const longer = new Uint8Array(Math.min(most, Math.max(2 * length, 2 ** 16)));
      longer.set(bytes);
      longer.set(beyond.subarray(0, bytesRead), length);
      bytes = longer;
      length += bytesRead;
    } else {
      const { bytesRead } = await handle.read(bytes, length, bytes.length - length);
      if (bytesRead === 0) return bytes.slice(0, length);
      length += bytesRead;
    }
  }
}

/** The text of a file in UTF-8, at most 64 MiB. Throws InputError. */
export async function readText(file: string, use: "text" | "annotations" = "text"): Promise<string> {
  expectKind("readText: file", file, "a string");
  return new TextDecoder().decode(await readBytes(file, use));
}

/** Whether the path is a folder, a file (or pipe, or device), or nothing that can be reached. */
export function kindOf(file: string): "folder" | "file" | undefined {
  try {
    return statSync(file).isDirectory() ? "folder" : "file";
  } catch {
    return undefined; // opening it will say why
  }
}

/** A folder on disk, as the model formats see it. */
export function diskFolder(directory: string): Folder {
  expectKind("diskFolder: directory", directory, "a string");
  return {
    describe: (name) => path.join(directory, name),
    read: async (name) => {
      const file = path.join(directory, name);
      return kindOf(file) === "file" ? readBytes(file) : undefined;
    },
    list: async () => listFolder(directory),
  };
}

/** Names in a folder, sorted. Throws InputError. */
export function listFolder(directory: string): string[] {
  try {
    return readdirSync(directory).sort();
  } catch (error) {
    throw fileError("list", directory, error);
  }
}

/** The one path of what is there, whatever links and letters lead to it; nothing where nothing is. */
export function realPath(file: string): string | undefined {
  expectKind("realPath: file", file, "a string");
  try {
    return realpathSync.native(file);
  } catch {
    return undefined;
  }
}

/** Whether two paths lead to one and the same file, by links or by the case of letters too. */
export function sameFile(a: string, b: string): boolean {
  expectKind("sameFile: a", a, "a string");
  expectKind("sameFile: b", b, "a string");
  try {
    const [one, other] = [a, b].map((file) => statSync(file, { bigint: true }));
    return one.ino === other.ino && one.dev === other.dev && one.ino !== 0n;
  } catch {
    return path.resolve(a) === path.resolve(b);
  }
}
