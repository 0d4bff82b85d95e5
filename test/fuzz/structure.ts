/** Damage that keeps the outer form: fields of protobuf messages, of zip directories, opcodes of pickles, values of JSON. */
import { ByteWriter } from "../../src/base/bytes.ts";
import type { Random } from "../../src/base/random.ts";
import { mutateBytes, mutateText, nastyNumbers } from "./mutate.ts";

interface Field {
  readonly number: number;
  readonly wire: number;
  /** What follows the tag; without the length where there is one. */
  readonly payload: Uint8Array;
  readonly bytes: Uint8Array;
}

/** The fields of a message, or nothing where the bytes are no message. */
function parseMessage(bytes: Uint8Array): Field[] | undefined {
  const fields: Field[] = [];
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = bytes[at++];
      if (byte === undefined) return -1;
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    return -1;
  };
  while (at < bytes.length) {
    const start = at;
    const tag = varint();
    const [number, wire] = [Math.floor(tag / 8), tag & 7];
    if (tag < 8) return undefined;
    let from = at;
    if (wire === 0) {
      if (varint() < 0) return undefined;
    } else if (wire === 1) at += 8;
    else if (wire === 5) at += 4;
    else if (wire === 2) {
      const length = varint();
      if (length < 0) return undefined;
      from = at;
      at += length;
    } else return undefined;
    if (at > bytes.length) return undefined;
    fields.push({ number, wire, payload: bytes.subarray(from, at), bytes: bytes.subarray(start, at) });
  }
  return fields.length ? fields : undefined;
}

function writeVarint(out: ByteWriter, value: bigint): void {
  let left = BigInt.asUintN(64, value);
  while (left >= 0x80n) {
    out.u8(Number(left & 0x7fn) | 0x80);
    left >>= 7n;
  }
  out.u8(Number(left));
}

function fieldBytes(number: number, wire: number, payload: Uint8Array, length = payload.length): Uint8Array {
  const out = new ByteWriter();
  writeVarint(out, BigInt(number * 8 + wire));
  if (wire === 2) writeVarint(out, BigInt(length));
  return out.raw(payload).finish();
}

/** A protobuf message with one field changed, somewhere in its tree; the lengths around it are right again. */
export function mutateMessage(bytes: Uint8Array, random: Random, depth = 0): Uint8Array {
  const fields = parseMessage(bytes);
  if (!fields) return mutateBytes(bytes, random);
  const at = random.int(0, fields.length - 1);
  const pieces: Uint8Array[] = fields.map((field) => field.bytes);
  const field = fields[at];
  const goesDown = field.wire === 2 && depth < 8 && random.next() < 0.85 && parseMessage(field.payload);
  if (goesDown) pieces[at] = fieldBytes(field.number, 2, mutateMessage(field.payload, random, depth + 1));
  else changeField(pieces, at, fields, random);
  const out = new ByteWriter();
  for (const piece of pieces) out.raw(piece);
  return out.finish();
}

function changeField(pieces: Uint8Array[], at: number, fields: readonly Field[], random: Random): void {
  const { number, wire, payload, bytes } = fields[at];
  const kind = random.int(0, 7);
  const varint = (value: bigint): Uint8Array => {
    const out = new ByteWriter();
    writeVarint(out, value);
    return out.finish();
  };
  if (kind === 0) pieces.splice(at, 1);
  else if (kind === 1) pieces.splice(random.int(0, pieces.length), 0, bytes);
  else if (kind === 2) pieces[at] = fieldBytes(random.int(1, 40), wire, payload);
  else if (kind === 3) pieces[at] = fieldBytes(number, random.int(0, 7), payload);
  else if (kind === 4 && wire === 2) {
    // A length that lies.
    pieces[at] = fieldBytes(number, 2, payload, Math.max(0, random.pick(nastyNumbers)));
  } else if (kind === 5) pieces[at] = fieldBytes(number, wire, random.pick(fields).payload);
  else if (wire === 0) pieces[at] = fieldBytes(number, 0, varint(BigInt(random.pick(nastyNumbers))));
  else if (wire === 2 && random.int(0, 40) === 0) {
    let inner = payload;
    for (let level = random.int(2, 80); level > 0; level--) inner = fieldBytes(number, 2, inner);
    pieces[at] = inner;
  } else pieces[at] = fieldBytes(number, wire, mutateBytes(payload, random));
}

/** Where the fields of a record of a zip archive are and how long: APPNOTE.TXT 4.3.7, 4.3.12, 4.3.14 to 4.3.16. */
const zipRecords: Readonly<Record<number, readonly (readonly [offset: number, size: number])[]>> = {
  67324752: [
    [6, 2],
    [8, 2],
    [14, 4],
    [18, 4],
    [22, 4],
    [26, 2],
    [28, 2],
  ],
  33639248: [
    [8, 2],
    [10, 2],
    [16, 4],
    [20, 4],
    [24, 4],
    [28, 2],
    [30, 2],
    [32, 2],
    [42, 4],
    [46, 4],
  ],
  101010256: [
    [4, 2],
    [6, 2],
    [8, 2],
    [10, 2],
    [12, 4],
    [16, 4],
    [20, 2],
  ],
  101075792: [
    [4, 8],
    [16, 4],
    [20, 4],
    [24, 8],
    [32, 8],
    [40, 8],
    [48, 8],
  ],
  117853008: [
    [4, 4],
    [8, 8],
    [16, 4],
  ],
};

function zipPlaces(bytes: Uint8Array): [at: number, size: number][] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const places: [number, number][] = [];
  for (let at = bytes.indexOf(0x50); at >= 0 && at + 4 <= bytes.length; at = bytes.indexOf(0x50, at + 1)) {
    for (const [offset, size] of zipRecords[view.getUint32(at, true)] ?? []) {
      if (at + offset + size <= bytes.length) places.push([at + offset, size]);
    }
  }
  return places;
}

/** A zip archive with one to three fields of its directory changed. */
export function mutateZip(bytes: Uint8Array, random: Random): Uint8Array {
  const places = zipPlaces(bytes);
  if (!places.length) return mutateBytes(bytes, random);
  const copy = bytes.slice();
  const view = new DataView(copy.buffer);
  for (let left = random.int(1, 3); left > 0; left--) {
    const [at, size] = random.pick(places);
    const from = random.pick(places)[0];
    if (random.next() < 0.2) copy.copyWithin(at, from, Math.min(from + size, copy.length));
    else if (random.next() < 0.3) copy[at + random.int(0, size - 1)] += random.pick([1, 255]);
    else {
      const value = BigInt(random.pick([...nastyNumbers, bytes.length, bytes.length - 22]));
      for (let i = 0; i < size; i++) view.setUint8(at + i, Number(BigInt.asUintN(8, value >> BigInt(8 * i))));
    }
  }
  return copy;
}

/** Bytes that follow an opcode of a pickle: a number, `s1 s4 s8` for a counted string, `lines` for lines of text. */
const opcodeArguments: Readonly<Record<number, number | "s1" | "s4" | "s8" | "line" | "lines">> = {
  ...{ 128: 1, 149: 8, 74: 4, 75: 1, 77: 2, 71: 8, 113: 1, 114: 4, 104: 1, 106: 4 },
  ...{ 88: "s4", 140: "s1", 141: "s8", 66: "s4", 67: "s1", 142: "s8", 85: "s1", 84: "s4" },
  ...{ 138: "s1", 139: "s4", 130: 1, 131: 2, 132: 4, 99: "lines", 73: "line", 70: "line" },
};

/** A pickle, opcode by opcode. What comes behind an unknown end is one last piece. */
export function pickleTokens(bytes: Uint8Array): Uint8Array[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const tokens: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; ) {
    const kind = opcodeArguments[bytes[at]] ?? 0;
    let end = at + 1;
    if (typeof kind === "number") end += kind;
    else if (kind === "s1") end += 1 + (bytes[at + 1] ?? 0);
    else if (kind === "s4") end += 4 + (at + 5 <= bytes.length ? view.getUint32(at + 1, true) : 0);
    else if (kind === "s8") end += 8 + (at + 9 <= bytes.length ? Number(view.getBigUint64(at + 1, true)) : 0);
    else
      for (let lines = kind === "lines" ? 2 : 1; lines > 0; lines--)
        end = bytes.indexOf(10, end) + 1 || bytes.length;
    tokens.push(bytes.subarray(at, Math.min(end, bytes.length)));
    at = end;
  }
  return tokens;
}

const ascii = (text: string): Uint8Array => new TextEncoder().encode(text);
const evilTokens: readonly Uint8Array[] = [
  ...[
    "cos\nsystem\n",
    "cbuiltins\neval\n",
    "ctorch._utils\n_rebuild_tensor_v2\n",
    "cmodels.common\nConv\n",
  ].map(ascii),
  ...[
    "ccollections\nOrderedDict\n",
    "cbuiltins\ngetattr\n",
    "cpathlib\nPosixPath\n",
    "R",
    "b",
    "Q",
    "(",
    "t",
  ].map(ascii),
];

/** A pickle of which `tokens` are the opcodes, with a few of them changed. */
export function mutatePickle(tokens: readonly Uint8Array[], random: Random): Uint8Array {
  const copy = tokens.slice();
  for (let left = random.int(1, 4); left > 0; left--) {
    const at = random.int(0, copy.length - 1);
    const kind = random.int(0, 8);
    if (kind === 0) copy.splice(at, random.int(1, 4));
    else if (kind === 1) copy.splice(random.int(0, copy.length), 0, random.pick(tokens));
    else if (kind === 2) copy[at] = random.pick(tokens);
    else if (kind === 3) copy.splice(at, 0, random.pick(evilTokens));
    else if (kind === 4) copy.splice(at, 0, Uint8Array.of(random.int(0, 255)));
    else if (kind === 5) copy.splice(at, 0, ...copy.slice(at, at + random.int(2, 40)));
    else if (kind === 6 && random.int(0, 30) === 0) {
      copy.splice(at, 0, new Uint8Array(random.int(100, 5000)).fill(random.pick(copy)?.[0] ?? 0x28));
    } else if (copy[at]) copy[at] = changeOpcode(copy[at], random);
    if (!copy.length) break;
  }
  const out = new ByteWriter();
  for (const token of copy) out.raw(token);
  return out.finish();
}

/** The argument of an opcode changed: numbers and memo places to nasty ones, strings with their length kept right. */
function changeOpcode(token: Uint8Array, random: Random): Uint8Array {
  const kind = opcodeArguments[token[0]] ?? 0;
  if (kind === 0) return Uint8Array.of(random.int(0, 255));
  const copy = token.slice();
  const view = new DataView(copy.buffer);
  if (typeof kind === "number") {
    const value = BigInt(random.pick(nastyNumbers));
    for (let i = 0; i < kind && 1 + i < copy.length; i++)
      view.setUint8(1 + i, Number(BigInt.asUintN(8, value >> BigInt(8 * i))));
    return copy;
  }
  if (kind === "line" || kind === "lines" || random.next() < 0.3) return mutateBytes(copy, random);
  const width = Number(kind[1]);
  const text = ascii(mutateText(new TextDecoder().decode(token.subarray(1 + width)), random)).subarray(
    0,
    width === 1 ? 255 : 5000,
  );
  const out = new ByteWriter().u8(token[0]);
  for (let i = 0; i < width; i++) out.u8(i < 4 ? (text.length >>> (8 * i)) & 255 : 0);
  return out.raw(text).finish();
}

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** JSON text with one or two values changed, keys dropped, added or renamed: legal JSON that says something else. */
export function mutateJson(text: string, random: Random): string {
  const root: Json = JSON.parse(text);
  const holders: (Json[] | { [key: string]: Json })[] = [];
  const visit = (value: Json): void => {
    if (typeof value !== "object" || value === null) return;
    holders.push(value);
    for (const item of Object.values(value)) visit(item);
  };
  visit(root);
  for (let left = random.int(1, 2); left > 0; left--) changeEntry(random.pick(holders), random);
  return JSON.stringify(root);
}

function changeEntry(holder: Json[] | { [key: string]: Json }, random: Random): void {
  const nasty: readonly Json[] = [
    ...[null, true, -1, 0, 0.5, 1e308, 2 ** 31, 2 ** 53, "", "x", "../x", "__proto__", "\u001b[2J", "a\nb"],
    ...([[], {}, [[]], [1, 2], { a: 1 }, "y".repeat(5000)] as Json[]),
  ];
  const value = (): Json => structuredClone(random.pick(nasty));
  const keys = Object.keys(holder);
  if (Array.isArray(holder)) {
    const at = random.int(0, holder.length);
    const kind = random.int(0, 3);
    if (kind === 0) holder.splice(at, 1);
    else if (kind === 1) holder.splice(at, 0, structuredClone(holder[0] ?? value()));
    else holder[at] = value();
  } else if (!keys.length || random.next() < 0.1)
    holder[random.pick(["x", "toString", "version", "names"])] = value();
  else {
    const key = random.pick(keys);
    if (random.next() < 0.3) delete holder[key];
    else if (random.next() < 0.2 && keys.length > 1) holder[key] = structuredClone(holder[random.pick(keys)]);
    else holder[key] = value();
  }
}

/** A `.param` text whose parameters, layer types or blobs are others, mostly so that it is still well-formed. */
export function mutateParam(text: string, random: Random): string {
  const lines = text.split("\n").map((line) => line.split(/ +/));
  for (let left = random.int(1, 3); left > 0; left--) {
    const line = random.pick(lines.slice(2));
    if (!line || line.length < 4) continue;
    const first = line.findIndex((word) => /^-?\d+=/.test(word));
    const kind = random.int(0, 9);
    if (kind === 0) line[0] = random.pick(lines.slice(2))[0];
    else if (kind === 1)
      line[random.int(4, line.length - 1)] = random.pick(random.pick(lines).slice(4)) ?? "x";
    else if (kind === 2 || first < 0) line.push(`${random.int(0, 20)}=${paramValue(random)}`);
    else {
      const at = random.int(first, line.length - 1);
      const [key, value] = line[at].split("=");
      if (kind === 3) line.splice(at, 1);
      else if (value?.includes(",")) {
        const items = value.split(",");
        items[random.int(0, items.length - 1)] = paramValue(random);
        line[at] = `${key}=${items.join(",")}`;
      } else line[at] = `${key}=${paramValue(random)}`;
    }
  }
  return lines.map((line) => line.join(" ")).join("\n");
}

function paramValue(random: Random): string {
  const kind = random.int(0, 9);
  if (kind < 6) return String(random.int(-3, 20));
  if (kind < 8) return String(random.pick(nastyNumbers));
  return random.pick([
    "1e-1",
    "-2.5e+00",
    "1e38",
    "0.0",
    "nan",
    "1e-40",
    "-233",
    '"1w,1h,4"',
    "1,2",
    "2,1,2",
    "",
  ]);
}
