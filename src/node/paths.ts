/** Names of pictures as people give them: files, folders and patterns. */

import { readdirSync } from "node:fs";
import path from "node:path";
import { expectKind } from "../base/arguments.ts";
import { InputError, UsageError } from "../index.ts";
import { fileError, kindOf } from "./files.ts";

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
 * Throws InputError for an empty folder or a pattern without match.
 */
export function expandPaths(arguments_: readonly string[], extensions: readonly string[]): FoundFile[] {
  expectKind("expandPaths: arguments", arguments_, "a list of strings");
  expectKind("expandPaths: extensions", extensions, "a list of strings");
  const seen = new Set<string>();
  return arguments_
    .flatMap((argument) => expandOne(argument, extensions))
    .filter((file) => {
      const absolute = path.resolve(file.path);
      return !seen.has(absolute) && seen.add(absolute);
    });
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
  if (kind === "file" || !/[*?[{]/.test(argument)) return [{ path: argument, name: path.basename(argument) }];
  return matchPattern(argument);
}

function matchPattern(pattern: string): FoundFile[] {
  const slashed = pattern.replaceAll("\\", path.sep === "\\" ? "/" : "\\");
  const fixed = slashed.split("/");
  const firstWild = fixed.findIndex((part) => /[*?[{]/.test(part));
  const base = fixed.slice(0, firstWild).join("/") || (slashed.startsWith("/") ? "/" : ".");
  const rest = fixed.slice(firstWild).join("/");
  const expression = globExpression(rest);
  const deep = rest.includes("/");
  const names = kindOf(base) === "folder" ? filesBelow(base, deep) : [];
  const found = names.filter((name) => expression.test(name.replaceAll(path.sep, "/")));
  if (!found.length) throw new InputError(`${pattern}: no file matches this pattern`);
  return found.map((name) => ({ path: path.join(base, name), name }));
}

/** Names of all files below a folder, sorted, hidden ones left out. */
function filesBelow(folder: string, deep = true): string[] {
  const names: string[] = [];
  const visit = (below: string): void => {
    let entries: ReturnType<typeof readEntries>;
    try {
      entries = readEntries(path.join(folder, below));
    } catch (error) {
      throw fileError("list", path.join(folder, below), error);
    }
    for (const entry of entries) {
      if (entry.name.startsWith(".")) continue;
      const name = path.join(below, entry.name);
      const kind = entry.isSymbolicLink() ? kindOf(path.join(folder, name)) : undefined;
      if (entry.isFile() || kind === "file") names.push(name);
      else if (entry.isDirectory() && deep) visit(name); // links to folders are not followed: they may go in circles
    }
  };
  visit("");
  return names.sort();
}

const readEntries = (folder: string) => readdirSync(folder, { withFileTypes: true });

/** A pattern of `*`, `**`, `?`, `[abc]`, `[!abc]` and `{a,b}` as a regular expression over `/`-separated names. */
export function globExpression(pattern: string): RegExp {
  let out = "";
  let depth = 0;
  for (let i = 0; i < pattern.length; i++) {
    const char = pattern[i];
    if (pattern.startsWith("**/", i)) {
      out += "(?:[^/]+/)*";
      i += 2;
    } else if (pattern.startsWith("**", i)) {
      out += ".*";
      i += 1;
    } else if (char === "*") out += "[^/]*";
    else if (char === "?") out += "[^/]";
    else if (char === "[" && pattern.indexOf("]", i + 2) > 0) {
      const end = pattern.indexOf("]", i + 2);
      const set = pattern.slice(i + 1, end).replaceAll("\\", "\\\\");
      out += `[${set.startsWith("!") ? `^${set.slice(1)}` : set}]`;
      i = end;
    } else if (char === "{") {
      depth++;
      out += "(?:";
    } else if (char === "}" && depth) {
      depth--;
      out += ")";
    } else if (char === "," && depth) out += "|";
    else out += char.replace(/[.+^${}()|[\]\\]/g, "\\$&");
  }
  try {
    return new RegExp(`^${out}${")".repeat(depth)}$`);
  } catch (error) {
    throw new UsageError(`${pattern}: not a pattern that can be understood`, { cause: error });
  }
}
