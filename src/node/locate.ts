/** Where a model is: a path on disk, a name of the registry, or a web address, as a folder of files and the one to begin with. */
import path from "node:path";
import { isCalled } from "../base/arguments.ts";
import { InputError } from "../index.ts";
import { mainFile } from "../open/formats.ts";
import { locateUrl } from "../open/load.ts";
import { knownNames, registryEntry } from "../open/registry.ts";
import type { Folder } from "../open/source.ts";
import { diskFolder, kindOf } from "./files.ts";
import { localPath } from "./local.ts";
import { namedFolder, type PullOptions } from "./pull.ts";

/** Whether a source is a path or a name, and no web address. */
export function isOnDisk(source: unknown): source is string | URL {
  return typeof source === "string"
    ? !/^https?:\/\//.test(source)
    : isCalled(source, "URL") && (source as URL).protocol === "file:";
}

/**
 * The folder and the file of a model. A path comes before a name: what lies in the current folder cannot be hidden by a new entry of the
 * registry. Throws InputError where there is nothing.
 */
export async function locate(
  given: string | URL,
  options: PullOptions,
): Promise<{ folder: Folder; name: string }> {
  if (!isOnDisk(given)) return locateUrl(given, options.onDownload);
  const source = localPath(given);
  const kind = kindOf(source);
  if (kind === undefined && /^[a-z0-9-]+$/i.test(source)) {
    const entry = registryEntry(source);
    if (entry) return namedFolder(entry, options);
    throw new InputError(
      `${source}: there is no such file or folder, and no model of this name; ${knownNames()}`,
    );
  }
  const directory = kind === "folder" ? source : path.dirname(source);
  const folder = diskFolder(directory);
  const isFolder = kind === "folder";
  const name = isFolder ? await mainFile(folder, path.basename(path.resolve(source))) : path.basename(source);
  return { folder, name };
}
