/** Writing to disk: sets of files that appear together or not at all, and nothing left over when that fails. */

import { randomInt } from "node:crypto";
import {
  copyFileSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmdirSync,
  rmSync,
  type Stats,
  statSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expectKind } from "../base/arguments.ts";
import { InputError, NcnnkitError, UsageError } from "../index.ts";
import { sameName } from "../steps.ts";
import { fileError, kindOf, oddity } from "./files.ts";

export type Content = Uint8Array | string;

// Threads of a process, and processes of machines that share a folder, have the same number: each counts from a place of its own.
let serial = randomInt(2 ** 47);
/** A name for what is on its way: hidden, short whatever the final name is, and of this thread of this process alone. */
export const temporaryName = (): string => `.ncnnkit-${process.pid}-${serial++}.part`;

/** Throws UsageError when two of the paths would be one file, on this system or on another. */
export function checkDistinct(files: readonly string[], paths: path.PlatformPath = path): void {
  const seen = new Map<string, string>();
  for (const file of files) {
    const folded = sameName(paths.resolve(file));
    const other = seen.get(folded);
    if (other !== undefined) {
      const why =
        other === file ? "is named for two outputs" : `and ${other} are the same file on many systems`;
      throw new UsageError(`${file} ${why}; name another`);
    }
    seen.set(folded, file);
  }
}

const windowsReserves = /[<>:"|?*]|[. ]$|^(con|prn|aux|nul|com\d|lpt\d)(\.|$)/i;

/** Throws UsageError for a name that Windows takes for a device, a stream of another file, or for another name. */
export function checkName(file: string, platform: NodeJS.Platform = process.platform): void {
  const name = (platform === "win32" ? path.win32 : path.posix).basename(file);
  if (platform === "win32" && windowsReserves.test(name)) {
    throw new UsageError(`${file}: no file can be called ${name} on Windows; choose another name`);
  }
}

/** Folders in the order in which they can be removed. */
export const longestFirst = (folders: Iterable<string>): string[] =>
  [...folders].sort((a, b) => b.length - a.length);

/** Runs a part of a clean-up: whatever goes wrong in it must not hide why it is cleaned up. */
function quietly(run: () => void): void {
  try {
    run();
  } catch {
    // It stays behind, under a name that tells whose it is.
  }
}

/** One file of a set. */
interface Job {
  /** As the caller calls it, for messages. */
  readonly file: string;
  /** Where links lead. */
  readonly target: string;
  readonly temporary: string;
  /** Copy of the file that is replaced, while it may be needed. */
  readonly backup: string;
  state: "staged" | "new" | "replaced";
}

/**
 * Writes files that belong together: all under temporary names first, then renamed in one go, so that a failure or Ctrl-C
 * leaves either the old files or the new ones, never half of one. Links are followed; the folder is made when it is missing.
 * Throws InputError when something cannot be written; nothing new is left behind then.
 */
export async function writeFiles(directory: string, files: Readonly<Record<string, Content>>): Promise<void> {
  expectKind("writeFiles: directory", directory, "a string");
  expectKind("writeFiles: files", files, "files (text or bytes by name)");
  const names = Object.keys(files);
  for (const name of names) {
    if (path.basename(name) === name && name !== "" && name !== "." && name !== "..") continue;
    throw new UsageError(`"${name}" is no name of a file in ${directory}`);
  }
  await writePaths(names.map((name) => [path.join(directory, name), files[name]]));
}

/** The same for files in any folders, as paths with their content. Throws InputError, and UsageError for the same path twice. */
export async function writePaths(
  files: readonly (readonly [file: string, content: Content])[],
): Promise<void> {
  expectKind("writePaths: files", files, "a list of [path, text or bytes]");
  checkDistinct(files.map(([file]) => file));
  for (const [file] of files) checkName(file);
  const created = new Set<string>();
  const jobs: Job[] = [];
  const undo = (): void => {
    for (const job of jobs.toReversed()) quietly(() => takeBack(job));
    for (const folder of longestFirst(created)) removeIfEmpty(folder);
  };
  const interruption = watchInterrupt(undo);
  let at = "";
  try {
    for (const [file, content] of files) {
      at = file;
      for (const folder of makeFolder(path.dirname(file))) created.add(folder);
      const job = jobFor(file);
      jobs.push(job);
      writeFileSync(job.temporary, content);
      await interruption.pass();
    }
    checkDistinct(jobs.map(({ target }) => target)); // links may lead to one place
    const several = jobs.length > 1;
    for (const job of jobs) {
      at = job.file;
      const exists = kindOf(job.target) !== undefined;
      if (exists && several) secondName(job.target, job.backup);
      await renameOver(job.temporary, job.target);
      job.state = exists ? "replaced" : "new";
    }
    for (const { backup } of jobs) quietly(() => rmSync(backup, { force: true }));
  } catch (error) {
    undo();
    throw error instanceof NcnnkitError ? error : fileError("write", at, error);
  } finally {
    interruption.release();
  }
}

function jobFor(file: string): Job {
  const target = followed(file);
  const folder = path.dirname(target);
  const odd = kindOf(target) === undefined ? undefined : oddity(statSync(target));
  if (odd) throw new InputError(`cannot write ${file}: it is ${odd}, not a file`);
  const [temporary, backup] = [path.join(folder, temporaryName()), path.join(folder, temporaryName())];
  return { file, target, temporary, backup, state: "staged" };
}

/** A file under a second name: a link, or a copy where the file system has none. */
function secondName(file: string, name: string): void {
  try {
    linkSync(file, name);
  } catch {
    copyFileSync(file, name);
  }
}

function takeBack({ state, temporary, target, backup }: Job): void {
  rmSync(temporary, { force: true });
  if (state === "new") rmSync(target, { force: true });
  else if (kindOf(backup) === undefined) return;
  else if (state === "replaced") renameSync(backup, target);
  else rmSync(backup, { force: true });
}

/** What is in a place, links not followed; nothing where nothing can be. */
export function entryOf(file: string): Stats | undefined {
  try {
    return lstatSync(file);
  } catch {
    return undefined; // writing there will say why
  }
}

/** Where a path leads in the end, through links, also one to nothing. Throws InputError for links in a circle. */
export function followed(file: string): string {
  let at = path.resolve(file);
  for (let links = 0; links < 40; links++) {
    if (kindOf(at) !== undefined) return realpathSync(at);
    if (!entryOf(at)?.isSymbolicLink()) return at;
    at = path.resolve(path.dirname(at), readlinkSync(at));
  }
  throw new InputError(`cannot write ${file}: its links go in a circle`);
}

/** What Windows says of a file that a reader, an indexer or a virus scanner has open, mostly for a moment. */
const passing: readonly string[] = ["EPERM", "EACCES", "EBUSY"];

/** Runs what may fail because another program has a file open, on Windows again after each of the waits (milliseconds). */
export async function persistently<T>(
  run: () => T,
  platform: NodeJS.Platform = process.platform,
  waits: readonly number[] = [10, 30, 100, 300, 1000],
): Promise<T> {
  for (const wait of platform === "win32" ? waits : []) {
    try {
      return run();
    } catch (error) {
      if (!(error instanceof Error && "code" in error && passing.includes(String(error.code)))) throw error;
    }
    await sleep(wait);
  }
  return run();
}

/** Gives a file the name of another, which it replaces. */
export const renameOver = (from: string, to: string): Promise<void> =>
  persistently(() => renameSync(from, to));

/** Makes a folder and those above it; gives the ones that were new, innermost first. Throws InputError. */
export function makeFolder(directory: string): string[] {
  expectKind("makeFolder: directory", directory, "a string");
  const created: string[] = [];
  for (let folder = followed(directory); kindOf(folder) === undefined; ) {
    created.push(folder);
    if (folder === path.dirname(folder)) break;
    folder = path.dirname(folder);
  }
  // One by one: the recursive way of Node tells a read-only file system as a missing folder, and never ends in /proc.
  for (const folder of created.length ? created.toReversed() : [directory]) {
    try {
      mkdirSync(folder);
    } catch (error) {
      if (kindOf(folder) !== "folder") throw fileError("make the folder", directory, error);
    }
  }
  return created;
}

/** Removes a folder that nobody put anything into in the meantime. */
export function removeIfEmpty(folder: string): void {
  quietly(() => rmdirSync(folder));
}

/** Removes a folder of ours with all that is in it, as far as it goes. */
export function removeFolder(folder: string): void {
  quietly(() => rmSync(folder, { recursive: true, force: true, maxRetries: 3 }));
}

export interface Interruption {
  /** Lets signals through; throws after one, if somebody else keeps the process alive. */
  pass(): Promise<void>;
  release(): void;
}

/** Signals that ask the process to stop. */
export const stopSignals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
/** What is to be undone if the process stops now; many sets may be on their way at once, with one listener for all. */
const onTheirWay = new Set<{ interrupted: boolean; undo: () => void }>();

function undoAll(): void {
  for (const each of onTheirWay) {
    each.interrupted = true;
    each.undo();
  }
}

function onSignal(signal: NodeJS.Signals): void {
  undoAll();
  listen(false);
  process.kill(process.pid, signal);
}

function listen(on: boolean): void {
  const change = on ? "on" : "off";
  for (const signal of stopSignals) process[change](signal, onSignal);
  process[change]("exit", undoAll);
}

/** Runs `undo` if the process is told to stop, or ends, before `release`; a signal then takes its course. */
export function watchInterrupt(undo: () => void): Interruption {
  const mine = { interrupted: false, undo };
  if (onTheirWay.size === 0) listen(true);
  onTheirWay.add(mine);
  const pass = async (): Promise<void> => {
    await new Promise(setImmediate);
    if (mine.interrupted) throw new Error("interrupted");
  };
  const release = (): void => {
    onTheirWay.delete(mine);
    if (onTheirWay.size === 0) listen(false);
  };
  return { pass, release };
}
