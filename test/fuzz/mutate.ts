/** Seeded ways to damage bytes and text of any kind. Every function leaves its argument as it is. */
import type { Random } from "../../src/base/random.ts";

/** Numbers at which readers go wrong: limits of types, signs, ncnn's markers, sizes that memory cannot hold. */
export const nastyNumbers: readonly number[] = [
  ...[-(2 ** 63), -(2 ** 31), -23310, -23300, -233, -2, -1, 0, 1, 2, 3, 4, 5, 7, 16, 100, 1000, 65535, 65536],
  ...[2 ** 24, 2 ** 30, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, 2 ** 40, 2 ** 53, 2 ** 62],
];

/** The same and worse, as text says them. */
const nastyWords: readonly string[] = [
  ...["-1", "0", "-0", "1", "2", "0.5", "-233", "-23300", "2147483647", "2147483648", "-2147483649"],
  ...[
    "4294967295",
    "1e38",
    "1e39",
    "1e-46",
    "1e999",
    "nan",
    "inf",
    "-inf",
    "0x10",
    "1.5",
    "+3",
    "007",
    "1_000",
  ],
  ...[
    "9".repeat(40),
    "",
    " ",
    "null",
    "true",
    "__proto__",
    "constructor",
    "../../x",
    "/etc/passwd",
    "\\u0000",
  ],
  ...[
    "\u0000",
    "\u001b[2J",
    "\u202e",
    "\ufeff",
    "\ud800",
    "é",
    "日本",
    "😀",
    "\r",
    "\n",
    "\t",
    '"',
    "'",
    "\\",
  ],
];

type Mutator<T> = (value: T, random: Random, other: T) => T;

/** One to `most` places changed; `other` is a second input of the kind, to be spliced in. */
function several<T>(value: T, random: Random, other: T, mutators: readonly Mutator<T>[], most = 4): T {
  let result = value;
  for (let left = 1 + Math.floor(random.next() ** 2 * most); left > 0; left--) {
    result = random.pick(mutators)(result, random, other);
  }
  return result;
}

/** A place in `length` bytes; half of them near the ends, since most of a model is weights, where a change means little. */
function place(length: number, random: Random): number {
  const near = Math.min(length - 1, 600);
  const kind = random.int(0, 3);
  if (kind === 0) return random.int(0, near);
  if (kind === 1) return length - 1 - random.int(0, near);
  return random.int(0, length - 1);
}

function replaced(bytes: Uint8Array, from: number, to: number, piece: Uint8Array): Uint8Array {
  const out = new Uint8Array(from + piece.length + bytes.length - to);
  out.set(bytes.subarray(0, from));
  out.set(piece, from);
  out.set(bytes.subarray(to), from + piece.length);
  return out;
}

function randomRange(length: number, random: Random, most = 64): [from: number, to: number] {
  const from = place(length, random);
  return [from, Math.min(length, from + random.int(1, most))];
}

const byteMutators: readonly Mutator<Uint8Array>[] = [
  function flipBit(bytes, random) {
    const copy = bytes.slice();
    if (copy.length) copy[place(copy.length, random)] ^= 1 << random.int(0, 7);
    return copy;
  },
  function setByte(bytes, random) {
    const copy = bytes.slice();
    if (copy.length)
      copy[place(copy.length, random)] = random.pick([0, 1, 0x7f, 0x80, 0xff, random.int(0, 255)]);
    return copy;
  },
  function setMany(bytes, random) {
    const copy = bytes.slice();
    if (copy.length)
      for (let i = random.int(5, 60); i > 0; i--) copy[random.int(0, copy.length - 1)] = random.int(0, 255);
    return copy;
  },
  function setWord(bytes, random) {
    const copy = bytes.slice();
    const size = random.pick([2, 4, 4, 8]);
    if (copy.length < size) return copy;
    const at = Math.min(place(copy.length, random), copy.length - size);
    const view = new DataView(copy.buffer);
    const value = BigInt(random.pick(nastyNumbers));
    const isLittle = random.next() < 0.8;
    if (size === 2) view.setUint16(at, Number(BigInt.asUintN(16, value)), isLittle);
    else if (size === 4) view.setUint32(at, Number(BigInt.asUintN(32, value)), isLittle);
    else view.setBigUint64(at, BigInt.asUintN(64, value), isLittle);
    return copy;
  },
  function cut(bytes, random) {
    return bytes.slice(0, random.int(0, bytes.length));
  },
  function remove(bytes, random) {
    const [from, to] = randomRange(bytes.length, random);
    return replaced(bytes, Math.max(0, from), to, new Uint8Array());
  },
  function insert(bytes, random) {
    const piece = Uint8Array.from({ length: random.int(1, 16) }, () => random.int(0, 255));
    const at = random.int(0, bytes.length);
    return replaced(bytes, at, at, piece);
  },
  function repeat(bytes, random) {
    const [from, to] = randomRange(bytes.length, random);
    const at = random.int(0, bytes.length);
    return replaced(bytes, at, at, bytes.subarray(Math.max(0, from), to));
  },
  function move(bytes, random) {
    const copy = bytes.slice();
    const [from, to] = randomRange(bytes.length, random);
    copy.copyWithin(random.int(0, copy.length), Math.max(0, from), to);
    return copy;
  },
  function splice(bytes, random, other) {
    return replaced(
      bytes,
      random.int(0, bytes.length),
      bytes.length,
      other.subarray(random.int(0, other.length)),
    );
  },
];

export function mutateBytes(bytes: Uint8Array, random: Random, other: Uint8Array = bytes): Uint8Array {
  return several(bytes, random, other, byteMutators);
}

/** Most characters that a mutator lets a text grow by; large enough for what is quadratic to show. */
const bomb = 20_000;

/** A token: a number, a word, a run of spaces, or one other character. */
const tokenPattern = /[+-]?\d[\d.eE+-]*|[A-Za-z_]\w*|\s+|[^\s\w]/g;

function changeTokens(text: string, change: (tokens: string[]) => void): string {
  const tokens = text.match(tokenPattern) ?? [];
  if (tokens.length) change(tokens);
  return tokens.join("");
}

function changeLines(text: string, random: Random, change: (lines: string[], at: number) => void): string {
  const lines = text.split("\n");
  change(lines, random.int(0, lines.length - 1));
  return lines.join("\n");
}

const textMutators: readonly Mutator<string>[] = [
  function setNumber(text, random) {
    return changeTokens(text, (tokens) => {
      const numbers = tokens.flatMap((token, i) => (/^[+-]?\d/.test(token) ? [i] : []));
      if (!numbers.length) return;
      const number = random.next() < 0.5 ? String(random.pick(nastyNumbers)) : random.pick(nastyWords);
      tokens[random.pick(numbers)] = number;
    });
  },
  function setToken(text, random) {
    return changeTokens(text, (tokens) => {
      const token = random.next() < 0.5 ? random.pick(nastyWords) : random.pick(tokens);
      tokens[random.int(0, tokens.length - 1)] = token;
    });
  },
  function dropToken(text, random) {
    return changeTokens(text, (tokens) => tokens.splice(random.int(0, tokens.length - 1), random.int(1, 3)));
  },
  function insertToken(text, random) {
    return changeTokens(text, (tokens) => {
      const token = random.next() < 0.5 ? random.pick(nastyWords) : random.pick(tokens);
      tokens.splice(random.int(0, tokens.length), 0, token);
    });
  },
  function setCharacter(text, random) {
    const at = random.int(0, text.length);
    return text.slice(0, at) + String.fromCharCode(random.int(0, 127)) + text.slice(at + random.int(0, 2));
  },
  function dropLine(text, random) {
    return changeLines(text, random, (lines, at) => lines.splice(at, 1));
  },
  function repeatLine(text, random) {
    return changeLines(text, random, (lines, at) => lines.splice(at, 0, random.pick(lines)));
  },
  function swapLines(text, random) {
    return changeLines(text, random, (lines, at) => {
      const to = random.int(0, lines.length - 1);
      [lines[at], lines[to]] = [lines[to], lines[at]];
    });
  },
  function cut(text, random) {
    return text.slice(0, random.int(0, text.length));
  },
  function splice(text, random, other) {
    return text.slice(0, random.int(0, text.length)) + other.slice(random.int(0, other.length));
  },
  function bytes(text, random) {
    return new TextDecoder().decode(mutateBytes(new TextEncoder().encode(text), random));
  },
];

/** Rare, since they make long texts: a piece many times over, brackets nested deep. */
const textBombs: readonly Mutator<string>[] = [
  function repeatPiece(text, random) {
    const from = random.int(0, Math.max(0, text.length - 1));
    const piece = text.slice(from, from + random.int(1, 12)) || "x";
    const at = random.int(0, text.length);
    return text.slice(0, at) + piece.repeat(Math.ceil(random.int(100, bomb) / piece.length)) + text.slice(at);
  },
  function nest(text, random) {
    const [open, close] = random.pick([
      "[]",
      "{}",
      "()",
      '""',
      "''",
      "<>",
      ["[{", "}]"],
      ['{"a":', "}"],
      ["- ", ""],
      ["  ", ""],
    ]);
    const depth = random.int(20, bomb / open.length);
    const at = random.int(0, text.length);
    const isClosed = random.next() < 0.5;
    return text.slice(0, at) + open.repeat(depth) + (isClosed ? close.repeat(depth) : "") + text.slice(at);
  },
];

export function mutateText(text: string, random: Random, other = text): string {
  return several(text, random, other, random.int(0, 49) === 0 ? textBombs : textMutators, 4);
}

/** Bytes that are 32-bit words: one to three of them a little more or less, another of the file, or nasty. */
export function mutateWords(bytes: Uint8Array, random: Random): Uint8Array {
  const copy = bytes.slice();
  const view = new DataView(copy.buffer);
  const count = Math.floor(bytes.length / 4);
  for (let left = count && random.int(1, 3); left > 0; left--) {
    const at = 4 * random.int(0, count - 1);
    const kind = random.int(0, 3);
    if (kind === 0) view.setInt32(at, random.int(-2, 20), true);
    else if (kind === 1) view.setInt32(at, view.getInt32(at, true) + random.pick([-1, 1, 2, 8]), true);
    else if (kind === 2) view.setInt32(at, view.getInt32(4 * random.int(0, count - 1), true), true);
    else view.setUint32(at, Number(BigInt.asUintN(32, BigInt(random.pick(nastyNumbers)))), true);
  }
  return copy;
}
