/**
 * Builds a WebAssembly module: one memory with data, functions, globals, tables of functions, and a name section so that profiles and
 * stack traces are readable. Binary format: WebAssembly 3.0, chapter 5. Mistakes of the generator are plain `Error`s.
 */
import { ByteWriter } from "../base/bytes.ts";
import { Func } from "./function.ts";
import { writeUnsigned } from "./leb128.ts";
import type { ValueType } from "./opcodes.ts";
import {
  type FuncRef,
  type FuncType,
  type GlobalRef,
  type Params,
  type Signature,
  type TableRef,
  typeBytes,
  writeConstantExpression,
  writeTypes,
} from "./types.ts";

/** In pages of 64 KiB. Shared memory needs a maximum. */
export interface MemoryLimits {
  readonly min: number;
  readonly max?: number;
  readonly shared?: boolean;
}

export interface GlobalOptions {
  readonly mutable?: boolean;
  /** number for i32, f32 and f64, bigint for i64, 16 bytes for v128. */
  readonly init: number | bigint | Uint8Array;
  /** Name of the export, if it is one. */
  readonly export?: string;
}

/** Bytes that are in memory from the beginning. */
interface DataSegment {
  /** Nothing for bytes that `Func.memoryInit` brings there. */
  readonly address: number | undefined;
  readonly bytes: Uint8Array;
}

interface Import {
  readonly module: string;
  readonly name: string;
  readonly write: (out: ByteWriter) => void;
}

const section = {
  custom: 0,
  type: 1,
  import: 2,
  function: 3,
  table: 4,
  memory: 5,
  global: 6,
  export: 7,
  start: 8,
  element: 9,
  code: 10,
  data: 11,
  dataCount: 12,
} as const;
const exportKind = { function: 0, table: 1, memory: 2, global: 3 } as const;
const importKind = exportKind;
const funcref = 0x70;

const utf8 = new TextEncoder();

function writeName(out: ByteWriter, name: string): void {
  const bytes = utf8.encode(name);
  writeUnsigned(out, bytes.length);
  out.raw(bytes);
}

function writeLimits(out: ByteWriter, { min, max, shared }: MemoryLimits): void {
  if (shared && max === undefined) throw new Error("shared memory needs a maximum");
  out.u8((max === undefined ? 0 : 1) | (shared ? 2 : 0));
  writeUnsigned(out, min);
  if (max !== undefined) writeUnsigned(out, max);
}

function writeSection(out: ByteWriter, id: number, write: (body: ByteWriter) => void): void {
  const body = new ByteWriter();
  write(body);
  out.u8(id);
  writeUnsigned(out, body.length);
  out.raw(body.finish());
}

/** A section of any content, which may stand behind a module's others. */
export function customSection(name: string, bytes: Uint8Array): Uint8Array {
  const out = new ByteWriter();
  writeSection(out, section.custom, (body) => {
    writeName(body, name);
    body.raw(bytes);
  });
  return out.finish();
}

export class Module {
  readonly scalar: boolean;
  private readonly types: FuncType[] = [];
  private readonly typeIndices = new Map<string, number>();
  private readonly imports: Import[] = [];
  /** Imported functions first, as in the index space. */
  private readonly functions: FuncRef[] = [];
  private importedFunctions = 0;
  private readonly bodies = new Map<FuncRef, Uint8Array>();
  private readonly globals: { ref: GlobalRef; init: GlobalOptions["init"] }[] = [];
  private readonly tables: (readonly FuncRef[])[] = [];
  private readonly exports = new Map<string, { kind: number; index: number }>();
  private readonly data: DataSegment[] = [];
  private starting: FuncRef | undefined;
  private memoryLimits: MemoryLimits | undefined;
  private memoryImported = false;
  private usesMemory = false;
  private readonly scratch = new ByteWriter();
  private emitting: string | undefined;
  /** Words that functions read from memory, in their order there, with their addresses. */
  private readonly words = new Map<number, number>();
  private wordPlaces = { address: 0, most: 0 };

  /** `scalar`: without vectors, each of which becomes four numbers. */
  constructor({ scalar = false } = {}) {
    this.scalar = scalar;
  }

  /** Index of a function type, added where it is new. */
  typeIndex(type: FuncType): number {
    const key = `${type.params.join()}:${type.results.join()}`;
    let index = this.typeIndices.get(key);
    if (index === undefined) {
      index = this.types.push(type) - 1;
      this.typeIndices.set(key, index);
    }
    return index;
  }

  importMemory(module: string, name: string, limits: MemoryLimits): void {
    this.setMemory(limits);
    this.memoryImported = true;
    this.imports.push({ module, name, write: (out) => writeLimits(out.u8(importKind.memory), limits) });
  }
  memory(limits: MemoryLimits, exportName?: string): void {
    this.setMemory(limits);
    if (exportName !== undefined) this.addExport(exportName, exportKind.memory, 0);
  }
  private setMemory(limits: MemoryLimits): void {
    if (this.memoryLimits) throw new Error("the module already has a memory");
    this.memoryLimits = limits;
  }

  /** Puts bytes into memory when the module is instantiated, or where `Func.memoryInit` of the number that is returned says so. */
  addData(bytes: Uint8Array, address?: number): number {
    return this.data.push({ address, bytes }) - 1;
  }
  /** Runs the function, which takes and gives nothing, when the module is instantiated. */
  startWith(fn: FuncRef): void {
    if (fn.module !== this) throw new Error(`start: function "${fn.name}" belongs to another module`);
    this.starting = fn;
  }

  /**
   * From now on functions read the constants of `Func.f32x4`, `i32x4`, `i16x8` and `i8x16` from memory, up to `most` words of 32 bits
   * from `address` on. What has to lie there, `constantWords` tells.
   */
  keepConstants(address: number, most: number): void {
    this.wordPlaces = { address, most };
  }
  /** The words at the address that `keepConstants` was given. */
  constantWords(): Int32Array {
    return Int32Array.from(this.words.keys());
  }
  /** The address of a word, which is added where it is new; undefined where there is no room for it. */
  wordAddress(word: number): number | undefined {
    const { address, most } = this.wordPlaces;
    let at = this.words.get(word);
    if (at === undefined && this.words.size < most) {
      at = address + this.words.size * 4;
      this.words.set(word, at);
    }
    return at;
  }

  /** Imports come before all other functions. */
  importFunction(
    module: string,
    name: string,
    params: readonly ValueType[],
    results: readonly ValueType[],
  ): FuncRef {
    if (this.functions.length > this.importedFunctions) {
      throw new Error(`import ${module}.${name}: imports come before the module's own functions`);
    }
    const named = Object.fromEntries(params.map((type, i) => [`p${i}`, type]));
    const ref = this.addFunction(name, { params: named, results });
    this.importedFunctions++;
    const typeIndex = this.typeIndex(ref.type);
    this.imports.push({
      module,
      name,
      write: (out) => writeUnsigned(out.u8(importKind.function), typeIndex),
    });
    return ref;
  }

  private addFunction<P extends Params>(name: string, { params, results }: Signature<P>): FuncRef<P> {
    if (this.scalar && [...Object.values(params), ...results].includes("v128")) {
      throw new Error(`function "${name}": vectors in a signature have no plain form`);
    }
    const type: FuncType = { params: Object.values(params), results };
    const ref: FuncRef<P> = { module: this, name, index: this.functions.length, params, type };
    this.functions.push(ref);
    this.typeIndex(type);
    return ref;
  }

  /** A function that can be called before `define` gives its body. */
  declare<P extends Params>(name: string, signature: Signature<P>): FuncRef<P> {
    const ref = this.addFunction(name, signature);
    if (signature.export) this.addExport(name, exportKind.function, ref.index);
    return ref;
  }

  /** Emits the body of a declared function. Bodies do not nest: finish one before the next. */
  define<P extends Params>(ref: FuncRef<P>, body: (f: Func<P>) => void): void {
    if (ref.module !== this) throw new Error(`function "${ref.name}" belongs to another module`);
    if (ref.index < this.importedFunctions) throw new Error(`function "${ref.name}" is imported`);
    if (this.bodies.has(ref)) throw new Error(`function "${ref.name}" is already defined`);
    if (this.emitting !== undefined) {
      throw new Error(`function "${ref.name}" cannot be defined inside the body of "${this.emitting}"`);
    }
    this.emitting = ref.name;
    try {
      const f = new Func(this, ref, this.scratch);
      body(f);
      this.bodies.set(ref, f.finish());
      this.usesMemory ||= f.usesMemory;
    } finally {
      this.emitting = undefined;
    }
  }

  /** `declare` and `define` in one. */
  func<P extends Params>(name: string, signature: Signature<P>, body: (f: Func<P>) => void): FuncRef<P> {
    const ref = this.declare(name, signature);
    this.define(ref, body);
    return ref;
  }

  global(type: ValueType, options: GlobalOptions): GlobalRef {
    const index = this.globals.length;
    const ref = { module: this, index, type, mutable: options.mutable ?? false };
    this.globals.push({ ref, init: options.init });
    if (options.export !== undefined) this.addExport(options.export, exportKind.global, index);
    return ref;
  }

  /** A table of fixed size that holds `functions`, for `call_indirect`. */
  table(functions: readonly FuncRef[], exportName?: string): TableRef {
    const foreign = functions.find((ref) => ref.module !== this);
    if (foreign) throw new Error(`table: function "${foreign.name}" belongs to another module`);
    const index = this.tables.push(functions) - 1;
    if (exportName !== undefined) this.addExport(exportName, exportKind.table, index);
    return { module: this, index };
  }

  private addExport(name: string, kind: number, index: number): void {
    if (this.exports.has(name)) throw new Error(`two exports are named "${name}"`);
    this.exports.set(name, { kind, index });
  }

  /** The module's bytes, ready for `new WebAssembly.Module`; without `names` its functions have none. */
  encode(names = true): Uint8Array<ArrayBuffer> {
    const missing = this.ownFunctions().find((ref) => !this.bodies.has(ref));
    if (missing) throw new Error(`function "${missing.name}" is declared but not defined`);
    if ((this.usesMemory || this.data.length) && !this.memoryLimits)
      throw new Error("functions use memory but the module has none");
    const out = new ByteWriter();
    out.u32(0x6d736100).u32(1);
    this.writeTypeSection(out);
    this.writeImportSection(out);
    this.writeDefinitionSections(out);
    this.writeExportSection(out);
    const { starting, data } = this;
    if (starting) writeSection(out, section.start, (body) => writeUnsigned(body, starting.index));
    this.writeElementSection(out);
    if (data.length) writeSection(out, section.dataCount, (body) => writeUnsigned(body, data.length));
    this.writeCodeSection(out);
    this.writeDataSection(out);
    if (names) this.writeNameSection(out);
    return out.finish() as Uint8Array<ArrayBuffer>;
  }

  private ownFunctions(): FuncRef[] {
    return this.functions.slice(this.importedFunctions);
  }

  private writeTypeSection(out: ByteWriter): void {
    writeVector(out, section.type, this.types, (body, type) => {
      body.u8(0x60);
      writeTypes(body, type.params);
      writeTypes(body, type.results);
    });
  }
  private writeImportSection(out: ByteWriter): void {
    writeVector(out, section.import, this.imports, (body, item) => {
      writeName(body, item.module);
      writeName(body, item.name);
      item.write(body);
    });
  }
  /** Sections 3 to 6: what the module defines, bodies apart. */
  private writeDefinitionSections(out: ByteWriter): void {
    writeVector(out, section.function, this.ownFunctions(), (body, ref) => {
      writeUnsigned(body, this.typeIndex(ref.type));
    });
    writeVector(out, section.table, this.tables, (body, functions) => {
      writeLimits(body.u8(funcref), { min: functions.length, max: functions.length });
    });
    const memories = this.memoryLimits && !this.memoryImported ? [this.memoryLimits] : [];
    writeVector(out, section.memory, memories, writeLimits);
    writeVector(out, section.global, this.globals, (body, { ref, init }) => {
      body.u8(typeBytes[ref.type]).u8(ref.mutable ? 1 : 0);
      writeConstantExpression(body, ref.type, init);
    });
  }
  private writeExportSection(out: ByteWriter): void {
    writeVector(out, section.export, [...this.exports], (body, [name, { kind, index }]) => {
      writeName(body, name);
      writeUnsigned(body.u8(kind), index);
    });
  }
  /** One active segment a table, with the table's number written out (form 2). */
  private writeElementSection(out: ByteWriter): void {
    writeVector(out, section.element, this.tables, (body, functions, index) => {
      writeUnsigned(body.u8(2), index);
      writeConstantExpression(body, "i32", 0);
      body.u8(0); // elements are function indices
      writeUnsigned(body, functions.length);
      for (const ref of functions) writeUnsigned(body, ref.index);
    });
  }
  private writeCodeSection(out: ByteWriter): void {
    writeVector(out, section.code, this.ownFunctions(), (body, ref) => {
      const entry = this.bodies.get(ref) as Uint8Array;
      writeUnsigned(body, entry.length);
      body.raw(entry);
    });
  }
  private writeDataSection(out: ByteWriter): void {
    writeVector(out, section.data, this.data, (body, { address, bytes }) => {
      body.u8(address === undefined ? 1 : 0);
      if (address !== undefined) writeConstantExpression(body, "i32", address);
      writeUnsigned(body, bytes.length);
      body.raw(bytes);
    });
  }
  private writeNameSection(out: ByteWriter): void {
    writeSection(out, section.custom, (body) => {
      writeName(body, "name");
      const functionNames = 1;
      writeVector(body, functionNames, this.functions, (names, ref) => {
        writeUnsigned(names, ref.index);
        writeName(names, ref.name);
      });
    });
  }
}

/** A section that is a counted list; left out where the list is empty. */
function writeVector<T>(
  out: ByteWriter,
  id: number,
  items: readonly T[],
  write: (body: ByteWriter, item: T, index: number) => void,
): void {
  if (items.length === 0) return;
  writeSection(out, id, (body) => {
    writeUnsigned(body, items.length);
    items.forEach((item, index) => {
      write(body, item, index);
    });
  });
}
