/** Reads a model once, for all threads: its files in shared memory, and which of them to watch. */
import { statSync } from "node:fs";
import { UsageError } from "../../base/errors.ts";
import { quote } from "../../base/text.ts";
import type { OpenOptions } from "../../index.ts";
import { openModel } from "../../open/formats.ts";
import type { Folder } from "../../open/source.ts";
import { locate } from "../locate.ts";
import type { PullOptions } from "../pull.ts";
import type { SharedModel } from "./messages.ts";

/** A model to serve. */
export interface ServedModel {
  /** A path, a name of the registry, or a web address. */
  readonly source: string | URL;
  /** What requests call it; if not said, its manifest's name. */
  readonly name?: string;
  /** What its files do not say; `size` is the input size that it is served at. */
  readonly options?: OpenOptions & PullOptions;
}

/** A model that was read, and the files on disk that it was read from. */
export interface ReadModel {
  readonly shared: SharedModel;
  readonly files: readonly string[];
  /** Their state when they were read, as `stateOf` has it. */
  readonly state: string;
}

/** Throws as `open` of `ncnnkit/node` does, and UsageError for a name that requests could not say. */
export async function readModel({ source, name, options = {} }: ServedModel): Promise<ReadModel> {
  const { offline, onDownload, onNotice, signal, ...facts } = options;
  const { folder, name: main } = await locate(source, { offline, onDownload, onNotice, signal });
  const read = new Map<string, Uint8Array<SharedArrayBuffer>>();
  const states = new Map<string, string>();
  const recording: Folder = {
    ...folder,
    read: async (file) => {
      // Before it is read: what is written meanwhile has to be seen as a change.
      const state = stateOf([folder.describe(file)]);
      const bytes = await folder.read(file);
      if (bytes) {
        states.set(folder.describe(file), state);
        read.set(file, shared(bytes));
      }
      return bytes;
    },
  };
  const { manifest } = await openModel(recording, main, facts);
  const called = name ?? manifest.name;
  if (!/^[\w.+@-]{1,100}$/.test(called)) {
    throw new UsageError(
      `${String(source)}: ${quote(called)} cannot be the name of a model in an address: use letters, digits and ._+@-, as in NAME=${String(source)}`,
    );
  }
  const files = [...read].map(([file, bytes]) => ({ name: file, where: folder.describe(file), bytes }));
  const onDisk = files.map(({ where }) => where).filter((where) => !/^https?:/.test(where));
  return {
    shared: { name: called, main, files, names: (await folder.list?.()) ?? [...read.keys()], options: facts },
    files: onDisk,
    state: onDisk.map((where) => states.get(where)).join(),
  };
}

function shared(bytes: Uint8Array): Uint8Array<SharedArrayBuffer> {
  const copy = new Uint8Array(new SharedArrayBuffer(bytes.length));
  copy.set(bytes);
  return copy;
}

/** The folder that was read, in a thread. */
export function sharedFolder({ files, names }: SharedModel): Folder {
  const byName = new Map(files.map((file) => [file.name, file]));
  return {
    // Readers expect memory of their own, and theirs is given back once the model is made.
    read: async (name) => byName.get(name)?.bytes.slice(),
    describe: (name) => byName.get(name)?.where ?? name,
    list: async () => [...names],
  };
}

/** Changes whenever one of the files was written, replaced or removed. */
export function stateOf(files: readonly string[]): string {
  return files
    .map((file) => {
      const stats = statSync(file, { throwIfNoEntry: false, bigint: true });
      return stats ? `${stats.ino} ${stats.size} ${stats.mtimeNs}` : "none";
    })
    .join();
}
