/** Models by name: found in the package, a folder of the user or the cache, or else downloaded into the cache. */

import { accessSync, constants } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { expectKind } from "../base/arguments.ts";
import { counted } from "../base/text.ts";
import { InputError } from "../index.ts";
import { sha256 } from "../open/format.ts";
import type { FetchOptions } from "../open/load.ts";
import { type RegistryEntry, type RegistryFile, requireEntry } from "../open/registry.ts";
import type { Folder } from "../open/source.ts";
import { withContext } from "../steps.ts";
import { modelCache } from "./cache.ts";
import { type DownloadOptions, download } from "./download.ts";
import { diskFolder, fileError, kindOf, readBytes } from "./files.ts";
import { makeFolder, writeFiles } from "./write.ts";

/** Where models by name are kept and fetched from. */
export interface PullOptions extends FetchOptions {
  /** Nothing is downloaded: a model that is not on this machine is an error. Default false. */
  offline?: boolean;
  /** Told the licence before a download, and why something takes longer. A sentence each. */
  onNotice?: (message: string) => void;
  signal?: AbortSignal;
}

/** A file of a pulled model. */
export interface PulledFile {
  readonly name: string;
  readonly path: string;
  readonly bytes: number;
  readonly sha256: string;
  readonly origin: "package" | "offline folder" | "cache" | "download";
}

/** What `pullModel` brought. */
export interface PulledModel {
  readonly entry: RegistryEntry;
  /** The file to open first. */
  readonly files: readonly PulledFile[];
}

/** What pulling depends on besides the entry. */
export interface Place {
  /** Folder for downloads. */
  readonly cache: string;
  /** Folder that is searched first. */
  readonly offlineFolder?: string;
  /** Root of the package. */
  readonly packageRoot: string;
  readonly network?: Pick<DownloadOptions, "fetch" | "waits" | "patience">;
  readonly write: typeof writeFiles;
}

type Found = PulledFile & { readonly content: Uint8Array };

export function placeOf(environment: Readonly<Record<string, string | undefined>> = process.env): Place {
  return {
    cache: modelCache(environment),
    offlineFolder: environment.NCNNKIT_MODELS || undefined,
    packageRoot: fileURLToPath(new URL("../..", import.meta.url)), // the same from src/node and dist/node
    write: writeFiles,
  };
}

/**
 * Makes sure that the model of this name is on this machine, and says where. Every file is checked against the registry's sha256,
 * also one that was there already; only a built-in model is taken as the package has it. Throws UsageError for an unknown
 * name, and InputError that says what to put where when a file cannot be had.
 */
export async function pullModel(name: string, options: PullOptions = {}): Promise<PulledModel> {
  expectKind("pullModel: name", name, "a string");
  expectKind("pullModel: options", options, "an object of options");
  const entry = requireEntry(name);
  const files = await obtain(entry, options);
  return { entry, files: files.map(({ content: _, ...file }) => file) };
}

/** Whether the model of this entry can be had without a network; contents are not looked at. */
export function isHere(entry: RegistryEntry, place: Place = placeOf()): boolean {
  expectKind("isHere: entry", entry, "an object");
  expectKind("isHere: place", place, "an object");
  expectKind("isHere: entry.files", entry.files, "a list");
  const { cache, offlineFolder } = place;
  const folders = offlineFolder === undefined ? [cache] : [offlineFolder, cache];
  return entry.files.every(({ name }) =>
    folders.some((folder) => kindOf(path.join(folder, name)) === "file"),
  );
}

/**
 * The model as a folder that holds the entry's files and nothing else, and the file to begin with: what is read is what was
 * checked, and no neighbour in the cache gets mixed in.
 */
export async function namedFolder(
  entry: RegistryEntry,
  options: PullOptions = {},
  place: Place = placeOf(),
): Promise<{ folder: Folder; name: string }> {
  if (entry.builtIn !== undefined) {
    const file = path.join(place.packageRoot, entry.builtIn);
    return { folder: diskFolder(path.dirname(file)), name: path.basename(file) };
  }
  const found = new Map((await obtain(entry, options, place)).map((file) => [file.name, file]));
  const folder: Folder = {
    read: async (name) => found.get(name)?.content,
    describe: (name) => found.get(name)?.path ?? name,
    list: async () => [...found.keys()],
  };
  return { folder, name: entry.files[0].name };
}

/** All files of the entry with their content, the one to open first. Throws as `pullModel`. */
export async function obtain(
  entry: RegistryEntry,
  options: PullOptions = {},
  place: Place = placeOf(),
): Promise<Found[]> {
  if (entry.builtIn !== undefined) return [await packaged(entry.builtIn, place)];
  if (place.offlineFolder !== undefined && kindOf(place.offlineFolder) !== "folder") {
    throw new InputError(`NCNNKIT_MODELS is ${place.offlineFolder}, which is no folder`);
  }
  const here = new Map<string, Found>();
  for (const file of entry.files) {
    const found = (await inOfflineFolder(file, place)) ?? (await inCache(file, options, place));
    if (found) here.set(file.name, found);
  }
  const missing = entry.files.filter(({ name }) => !here.has(name));
  if (missing.length) {
    for (const found of await fetchMissing(entry, missing, options, place)) here.set(found.name, found);
  }
  return entry.files.flatMap(({ name }) => here.get(name) ?? []);
}

async function packaged(file: string, { packageRoot }: Place): Promise<Found> {
  const where = path.join(packageRoot, file);
  const content = await readBytes(where);
  return { ...found(path.basename(file), where, content, (await sha256(content)) ?? "", "package"), content };
}

function found(
  name: string,
  where: string,
  content: Uint8Array,
  digest: string,
  origin: PulledFile["origin"],
): Found {
  return { name, path: where, bytes: content.length, sha256: digest, origin, content };
}

async function inOfflineFolder(file: RegistryFile, { offlineFolder }: Place): Promise<Found | undefined> {
  if (offlineFolder === undefined) return undefined;
  const where = path.join(offlineFolder, file.name);
  if (kindOf(where) !== "file") return undefined;
  const content = await readBytes(where);
  const digest = await sha256(content);
  if (digest === file.sha256) return found(file.name, where, content, digest, "offline folder");
  throw new InputError(
    `${where} is not the file of this name that the registry means: sha256 ${digest}, expected ${file.sha256}; replace or remove it (NCNNKIT_MODELS names its folder)`,
  );
}

async function inCache(
  file: RegistryFile,
  { offline, onNotice }: PullOptions,
  { cache }: Place,
): Promise<Found | undefined> {
  const where = path.join(cache, file.name);
  if (kindOf(where) !== "file") return undefined;
  const content = await readBytes(where);
  const digest = await sha256(content);
  if (digest === file.sha256) return found(file.name, where, content, digest, "cache");
  const problem = `${where} is damaged or of another version: sha256 ${digest}, expected ${file.sha256}`;
  if (offline) throw new InputError(`${problem}; it cannot be fetched anew offline`);
  onNotice?.(`${problem}; fetching it anew`);
  return undefined;
}

async function fetchMissing(
  entry: RegistryEntry,
  missing: readonly RegistryFile[],
  options: PullOptions,
  place: Place,
): Promise<Found[]> {
  const { cache } = place;
  if (options.offline) {
    throw new InputError(
      `${entry.name} is not on this machine, and nothing is fetched offline. ${byHand(missing, cache)}`,
    );
  }
  const all: Found[] = [];
  try {
    checkWritable(cache);
    const note = entry.licenceNote ? ` (${entry.licenceNote})` : "";
    options.onNotice?.(`${entry.name} is published under ${entry.licence}${note}: ${entry.homepage}`);
    for (const file of missing) all.push(await fetchOne(file, options, place));
    return all;
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    const left = missing.filter(({ name }) => !all.some((file) => file.name === name));
    throw new InputError(`${error.message}. ${byHand(left, cache)}`, { cause: error });
  }
}

/** What a person without network can do. */
function byHand(files: readonly RegistryFile[], cache: string): string {
  const these = files.length === 1 ? "this file" : `these ${counted(files.length, "file")}`;
  const list = files.map(({ url }) => `\n  ${url}`).join("");
  return `Put ${these} into ${cache} (NCNNKIT_CACHE names another place), or into a folder that NCNNKIT_MODELS names:${list}`;
}

async function fetchOne(file: RegistryFile, options: PullOptions, place: Place): Promise<Found> {
  const { onDownload, onNotice, signal } = options;
  const { url, bytes: total, name } = file;
  const content = await download(file, {
    ...place.network,
    onProgress: (received) => onDownload?.({ url, received, total }),
    onNotice,
    signal,
  });
  signal?.throwIfAborted();
  const where = path.join(place.cache, name);
  try {
    await place.write(place.cache, { [name]: content });
  } catch (error) {
    // Another process may have been faster, and Windows does not replace a file that is being read.
    const other = await inCache(file, { onNotice: undefined }, place).catch(() => undefined);
    if (!other) throw withContext(url, error);
  }
  return found(name, where, content, file.sha256, "download");
}

/** Says before the download that its result could not be kept. */
function checkWritable(cache: string): void {
  makeFolder(cache);
  try {
    accessSync(cache, constants.W_OK);
  } catch (error) {
    throw fileError("write into", cache, error);
  }
}
