/** Files on disk: reading with clear errors, and sets of files that appear together or not at all. */
import { mkdirSync, readdirSync, renameSync, rmdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { InputError } from "../index.ts";
import type { Folder } from "../model/source.ts";

/** Largest file that is read as a model or a picture, in bytes. */
const maxFileBytes = 2 ** 31 - 1;

/** `cannot read a.pt: there is no such file`; the system's error code is kept where it says more. */
export function fileError(action: string, file: string, error: unknown): InputError {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  const reasons: Record<string, string> = {
    ENOENT: "there is no such file or folder",
    ENOTDIR: "a part of the path is a file, not a folder",
    EISDIR: "it is a folder",
    EACCES: "permission denied",
    EPERM: "not permitted",
    EROFS: "the file system is read-only",
    ENOSPC: "no space left on the device",
    EEXIST: "something of that name is in the way",
    ENAMETOOLONG: "the name is too long",
    EMFILE: "too many open files",
  };
  const reason = reasons[code] ?? (error instanceof Error ? error.message : String(error));
  return new InputError(`cannot ${action} ${file}: ${reason}`, { cause: error });
}

/** All bytes of a file. Throws InputError. */
export async function readBytes(file: string): Promise<Uint8Array> {
  try {
    const { size } = statSync(file);
    if (size > maxFileBytes) {
      throw new InputError(`${file} has ${size} bytes; files above ${maxFileBytes} bytes are not read`);
    }
    const bytes = await readFile(file);
    return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  } catch (error) {
    throw error instanceof InputError ? error : fileError("read", file, error);
  }
}

/** Whether the path is a folder, a file, or nothing that can be reached. */
export function kindOf(file: string): "folder" | "file" | undefined {
  try {
    return statSync(file).isDirectory() ? "folder" : "file";
  } catch {
    return undefined; // opening it will say why
  }
}

/** A folder on disk, as the model formats see it. */
export function diskFolder(directory: string): Folder {
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

/**
 * Writes files that belong together: all under temporary names first, then renamed in one go, so that a failure or Ctrl-C
 * leaves either the old files or the new ones, never half of one. Makes the folder when it is missing.
 * Throws InputError when something cannot be written; nothing new is left behind then.
 */
export async function writeFiles(
  directory: string,
  files: Readonly<Record<string, Uint8Array | string>>,
): Promise<void> {
  const created = makeFolder(directory);
  const names = Object.keys(files);
  const temporary = (name: string): string => path.join(directory, `.${name}.${process.pid}.part`);
  const undo = (): void => {
    for (const name of names) rmSync(temporary(name), { force: true });
    for (const folder of created) removeIfEmpty(folder);
  };
  let interrupted = false;
  const release = onInterrupt(() => {
    interrupted = true;
    undo();
  });
  let at = directory;
  try {
    for (const name of names) {
      at = path.join(directory, name);
      writeFileSync(temporary(name), files[name]);
      await new Promise(setImmediate); // lets Ctrl-C through between files
      if (interrupted) throw new Error("interrupted"); // somebody else keeps the process alive
    }
    for (const name of names) {
      at = path.join(directory, name);
      renameSync(temporary(name), at);
    }
  } catch (error) {
    undo();
    throw fileError("write", at, error);
  } finally {
    release();
  }
}

/** Writes files in any folders: those of one folder appear together or not at all. Throws InputError. */
export async function writePaths(files: Readonly<Record<string, Uint8Array | string>>): Promise<void> {
  const folders = new Map<string, Record<string, Uint8Array | string>>();
  for (const [file, content] of Object.entries(files)) {
    const inside = folders.get(path.dirname(file)) ?? {};
    folders.set(path.dirname(file), { ...inside, [path.basename(file)]: content });
  }
  for (const [folder, inside] of folders) await writeFiles(folder, inside);
}

/** Makes a folder and those above it; gives the ones that were new, innermost first. Throws InputError. */
export function makeFolder(directory: string): string[] {
  const created: string[] = [];
  for (let folder = path.resolve(directory); kindOf(folder) === undefined; ) {
    created.push(folder);
    if (folder === path.dirname(folder)) break;
    folder = path.dirname(folder);
  }
  // One by one: the recursive way of Node 20 tells a read-only file system as a missing folder.
  for (const folder of created.length ? created.toReversed() : [directory]) {
    try {
      mkdirSync(folder);
    } catch (error) {
      if (kindOf(folder) !== "folder") throw fileError("make the folder", directory, error);
    }
  }
  return created;
}

function removeIfEmpty(folder: string): void {
  try {
    rmdirSync(folder);
  } catch {
    // Somebody put something there in the meantime: then it stays.
  }
}

/** Runs `cleanup` if the process is told to stop before the returned function is called; the signal then takes its course. */
export function onInterrupt(cleanup: () => void): () => void {
  const signals = ["SIGINT", "SIGTERM"] as const;
  const handler = (signal: NodeJS.Signals): void => {
    cleanup();
    release();
    process.kill(process.pid, signal);
  };
  const release = (): void => {
    for (const signal of signals) process.off(signal, handler);
  };
  for (const signal of signals) process.on(signal, handler);
  return release;
}
