/** Names of pictures as people give them: files, folders and patterns. */
import { type Dirent, readdirSync, realpathSync } from "node:fs";
import path from "node:path";
import vm from "node:vm";
import picomatch from "picomatch";
import { expectKind } from "../base/arguments.ts";
import { InputError, UsageError } from "../index.ts";
import { isAddress } from "./addresses.ts";
import { fileError, kindOf } from "./files.ts";
import { localPath, slashed } from "./local.ts";

export interface FoundFile {
  /** Path to open. */
  path: string;
  /** Path below the folder or pattern that it was found by: its name in an output folder. */
  name: string;
}

/**
 * The files meant by `arguments_`, each once, in the order given and sorted within a folder or pattern. A folder stands for
 * all files in it and below with one of the `extensions`; `*`, `?`, `**`, `[abc]` and `{a,b}` are patterns, unless a file
 * of that very name exists. A plain name stays as it is, there or not: opening it says what is wrong.
 * Throws InputError for an empty folder or a pattern without match, UsageError for a pattern that takes too long.
 */
export function expandPaths(arguments_: readonly string[], extensions: readonly string[]): FoundFile[] {
  expectKind("expandPaths: arguments", arguments_, "a list of strings");
  expectKind("expandPaths: extensions", extensions, "a list of strings");
  const seen = new Set<string>();
  return arguments_
    .flatMap((argument) =>
      isAddress(argument) ? [addressed(argument)] : expandOne(localPath(argument), extensions),
    )
    .map((file) => ({
      path: isAddress(file.path) ? file.path : slashed(file.path),
      name: slashed(file.name),
    }))
    .filter((file) => {
      const absolute = isAddress(file.path) ? file.path : path.resolve(file.path);
      return !seen.has(absolute) && seen.add(absolute);
    });
}

/** Pictures by address are not looked for: fetching them says what is wrong. */
function addressed(address: string): FoundFile {
  const name = address.replace(/^\w+:\/\//, "").replace(/[?#].*$/, "");
  return { path: address, name: name.split("/").at(-1) || name };
}

function expandOne(argument: string, extensions: readonly string[]): FoundFile[] {
  const kind = kindOf(argument);
  if (kind === "folder") {
    const found = filesBelow(argument).filter((name) =>
      extensions.includes(path.extname(name).slice(1).toLowerCase()),
    );
    if (!found.length) {
      throw new InputError(
        `${argument}: no pictures in this folder; expected files with ${extensions.map((ext) => `.${ext}`).join(", ")}`,
      );
    }
    return found.map((name) => ({ path: path.join(argument, name), name }));
  }
  if (kind === "file" || !isPattern(argument)) return [{ path: argument, name: path.basename(argument) }];
  return matchPattern(argument);
}

const isPattern = (name: string): boolean => /[*?[{]/.test(name);

/** The folder that a pattern looks in and what it wants there, `/` between; the whole name where it is no pattern. */
export function patternBase(pattern: string): { base: string; rest: string } {
  // A backslash takes the meaning off the next character, except where it separates folders.
  const slashed = path.sep === "\\" ? pattern.replaceAll("\\", "/") : pattern;
  const parts = slashed.split("/");
  const wild = parts.findIndex(isPattern);
  if (wild < 0) return { base: pattern, rest: "" };
  const base = parts.slice(0, wild).join("/") || (slashed.startsWith("/") ? "/" : ".");
  return { base, rest: parts.slice(wild).join("/") };
}

function matchPattern(pattern: string): FoundFile[] {
  const { base, rest } = patternBase(pattern);
  const names = kindOf(base) === "folder" ? filesBelow(base, rest.includes("/")) : [];
  const found = matching(names, rest);
  if (!found.length) throw new InputError(`${pattern}: no file matches this pattern`);
  return found.map((name) => ({ path: path.join(base, name), name }));
}

/** Milliseconds that matching may take, apart from listing the folder. */
const patternTime = 1000;

/**
 * Those of the `names` that a pattern of `*`, `**`, `?`, `[abc]`, `[!abc]` and `{a,b}` means; other characters stand for
 * themselves. Patterns come with foreign datasets, and `*a*a*a*…` can take years: V8 stops the matching after a second, and
 * that is a UsageError.
 */
export function matching(names: readonly string[], pattern: string): string[] {
  const run = (): string[] => {
    const isMatch = picomatch(pattern.replaceAll(/[()|+]/g, "\\$&"), {
      ...{ nonegate: true, noextglob: true, strictSlashes: true, posix: true, literalBrackets: false },
      nocase: process.platform === "win32",
      expandRange: (from: string, to: string) => {
        throw new RangeError(`ranges such as {${from}..${to}} are not known, write {a,b}`);
      },
    });
    return names.filter((name) => isMatch(name.replaceAll(path.sep, "/")));
  };
  try {
    // The time limit holds for whatever is called from the script.
    return vm.runInNewContext("run()", { run }, { timeout: patternTime }) as string[];
  } catch (error) {
    const tooSlow =
      error instanceof Error && "code" in error && error.code === "ERR_SCRIPT_EXECUTION_TIMEOUT";
    const reason = tooSlow
      ? "takes too long to match; use fewer * and {}"
      : `is no pattern that can be understood: ${error instanceof Error ? error.message.slice(0, 200) : error}`;
    throw new UsageError(`${pattern.slice(0, 200)}: ${reason}`, { cause: error });
  }
}

/** Deeper folders are a mistake, or made to annoy. */
const maxDepth = 64;

/**
 * Names of all files below a folder, sorted, hidden ones left out. Links are followed; a folder that can be reached in several
 * ways is looked into once, by the way without links where there is one, so that links in circles end.
 */
function filesBelow(folder: string, deep = true): string[] {
  const names: string[] = [];
  const links: string[] = [];
  const seen = new Set<string>();
  const visit = (below: string, depth: number): void => {
    const at = path.join(folder, below);
    if (depth > maxDepth) throw new InputError(`${at}: more than ${maxDepth} folders in each other`);
    const { real, entries } = listEntries(at);
    if (seen.has(real)) return;
    seen.add(real);
    for (const entry of entries) {
      if (entry.name.startsWith(".")) continue;
      const name = path.join(below, entry.name);
      const kind = entry.isSymbolicLink() ? kindOf(path.join(folder, name)) : undefined;
      if (entry.isFile() || kind === "file") names.push(name);
      else if (kind === "folder" && deep) links.push(name);
      else if (entry.isDirectory() && deep) visit(name, depth + 1);
    }
  };
  visit("", 0);
  for (const name of links) visit(name, name.split(path.sep).length); // grows while links are found behind links
  return names.sort();
}

function listEntries(folder: string): { real: string; entries: Dirent[] } {
  try {
    const entries = readdirSync(folder, { withFileTypes: true });
    return { real: realpathSync(folder), entries: entries.sort((a, b) => (a.name < b.name ? -1 : 1)) };
  } catch (error) {
    throw fileError("list", folder, error);
  }
}
