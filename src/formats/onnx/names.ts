/**
 * Class names as tools write them into `names` of the metadata: a Python dict or list (`str()` of one, as Ultralytics has it), or
 * JSON.
 */

import { quote } from "../../base/text.ts";

export interface Names {
  /** By class number; absent when the text cannot be read. */
  readonly labels?: string[];
  /** What is odd about the text and should be known. */
  readonly problem?: string;
}

/** Never an error: a text that cannot be read is a problem that is told. */
export function parseNames(text: string | undefined): Names {
  if (text === undefined) return {};
  const quoted = quote(text);
  const unread = { problem: `the names in the metadata cannot be read: ${quoted}` };
  if (text.length > 2 ** 20) return unread;
  const entries = parseJsonNames(text) ?? new PythonText(text).entries();
  if (!entries?.length) return unread;
  if (entries.every(([key]) => key === undefined)) return { labels: entries.map(([, name]) => name) };
  const numbered = entries.map(([key, name]): [number, string] => [Number(key), name]);
  numbered.sort((a, b) => a[0] - b[0]);
  const labels = numbered.map(([, name]) => name);
  const [[first]] = numbered;
  const isRun = numbered.every(([key], i) => key === first + i);
  if (!isRun || first < 0 || first > 1) {
    return {
      problem: `the names in the metadata are not numbered 0, 1, 2, …, so they are not used: ${quoted}`,
    };
  }
  if (first === 0) return { labels };
  return {
    labels,
    problem: `the names in the metadata are numbered 1 to ${labels.length}; they are taken in this order for the classes 0 to ${labels.length - 1}`,
  };
}

/** Keys are absent in a list. */
type Entry = readonly [key: string | undefined, name: string];

function parseJsonNames(text: string): Entry[] | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null) return undefined;
  const entries = Array.isArray(value)
    ? value.map((name): [undefined, unknown] => [undefined, name])
    : Object.entries(value);
  const isPlain = (name: unknown): boolean => ["string", "number", "boolean"].includes(typeof name);
  if (!entries.every(([key, name]) => isPlain(name) && (key === undefined || /^\d+$/.test(key))))
    return undefined;
  return entries.map(([key, name]) => [key, String(name)]);
}

const escapes: Record<string, string> = {
  "\\": "\\",
  "'": "'",
  '"': '"',
  "\n": "",
  a: "\x07",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
  v: "\v",
};

/** A Python dict with whole numbers as keys, or a list or tuple, of strings, numbers and truth values. */
class PythonText {
  private at = 0;
  private readonly text: string;

  constructor(text: string) {
    this.text = text.trim();
  }

  entries(): Entry[] | undefined {
    const open = this.text[this.at++];
    const close = { "{": "}", "[": "]", "(": ")" }[open];
    if (!close) return undefined;
    const entries: Entry[] = [];
    while (!this.take(/\s*/y, close)) {
      if (entries.length && !this.match(/\s*,/y)) return undefined;
      if (this.take(/\s*/y, close)) break;
      const entry = this.entry(open === "{");
      if (!entry) return undefined;
      entries.push(entry);
    }
    return this.at === this.text.length ? entries : undefined;
  }

  private entry(isDict: boolean): Entry | undefined {
    const key = isDict ? this.match(/\s*(["']?)(\d+)\1\s*:/y)?.[2] : undefined;
    if (isDict && key === undefined) return undefined;
    const name = this.value();
    return name === undefined ? undefined : [key, name];
  }

  private value(): string | undefined {
    const plain = this.match(/\s*(-?\d+(?:\.\d+)?(?:e[-+]?\d+)?|True|False)(?=\s*[,}\])])/y);
    if (plain) return plain[1];
    // One character class per repetition, so that no text takes more than one pass.
    const text = this.match(/\s*([uUrR]?)(?:"((?:[^"\\]|\\[\s\S])*)"|'((?:[^'\\]|\\[\s\S])*)')/y);
    if (!text) return undefined;
    const body = text[2] ?? text[3];
    return /r/i.test(text[1]) ? body : unescapePython(body);
  }

  private match(pattern: RegExp): RegExpExecArray | undefined {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text) ?? undefined;
    if (found) this.at = pattern.lastIndex;
    return found;
  }

  private take(space: RegExp, character: string): boolean {
    this.match(space);
    if (this.text[this.at] !== character) return false;
    this.at++;
    return true;
  }
}

/** As Python reads a string literal: escapes that mean nothing keep their backslash. */
function unescapePython(body: string): string {
  return body.replace(
    /\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{1,3})|([\s\S]))/g,
    (all, x, u, long, octal, simple) => {
      if (simple !== undefined) return Object.hasOwn(escapes, simple) ? escapes[simple] : all;
      const code = octal === undefined ? Number.parseInt(x ?? u ?? long, 16) : Number.parseInt(octal, 8);
      return code <= 0x10ffff ? String.fromCodePoint(code) : all;
    },
  );
}
