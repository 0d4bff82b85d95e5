/** Text files that list other files, one a line, as people and their tools write them. */
import path from "node:path";
import { expectKind } from "../base/arguments.ts";
import { InputError } from "../index.ts";
import { kindOf, readBytes } from "./files.ts";

export interface ListOptions {
  /** Names count from the current folder, and only then from the list's, as the official tools have it. Default false. */
  currentFirst?: boolean;
}

/**
 * The files of a list, in its order. A line is a path, relative to the list or to the current folder; also in quotes, with
 * backslashes, or with something behind it (`a.jpg 3`, as the lists of classifiers have it). Of these the first reading that
 * exists is taken; where none does, the plain one stays, and opening it says so. The text is UTF-8, GBK, or UTF-16
 * with its mark. Throws InputError for a list that cannot be read or is empty.
 */
export async function readList(list: string, options: ListOptions = {}): Promise<string[]> {
  expectKind("readList: list", list, "a string");
  const texts = decodings(await readBytes(list, "text")).map((text) => text.split(/\r\n|\r|\n/));
  const lines = texts[0].map((_, i) => texts.map((text) => text[i]?.trim() ?? ""));
  const folders = [path.dirname(list), "."];
  if (options.currentFirst) folders.reverse();
  const files = lines.flatMap((line) => {
    if (line[0] === "") return [];
    const file = found(line, folders);
    return file !== undefined ? [file] : line[0].startsWith("#") ? [] : [line[0]];
  });
  if (!files.length) throw new InputError(`${list}: the list is empty; expected a path a line`);
  return files;
}

/** The files of several lists that go in step, a list an input: all are equally long. Throws InputError. */
export async function readListsInStep(
  lists: readonly string[],
  options: ListOptions = {},
): Promise<string[][]> {
  const files = await Promise.all(lists.map((list) => readList(list, options)));
  const uneven = files.findIndex((each) => each.length !== files[0].length);
  if (uneven < 0) return files;
  throw new InputError(
    `${lists[uneven]} has ${files[uneven].length} files, ${lists[0]} has ${files[0].length}; inputs go in step`,
  );
}

/** `line` in each decoding. */
function found(line: readonly string[], folders: readonly string[]): string | undefined {
  for (const name of new Set(line.flatMap(readings))) {
    const candidates = folders.map((folder) => (folder === "." ? name : path.resolve(folder, name)));
    const hit = candidates.find((each) => kindOf(each) === "file");
    if (hit !== undefined) return hit;
  }
  return undefined;
}

/** What a line may mean, the likeliest first. */
function readings(line: string): string[] {
  const quoted = /^(["'])(.+?)\1/.exec(line)?.[2];
  // The shortest beginning that ends in an extension is the path; what is left is a label.
  const labelled = /^(.*?\.[a-z0-9]{2,5})[\s,;]/i.exec(line)?.[1];
  const words = [line, quoted, labelled, line.split(/\s/)[0]].filter((word) => word !== undefined);
  const all = words.flatMap((word) => [word, word.replaceAll("\\", "/")]);
  return [...new Set(all)];
}

/**
 * What the bytes may say, the likeliest first. GBK, which Chinese editions of Windows write, can look like UTF-8 (their word
 * for pictures does), so which it is shows when the files are looked for.
 */
function decodings(bytes: Uint8Array): string[] {
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return [new TextDecoder("utf-16le").decode(bytes)];
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return [new TextDecoder("utf-16be").decode(bytes)];
  const likely = new TextDecoder().decode(bytes);
  if (bytes.every((byte) => byte < 128)) return [likely];
  const gbk = new TextDecoder("gbk").decode(bytes);
  return likely.includes("\ufffd") ? [gbk, likely] : [likely, gbk];
}
