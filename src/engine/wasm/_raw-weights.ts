/** Constants as a file holds them: small, distinct, and packed when the module starts. */
import { float32ToFp16Array, fp16ToFloat32Array } from "../../base/fp16.ts";
import {
  emitSpread,
  emitSpreadWord,
  emitUnpack,
  emitUnpackWinograd,
  emitWiden,
  type PackedNumber,
  type StoredNumber,
  winogradMatrices,
} from "../../kernels/wasm/index.ts";
import type { FuncRef, Module } from "../../wasm/index.ts";
import { type PackedFrom, type PackedWeights, StaticData } from "./memory.ts";

type Chunk = StaticData["chunks"][number];

/** Constants that are equal have one address. */
export class DistinctData extends StaticData {
  private readonly known = new Map<string, Chunk[]>();

  override add(data: ArrayBufferView, from?: PackedFrom): number {
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    const key = `${bytes.length} ${hashOf(bytes)}`;
    const list = this.known.get(key) ?? [];
    const same = list.find((chunk) => isEqual(chunk.bytes, bytes));
    if (same) return same.address;
    const address = super.add(data, from);
    this.known.set(key, [...list, this.chunks.at(-1)!]);
    return address;
  }
}

function hashOf(bytes: Uint8Array): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < bytes.length; i++) hash = Math.imul(hash ^ bytes[i], 0x01000193);
  return hash;
}

const isEqual = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && a.every((byte, i) => byte === b[i]);

export interface Segment {
  readonly address: number;
  readonly bytes: Uint8Array;
}

/** What has to lie in memory at first, and how constants are made of it. */
export interface Unpacking {
  readonly segments: readonly Segment[];
  /** Behind all of them. */
  readonly end: number;
  /** Emits the functions, and says with what they are called. */
  emit(m: Module): { readonly fn: FuncRef; readonly args: readonly number[] }[];
}

/** Tables hold numbers of 16 bits. */
const mostInTable = 2 ** 15;

/** Stored numbers come to lie at `start`, what needs no unpacking where it belongs. */
export function packRaw(chunks: readonly Chunk[], start: number): Unpacking {
  const stored = new StoredData(start);
  const plain: Segment[] = [];
  const jobs = chunks.flatMap((chunk) => {
    const made = jobsOf(chunk, stored);
    if (!made) plain.push(chunk);
    return made ?? [];
  });
  return {
    segments: [...joined(plain), ...joined(stored.parts)],
    end: stored.end,
    emit: (m) => {
      const made = new Map<string, FuncRef>();
      return jobs.map(({ key, emit, args }) => {
        const fn = made.get(key) ?? emit(m, key);
        made.set(key, fn);
        return { fn, args };
      });
    },
  };
}

interface Job {
  /** Of its function. */
  readonly key: string;
  emit(m: Module, name: string): FuncRef;
  readonly args: readonly number[];
}

/** Lists of numbers, each once. */
class StoredData {
  readonly parts: Segment[] = [];
  end: number;
  private readonly data: DistinctData;

  constructor(start: number) {
    this.end = start;
    this.data = new DistinctData(start, 4);
  }

  /** Gives the address. */
  add(list: ArrayBufferView): number {
    const address = this.data.add(list);
    const last = this.data.chunks.at(-1)!;
    if (last !== this.parts.at(-1)) this.parts.push(last);
    this.end = this.data.end;
    return address;
  }
}

/** Nothing for chunks that are stored as they are. */
function jobsOf(chunk: Chunk, stored: StoredData): readonly Job[] | undefined {
  const { from, address } = chunk;
  if (from?.kind === "vectors") return vectorJobs(chunk, from.count, stored);
  if (from) {
    const { slots, columns, weight, perOutput, inLane, vectors, kind } = withoutUnused(from);
    const fits = [slots, columns].every((list) => list.every((n) => n < mostInTable));
    if (fits) {
      const [list, form] = smallest(weight);
      const tables = [stored.add(list), perOutput, stored.add(Int16Array.from(slots)), slots.length];
      const args = [...tables, stored.add(Int16Array.from(columns)), columns.length, vectors, address];
      if (kind === "winograd") {
        const { weight: matrix } = winogradMatrices(from.size!);
        const emit = (m: Module, name: string): FuncRef =>
          emitUnpackWinograd(m, name, { from: form, matrix });
        return [{ key: `winograd${from.size}_${form}`, emit, args }];
      }
      const to: PackedNumber = inLane === 1 ? "f32" : inLane === 2 ? "i16" : "i8";
      const spec = { from: form, to, inLane };
      return [{ key: `unpack_${form}_${to}`, emit: (m, name) => emitUnpack(m, name, spec), args }];
    }
  }
  return widenJob(chunk, stored);
}

/** A matrix without the columns that nothing is packed from, where these are many. */
function withoutUnused(from: PackedWeights): PackedWeights {
  const { kind, weight, perOutput, columns } = from;
  const used = Int32Array.from(new Set(columns))
    .sort()
    .filter((column) => column >= 0);
  if (kind !== "matrix" || used.length > 0.9 * perOutput) return from;
  const rows = weight.length / perOutput;
  const count = rows * used.length;
  const kept = weight instanceof Int8Array ? new Int8Array(count) : new Float32Array(count);
  for (let row = 0, at = 0; row < rows; row++) {
    for (const column of used) kept[at++] = weight[row * perOutput + column];
  }
  const places = new Map(Array.from(used, (column, i) => [column, i]));
  return {
    ...{ ...from, weight: kept, perOutput: used.length },
    columns: columns.map((column) => places.get(column) ?? column),
  };
}

/** Bytes of a call that fills a vector. */
const callBytes = 20;

/** Vectors that are the same word for all channels are filled, if that is shorter. */
function vectorJobs(
  { bytes, address }: Chunk,
  count: number,
  stored: StoredData,
): readonly Job[] | undefined {
  const words = new Int32Array(bytes.slice().buffer);
  const groups = words.length / 4 / count;
  const columns = Array.from({ length: count }, (_, v) =>
    Int32Array.from({ length: groups * 4 }, (_, slot) => words[((slot >> 2) * count + v) * 4 + (slot & 3)]),
  );
  // Slots without a channel hold zeros.
  const filled = columns.map((column) => {
    const used = column.findLastIndex((word) => word !== 0) + 1;
    return column.subarray(0, used).every((word) => word === column[0]) ? used : undefined;
  });
  const saved = filled.reduce<number>(
    (sum, used, v) => sum + (used === undefined ? 0 : columns[v].length * 4),
    0,
  );
  if (saved < count * callBytes + 16) return undefined;
  return columns.map((column, v): Job => {
    const [out, step] = [address + v * 16, count * 16];
    const used = filled[v];
    return used === undefined
      ? { key: "spread", emit: emitSpread, args: [stored.add(column), groups, out, step] }
      : { key: "spread_word", emit: emitSpreadWord, args: [column[0], used, out, step] };
  });
}

/** Long lists of floats that halves hold exactly. */
function widenJob({ bytes, address }: Chunk, stored: StoredData): readonly Job[] | undefined {
  if (bytes.length < 256 || bytes.length % 4) return undefined;
  const floats = new Float32Array(bytes.slice().buffer);
  const halves = halvesOf(floats);
  if (!halves) return undefined;
  const args = [stored.add(halves), floats.length, address];
  const spec = { from: "f16", to: "f32" } as const;
  return [{ key: "widen_f16", emit: (m, name) => emitWiden(m, name, spec), args }];
}

function smallest(weight: Float32Array | Int8Array): [ArrayBufferView, StoredNumber] {
  if (weight instanceof Int8Array) return [weight, "i8"];
  const halves = halvesOf(weight);
  return halves ? [halves, "f16"] : [weight, "f32"];
}

/** Nothing where one of the floats is no half; of bits that are no numbers nothing is said. */
function halvesOf(floats: Float32Array): Uint16Array | undefined {
  const halves = float32ToFp16Array(floats);
  const back = fp16ToFloat32Array(halves);
  const [bits, others] = [floats, back].map(
    (list) => new Uint32Array(list.buffer, list.byteOffset, list.length),
  );
  return bits.every((word, i) => word === others[i] && (word & 0x7f800000) !== 0x7f800000)
    ? halves
    : undefined;
}

/** Segments that lie close together become one. */
function joined(segments: readonly Segment[]): Segment[] {
  const near = 64;
  const groups: Segment[][] = [];
  for (const segment of [...segments].sort((a, b) => a.address - b.address)) {
    const last = groups.at(-1)?.at(-1);
    if (last && segment.address - (last.address + last.bytes.length) < near) groups.at(-1)!.push(segment);
    else groups.push([segment]);
  }
  return groups.map((group) => {
    const { address } = group[0];
    const { address: end, bytes: last } = group.at(-1)!;
    const bytes = new Uint8Array(end + last.length - address);
    for (const segment of group) bytes.set(segment.bytes, segment.address - address);
    return { address, bytes };
  });
}
