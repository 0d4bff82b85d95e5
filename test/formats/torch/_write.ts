/** Writes archives and pickles byte by byte, so that tests can make them wrong in any way. */
import { deflateSync } from "fflate";
import { ByteWriter } from "../../../src/base/bytes.ts";
import { crc32 } from "../../../src/formats/torch/zip.ts";

export interface ZipEntry {
  name: string;
  contents: Uint8Array;
  deflate?: boolean;
  /** Lies: what the directory says instead of the truth. */
  size?: number;
  packed?: number;
  offset?: number;
  method?: number;
  flags?: number;
  crc?: number;
  localName?: string;
  /** Extra field of the directory entry. */
  extra?: Uint8Array;
}

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

/** A zip archive without zip64; `count` is what the end record says. */
export function zip(entries: readonly ZipEntry[], count = entries.length): Uint8Array {
  const out = new ByteWriter();
  const directory = new ByteWriter();
  for (const entry of entries) {
    const data = entry.deflate ? deflateSync(entry.contents) : entry.contents;
    const offset = out.length;
    const name = utf8(entry.name);
    const localName = utf8(entry.localName ?? entry.name);
    out.u32(0x04034b50).u16(20).u16(0).u16(0).u32(0).u32(0).u32(0).u32(0).u16(localName.length).u16(0);
    out.raw(localName).raw(data);
    directory.u32(0x02014b50).u16(20).u16(20);
    directory
      .u16(entry.flags ?? 0)
      .u16(entry.method ?? (entry.deflate ? 8 : 0))
      .u32(0);
    directory
      .u32(entry.crc ?? crc32(entry.contents))
      .u32(entry.packed ?? data.length)
      .u32(entry.size ?? entry.contents.length);
    directory
      .u16(name.length)
      .u16(entry.extra?.length ?? 0)
      .u16(0)
      .u32(0)
      .u32(0)
      .u32(entry.offset ?? offset)
      .raw(name)
      .raw(entry.extra ?? new Uint8Array(0));
  }
  const start = out.length;
  out.raw(directory.finish());
  const size = out.length - start;
  return out.u32(0x06054b50).u32(0).u16(count).u16(count).u32(size).u32(start).u16(0).finish();
}

/** A checkpoint around a pickle. */
export function checkpoint(pickle: Uint8Array, more: readonly ZipEntry[] = []): Uint8Array {
  return zip([
    { name: "archive/data.pkl", contents: pickle },
    { name: "archive/version", contents: utf8("3\n") },
    ...more,
  ]);
}

/** Opcodes of a pickle in order; `p.proto(2).emptyDict().stop()`. */
export class Pickle {
  private readonly out = new ByteWriter();

  op(code: string | number): this {
    this.out.u8(typeof code === "number" ? code : code.charCodeAt(0));
    return this;
  }
  raw(bytes: Uint8Array | string): this {
    this.out.raw(typeof bytes === "string" ? utf8(bytes) : bytes);
    return this;
  }
  u32(value: number): this {
    this.out.u32(value);
    return this;
  }
  u64(value: bigint): this {
    return this.u32(Number(value & 0xffffffffn)).u32(Number(value >> 32n));
  }
  proto(version = 2): this {
    this.out.u8(0x80).u8(version);
    return this;
  }
  global(module: string, name: string): this {
    return this.op("c").raw(`${module}\n${name}\n`);
  }
  string(text: string): this {
    const bytes = utf8(text);
    return this.op("X").u32(bytes.length).raw(bytes);
  }
  stackGlobal(module: string, name: string): this {
    return this.string(module).string(name).op(0x93);
  }
  int(value: number): this {
    this.out.u8(0x4a).i32(value);
    return this;
  }
  put(index: number): this {
    return this.op("r").u32(index);
  }
  get(index: number): this {
    return this.op("j").u32(index);
  }
  /** Appends the opcodes that `write` writes. */
  add(write: (p: this) => unknown): this {
    write(this);
    return this;
  }
  /** `count` times the opcodes that `write` writes. */
  times(count: number, write: (p: this) => unknown): this {
    for (let i = 0; i < count; i++) write(this);
    return this;
  }
  finish(): Uint8Array {
    return this.out.finish();
  }
  /** STOP, and the bytes. */
  stop(): Uint8Array {
    return this.op(".").finish();
  }
}

export const pickle = (version = 2): Pickle => new Pickle().proto(version);

/** A module instance: NEWOBJ of the class, state from `{name: write}`. */
export function module(
  p: Pickle,
  className: string,
  attributes: Record<string, (p: Pickle) => unknown>,
): Pickle {
  const dot = className.lastIndexOf(".");
  p.global(className.slice(0, dot), className.slice(dot + 1))
    .op(")")
    .op(0x81);
  return p.add((q) => dict(q, attributes)).op("b");
}

export function dict(p: Pickle, items: Record<string, (p: Pickle) => unknown>): Pickle {
  p.op("}").op("(");
  for (const [key, write] of Object.entries(items)) p.string(key).add(write);
  return p.op("u");
}

/** A Sequential whose sub-modules `write` puts into `_modules`. */
export const sequential = (p: Pickle, write: (p: Pickle) => unknown) =>
  module(p, "torch.nn.modules.container.Sequential", {
    _modules: write,
    _parameters: (q) => q.op("}"),
    _buffers: (q) => q.op("}"),
  });

/** `_rebuild_tensor_v2(storage(key, count), offset, shape, strides, False, OrderedDict())`. */
export function tensor(
  p: Pickle,
  key: string,
  count: number,
  shape: number[],
  strides: number[],
  offset = 0,
): Pickle {
  const tuple = (values: number[]) => (q: Pickle) => {
    q.op("(");
    for (const value of values) q.int(value);
    q.op("t");
  };
  p.global("torch._utils", "_rebuild_tensor_v2").op("(");
  p.op("(")
    .string("storage")
    .global("torch", "FloatStorage")
    .string(key)
    .string("cpu")
    .int(count)
    .op("t")
    .op("Q");
  p.int(offset).add(tuple(shape)).add(tuple(strides)).op(0x89);
  p.global("collections", "OrderedDict").op(")").op("R");
  return p.op("t").op("R");
}
