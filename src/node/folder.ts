/** Output folders that appear complete or not at all, and that never take anything of the user's with them. */

import { createHash } from "node:crypto";
import { accessSync, constants, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import path from "node:path";
import * as z from "zod/mini";
import { expectKind } from "../base/arguments.ts";
import { InputError, NcnnkitError, UsageError, version } from "../index.ts";
import { fileError, kindOf } from "./files.ts";
import {
  type Content,
  checkDistinct,
  entryOf,
  followed,
  longestFirst,
  makeFolder,
  removeFolder,
  removeIfEmpty,
  renameOver,
  temporaryName,
  watchInterrupt,
} from "./write.ts";

/** The file in an output folder that says what of it is ours: each file with the SHA-256 that it was written with. */
const listName = "ncnnkit-files.json";

const listSchema = z.object({ tool: z.string(), files: z.record(z.string(), z.string()) });

/** Digests by path (with `/`) of what an earlier run wrote; nothing where no list tells. */
type Written = ReadonlyMap<string, string>;

const digestOf = (content: Content): string => createHash("sha256").update(content).digest("hex");

/** Whether a path of a list stays in its folder, on any system. */
export function staysInside(name: string): boolean {
  return name
    .split("/")
    .every((part) => part !== "" && part !== "." && part !== ".." && !/[\\:\0]/.test(part));
}

function readList(folder: string): Written | undefined {
  let text: string;
  try {
    const file = path.join(folder, listName);
    if (!entryOf(file)?.isFile()) return undefined;
    text = readFileSync(file, "utf8");
    const { files } = listSchema.parse(JSON.parse(text));
    const names = Object.keys(files);
    return names.every(staysInside)
      ? new Map([...Object.entries(files), [listName, digestOf(text)]])
      : undefined;
  } catch {
    return undefined;
  }
}

const inside = (folder: string, name: string): string => path.join(folder, ...name.split("/"));

/** Whether a file is there and as it was written; `undefined` where nothing is there. */
function isUnchanged(file: string, digest: string | undefined): boolean | undefined {
  const stats = entryOf(file);
  if (!stats) return undefined;
  return digest !== undefined && stats.isFile() && digestOf(readFileSync(file)) === digest;
}

/**
 * Throws UsageError when `replaceFolder` could not put its result into `directory`: when that is a file, or has something in it
 * and is no earlier result, or an earlier result of which a file was changed since. Throws InputError where nothing can be written.
 */
export function checkReplaceable(directory: string): void {
  expectKind("checkReplaceable: directory", directory, "a string");
  requireName(directory);
  const target = followed(directory);
  const kind = kindOf(target);
  if (kind === "file") throw new UsageError(`${directory} is a file; name a folder to write to`);
  requireWritable(target, directory);
  if (kind === undefined || readdirSync(target).length === 0) return;
  const written = readList(target);
  if (!written) {
    throw new UsageError(
      `${directory} exists and is not an earlier result (it has no ${listName} that can be read); name a new folder, so that nothing is lost`,
    );
  }
  for (const [name, digest] of written) {
    if (isUnchanged(inside(target, name), digest) !== false) continue;
    throw new UsageError(
      `${path.join(directory, name)} was changed since it was written; move it elsewhere or name a new folder, so that nothing is lost`,
    );
  }
}

function requireName(directory: string): void {
  if (directory === "")
    throw new UsageError('the folder to write to has an empty name; "." is the current one');
}

function requireWritable(target: string, directory: string): void {
  let nearest = target;
  while (kindOf(nearest) === undefined && nearest !== path.dirname(nearest)) nearest = path.dirname(nearest);
  if (kindOf(nearest) === "file") throw new UsageError(`${directory}: ${nearest} is a file, not a folder`);
  try {
    accessSync(nearest, constants.W_OK);
  } catch (error) {
    throw fileError("write into", directory, error);
  }
}

/**
 * Puts the files (paths with `/`) into a folder, with a list of them. Files of an earlier result that are as that run wrote them
 * give way; everything else in the folder stays. Where something else has the place of a new file, all goes to a new folder
 * beside it, `NAME-2` and so on. A failure or Ctrl-C leaves what was there before. Gives the folder. Throws InputError.
 */
export async function replaceFolder(
  directory: string,
  files: Readonly<Record<string, Content>>,
): Promise<string> {
  expectKind("replaceFolder: directory", directory, "a string");
  requireName(directory);
  expectKind("replaceFolder: files", files, "files (text or bytes by name)");
  const names = Object.keys(files);
  const wrong = names.find((name) => !staysInside(name) || name === listName);
  if (wrong !== undefined) throw new InputError(`${directory}: "${wrong}" is no name of a file in it`);
  checkDistinct(names);
  const digests = Object.fromEntries(names.map((name) => [name, digestOf(files[name])]));
  const list = `${JSON.stringify({ tool: `ncnnkit ${version}`, files: digests }, null, 2)}\n`;
  const all = { ...files, [listName]: list };
  const target = followed(directory);
  const made = makeFolder(path.dirname(target));
  const exists = kindOf(target) !== undefined;
  const job = new Replacement(target, path.join(exists ? target : path.dirname(target), temporaryName()));
  const undo = (): void => {
    job.takeBack();
    for (const folder of made) removeIfEmpty(folder);
  };
  const interruption = watchInterrupt(undo);
  try {
    for (const [name, content] of Object.entries(all)) {
      job.stageFile(name, content);
      await interruption.pass();
    }
    const taken = exists && job.isTaken(Object.keys(all));
    const place = taken ? freeBeside(target) : target;
    if (exists && !taken) await job.swap(Object.keys(all));
    else await renameOver(job.stage, place);
    return place === target ? directory : place;
  } catch (error) {
    undo();
    throw error instanceof NcnnkitError ? error : fileError("write", directory, error);
  } finally {
    interruption.release();
  }
}

/** `out-2`, or the next that is free. */
function freeBeside(target: string): string {
  for (let i = 2; ; i++) if (!entryOf(`${target}-${i}`)) return `${target}-${i}`;
}

/** New files on their way into a folder, and old ones on their way out. */
class Replacement {
  readonly stage: string;
  private readonly target: string;
  private readonly written: Written;
  private readonly old: string;
  /** What was renamed, last first: undone in this order. */
  private readonly moves: { from: string; to: string }[] = [];
  /** Folders that were made for new files. */
  private readonly made = new Set<string>();

  constructor(target: string, stage: string) {
    this.target = target;
    this.stage = stage;
    this.old = path.join(target, temporaryName());
    this.written = readList(target) ?? new Map();
  }

  stageFile(name: string, content: Content): void {
    const file = inside(this.stage, name);
    makeFolder(path.dirname(file));
    writeFileSync(file, content);
  }

  /** Whether something that is not ours is where one of these is to be, or a link or file where one of their folders is. */
  isTaken(names: readonly string[]): boolean {
    return names.some((name) => {
      const parts = name.split("/");
      const folders = parts.slice(1).map((_, i) => path.join(this.target, ...parts.slice(0, i + 1)));
      const blocked = folders.some((folder) => entryOf(folder)?.isDirectory() === false);
      return blocked || isUnchanged(inside(this.target, name), this.written.get(name)) === false;
    });
  }

  async swap(names: readonly string[]): Promise<void> {
    const leaving = [...this.written].filter(([name, digest]) =>
      isUnchanged(inside(this.target, name), digest),
    );
    for (const [name] of leaving) await this.move(inside(this.target, name), inside(this.old, name));
    for (const name of names) await this.move(inside(this.stage, name), inside(this.target, name));
    this.moves.length = 0; // from here on nothing is taken back
    removeFolder(this.old);
    removeFolder(this.stage);
    const folders = new Set(leaving.flatMap(([name]) => foldersOf(name)));
    for (const folder of longestFirst(folders)) removeIfEmpty(inside(this.target, folder));
  }

  private async move(from: string, to: string): Promise<void> {
    for (const folder of makeFolder(path.dirname(to))) this.made.add(folder);
    await renameOver(from, to);
    this.moves.unshift({ from, to });
  }

  takeBack(): void {
    for (const { from, to } of this.moves.splice(0)) {
      try {
        renameSync(to, from);
      } catch {
        return; // what is in the old folder must not be removed then
      }
    }
    removeFolder(this.stage);
    removeFolder(this.old);
    for (const folder of longestFirst(this.made)) removeIfEmpty(folder);
  }
}

/** `a/b/c.txt` → `a`, `a/b`. */
function foldersOf(name: string): string[] {
  const parts = name.split("/").slice(0, -1);
  return parts.map((_, i) => parts.slice(0, i + 1).join("/"));
}
