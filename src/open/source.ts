/** Where the files of a model come from: memory, a web address, or (in Node) a folder on disk. */
import { InputError } from "../base/errors.ts";

/** A folder of files that a format can look into: a `.param` finds its `.bin` here. */
export interface Folder {
  /** The bytes of a file, or nothing if there is no such file. Throws InputError when it cannot be read. */
  read(name: string): Promise<Uint8Array | undefined>;
  /** The name to use in messages: with the path or address. */
  describe(name: string): string;
  /** All names, where they can be known. */
  list?(): Promise<string[]>;
}

/** A file in memory. */
export interface NamedBytes {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** A file of the folder, or an InputError that says that it is missing and what for. */
export async function requireFile(folder: Folder, name: string, why: string): Promise<Uint8Array> {
  const bytes = await folder.read(name);
  if (!bytes) throw new InputError(`${folder.describe(name)}: there is no such file, ${why}`);
  return bytes;
}

/** Files in memory. */
export function memoryFolder(files: readonly NamedBytes[]): Folder {
  const byName = new Map(files.map((file) => [file.name, file.bytes]));
  return {
    read: async (name) => byName.get(name),
    describe: (name) => name,
    list: async () => [...byName.keys()],
  };
}

/** How far the download of a file is. */
export interface DownloadProgress {
  readonly url: string;
  /** Bytes. */
  readonly received: number;
  /** Bytes of the whole file, where the server tells. */
  readonly total?: number;
}

/** The files beside a web address. A missing file is one that the server answers with 404 or 410. */
export function webFolder(base: URL, onDownload?: (progress: DownloadProgress) => void): Folder {
  return {
    describe: (name) => new URL(name, base).href,
    read: async (name) => {
      const url = new URL(name, base);
      url.search = base.search;
      let response: Response;
      try {
        response = await fetch(url);
      } catch (error) {
        throw new InputError(`cannot fetch ${url.href}: ${error instanceof Error ? error.message : error}`, {
          cause: error,
        });
      }
      if (response.status === 404 || response.status === 410) return undefined;
      if (!response.ok) throw new InputError(`cannot fetch ${url.href}: HTTP status ${response.status}`);
      try {
        return await receive(response, (received, total) => onDownload?.({ url: url.href, received, total }));
      } catch (error) {
        throw new InputError(
          `the download of ${url.href} broke off: ${error instanceof Error ? error.message : error}`,
          { cause: error },
        );
      }
    },
  };
}

/** The body, told of piece by piece. */
async function receive(
  response: Response,
  progress: (received: number, total?: number) => void,
): Promise<Uint8Array> {
  // With a content encoding, the length is that of the packed bytes.
  const length = Number(response.headers.get("content-length") ?? Number.NaN);
  const total = length > 0 && !response.headers.get("content-encoding") ? length : undefined;
  const pieces: Uint8Array<ArrayBuffer>[] = [];
  let received = 0;
  for (const reader = response.body?.getReader(); reader; ) {
    const { done, value } = await reader.read();
    if (done) break;
    pieces.push(value);
    received += value.length;
    progress(received, total);
  }
  return new Uint8Array(await new Blob(pieces).arrayBuffer());
}

/** `a/b.c.param` → `{ stem: "b.c", extension: "param" }`; the extension in lower case. */
export function splitName(name: string): { stem: string; extension: string } {
  const base = name.slice(Math.max(name.lastIndexOf("/"), name.lastIndexOf("\\")) + 1);
  const dot = base.lastIndexOf(".");
  return dot <= 0
    ? { stem: base, extension: "" }
    : { stem: base.slice(0, dot), extension: base.slice(dot + 1).toLowerCase() };
}
