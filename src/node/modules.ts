/** Modules made of models, on disk: the next process that loads the same model starts faster. */
import { hash } from "node:crypto";
import { readFileSync, statSync, utimesSync } from "node:fs";
import { mkdir, readdir, rename, rm, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { expectKind } from "../base/arguments.ts";
import { type ModuleStore, version } from "../index.ts";
import { cacheFolder } from "./cache.ts";

export interface ModuleFolderOptions {
  /** Bytes that may be kept; the entries that were not used for longest go first. Default 256 MiB. */
  most?: number;
}

const suffix = ".module";
const keys = /^[0-9a-f]{64}$/;

/**
 * A folder for `load(…, { modules })`; default `modules` beside the downloaded models (`modelCache`). Entries are named by a SHA-256 of the
 * weights and everything else that they follow from, carry one of their content, and are made anew where that is wrong. Whoever may write
 * there decides what is computed: leave it to yourself.
 */
export function moduleFolder(
  folder: string = cacheFolder("modules"),
  options: ModuleFolderOptions = {},
): ModuleStore {
  expectKind("moduleFolder: folder", folder, "a string");
  expectKind("moduleFolder: options", options, "an object of options");
  const { most = 256 * 2 ** 20 } = options;
  const fileOf = (key: string): string => {
    if (!keys.test(key)) throw new Error(`${key} is no key of a module`);
    return path.join(folder, key + suffix);
  };
  return {
    maker: `${version} ${build()}`,
    most,
    digest: (bytes) => hash("sha256", bytes),
    read: async (key) => {
      const file = fileOf(key);
      const bytes = readIfThere(file);
      const now = new Date();
      if (bytes) utimesSync(file, now, now);
      return bytes;
    },
    write: async (key, bytes) => {
      if (bytes.length > most) return;
      await mkdir(folder, { recursive: true, mode: 0o700 });
      const file = fileOf(key);
      const temporary = `${file}.${process.pid}.${Math.random().toString(36).slice(2)}`;
      try {
        await writeFile(temporary, bytes, { mode: 0o600 });
        await rename(temporary, file);
      } catch (error) {
        await rm(temporary, { force: true });
        throw error;
      }
      await prune(folder, most);
    },
  };
}

let known: number | undefined;

/**
 * A build from source has the version of the last release, and its files are written anew. Sources that run as they are may change at any
 * time: they find what the same process made.
 */
function build(): number {
  const file = fileURLToPath(import.meta.url);
  known ??= file.endsWith(".ts") ? Math.random() : statSync(file).mtimeMs;
  return known;
}

function readIfThere(file: string): Uint8Array | undefined {
  try {
    return readFileSync(file);
  } catch {
    return undefined;
  }
}

/** Leftovers of processes that died while they wrote are a day old. */
const stale = 24 * 3600 * 1000;

async function prune(folder: string, most: number): Promise<void> {
  const names = await readdir(folder);
  const entries = await Promise.all(
    names
      .filter((name) => name.includes(suffix))
      .map(async (name) => {
        const file = path.join(folder, name);
        const { size, mtimeMs } = await stat(file).catch(() => ({ size: 0, mtimeMs: 0 }));
        return { file, size, mtimeMs, isWhole: name.endsWith(suffix) };
      }),
  );
  entries.sort((a, b) => b.mtimeMs - a.mtimeMs);
  let kept = 0;
  for (const { file, size, mtimeMs, isWhole } of entries) {
    kept += size;
    const isOver = kept > most || (!isWhole && Date.now() - mtimeMs > stale);
    if (isOver) await rm(file, { force: true });
  }
}
