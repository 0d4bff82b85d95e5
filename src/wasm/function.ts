/**
 * Emits the body of one function. Methods append instructions in order; each checks the types on the operand stack and
 * throws at the generator's line that is wrong.
 *
 * ```ts
 * m.func("dot", { params: { a: "i32", b: "i32" }, results: ["f32"], export: true }, (f) => {
 *   f.get(f.params.a);
 *   f.op("f32.load");
 *   f.get(f.params.b);
 *   f.op("f32.load", { offset: 4 });
 *   f.op("f32.mul");
 * });
 * ```
 */
import { ByteWriter } from "../base/bytes.ts";
import { accessesMemory, writeImmediate } from "./_immediate.ts";
import { ScalarVectors } from "./_scalar.ts";
import type { PlainCode } from "./_scalar-stack.ts";
import { type Label, OperandStack } from "./_stack.ts";
import { writeUnsigned } from "./leb128.ts";
import {
  control,
  type Immediate,
  type ImmediateOf,
  type Instruction,
  instruction,
  type OpName,
  type ValueType,
} from "./opcodes.ts";
import {
  type FuncRef,
  type FuncType,
  type GlobalRef,
  type Local,
  type Params,
  type TableRef,
  typeBytes,
} from "./types.ts";

/** What a function needs to know of its module. */
export interface ModuleTypes {
  /** Functions are made without vectors (`_scalar.ts`). */
  readonly scalar: boolean;
  typeIndex(type: FuncType): number;
  /** Where the word lies in memory, if it does. */
  wordAddress(word: number): number | undefined;
}

type BlockBody = (label: Label) => void;

export class Func<P extends Params = Params> {
  readonly name: string;
  readonly params: { readonly [K in keyof P]: Local };
  /** Whether an instruction accesses memory. */
  usesMemory = false;
  private readonly module: ModuleTypes;
  private readonly stack: OperandStack;
  private readonly code: ByteWriter;
  private readonly localTypes: ValueType[] = [];
  private readonly paramCount: number;
  /** What makes plain instructions of those on vectors. */
  private readonly vectors: ScalarVectors | undefined;

  /** `code` receives the instructions; it is emptied first. */
  constructor(module: ModuleTypes, ref: FuncRef<P>, code: ByteWriter) {
    this.module = module;
    this.name = ref.name;
    this.stack = new OperandStack(ref.name, ref.type.results);
    this.code = code;
    code.length = 0;
    this.paramCount = ref.type.params.length;
    this.vectors = module.scalar ? new ScalarVectors(this.plainCode()) : undefined;
    const params = Object.entries(ref.params).map(([name, type], index): [string, Local] => [
      name,
      { owner: this, index, type, name },
    ]);
    this.params = Object.fromEntries(params) as { readonly [K in keyof P]: Local };
  }

  // Instructions of the table

  /**
   * Any instruction of the table: `f.op("f32x4.add")`, `f.op("v128.load", { offset: 16 })`,
   * `f.op("f32x4.extract_lane", { lane: 2 })`, `f.op("i8x16.shuffle", { lanes })`.
   */
  op<N extends OpName>(name: N, ...[immediate]: ImmediateOf<N>): void {
    const row = instruction(name);
    if (!row) this.stack.fail(`there is no instruction ${name}`);
    this.stack.pop(row.operands, name);
    if (this.vectors && (row.operands.includes("v128") || row.results.includes("v128"))) {
      const lowered = this.vectors.lower(name, immediate as Immediate | undefined);
      if (!lowered) this.stack.fail(`${name} has no plain form`);
    } else this.write(row, immediate as Immediate | undefined);
    this.usesMemory ||= accessesMemory(row);
    this.stack.push(row.results);
  }
  private write(row: Instruction, immediate: Immediate | undefined): void {
    const { bytes } = row;
    for (let i = 0; i < bytes.length; i++) this.code.u8(bytes[i]);
    writeImmediate(this.code, row, immediate, this.stack);
  }
  private plainCode(): PlainCode {
    const scratch = new Map<string, number>();
    return {
      plain: (name, immediate) => this.write(instruction(name)!, immediate),
      plainSelect: () => this.code.u8(control.select),
      getIndex: (index) => writeUnsigned(this.code.u8(control["local.get"]), index),
      setIndex: (index) => writeUnsigned(this.code.u8(control["local.set"]), index),
      scratch: (type, number) => {
        const key = `${type}${number}`;
        const known = scratch.get(key) ?? this.addLocal(type);
        scratch.set(key, known);
        return known;
      },
    };
  }

  // Constants

  /** A number in [−2^31, 2^32). */
  i32(value: number): void {
    this.op("i32.const", { value });
  }
  i64(value: bigint): void {
    this.op("i64.const", { value });
  }
  f32(value: number): void {
    this.op("f32.const", { value });
  }
  f64(value: number): void {
    this.op("f64.const", { value });
  }
  /** 16 bytes, lane 0 first. */
  v128(value: Uint8Array): void {
    this.op("v128.const", { value });
  }
  /** The same number in every lane. */
  f32x4(value: number): void {
    this.splat(new Float32Array(4).fill(value));
  }
  /** The same number, signed or unsigned, in every lane; so below. */
  i32x4(value: number): void {
    this.splat(new Int32Array(4).fill(this.lane(value, 32)));
  }
  i16x8(value: number): void {
    this.splat(new Int16Array(8).fill(this.lane(value, 16)));
  }
  i8x16(value: number): void {
    this.splat(new Int8Array(16).fill(this.lane(value, 8)));
  }
  /** From memory, where the module keeps its constants there; all zeros and all ones are one instruction anyway. */
  private splat({ buffer }: Float32Array | Int32Array | Int16Array | Int8Array): void {
    const [word] = new Int32Array(buffer);
    const offset = word === 0 || word === -1 ? undefined : this.module.wordAddress(word);
    if (offset === undefined) this.v128(new Uint8Array(buffer));
    else {
      this.i32(0);
      this.op("v128.load32_splat", { offset });
    }
  }
  private lane(value: number, bits: number): number {
    if (!Number.isInteger(value) || value < -(2 ** (bits - 1)) || value >= 2 ** bits) {
      this.stack.fail(`constant ${value} does not fit a lane of ${bits} bits`);
    }
    return value;
  }

  // Locals and globals

  /** A new variable, 0 at first. */
  local(type: ValueType, name = ""): Local {
    const isSplit = this.vectors && type === "v128";
    const index = this.addLocal(isSplit ? "i32" : type);
    if (isSplit) for (let i = 0; i < 3; i++) this.addLocal("i32");
    return { owner: this, index, type, name };
  }
  private addLocal(type: ValueType): number {
    this.localTypes.push(type);
    return this.paramCount + this.localTypes.length - 1;
  }
  private access(code: number, local: Local): void {
    if (local.owner !== this) this.stack.fail(`local "${local.name}" belongs to another function`);
    if (this.vectors && local.type === "v128") {
      this.accessSplit(code, local);
      return;
    }
    this.code.u8(code);
    writeUnsigned(this.code, local.index);
  }
  /** A vector in four locals. */
  private accessSplit(code: number, { index }: Local): void {
    const each = (own: number, lane: number): void => writeUnsigned(this.code.u8(own), index + lane);
    const lanes = [0, 1, 2, 3];
    if (code !== control["local.get"])
      for (const lane of lanes.toReversed()) each(control["local.set"], lane);
    if (code !== control["local.set"]) for (const lane of lanes) each(control["local.get"], lane);
  }
  get(local: Local): void {
    this.access(control["local.get"], local);
    this.stack.pushOne(local.type);
  }
  set(local: Local): void {
    this.stack.pop([local.type], `local.set ${local.name}`);
    this.access(control["local.set"], local);
  }
  /** Sets and leaves the value on the stack. */
  tee(local: Local): void {
    this.stack.pop([local.type], `local.tee ${local.name}`);
    this.access(control["local.tee"], local);
    this.stack.pushOne(local.type);
  }
  getGlobal(global: GlobalRef): void {
    this.own(global, "global");
    this.code.u8(control["global.get"]);
    writeUnsigned(this.code, global.index);
    this.stack.pushOne(global.type);
  }
  setGlobal(global: GlobalRef): void {
    this.own(global, "global");
    if (!global.mutable) this.stack.fail("global.set of a constant");
    this.stack.pop([global.type], "global.set");
    this.code.u8(control["global.set"]);
    writeUnsigned(this.code, global.index);
  }
  private own(ref: { readonly module: object }, what: string): void {
    if (ref.module !== this.module) this.stack.fail(`a ${what} of another module`);
  }

  /** Takes address, first byte and number of bytes: copies them from a segment without address (`Module.addData`). */
  memoryInit(segment: number): void {
    this.stack.pop(["i32", "i32", "i32"], "memory.init");
    this.code.u8(0xfc).u8(8);
    writeUnsigned(this.code, segment);
    this.code.u8(0);
    this.usesMemory = true;
  }

  // Control

  /** `br` to the label leaves the block. */
  block(body: BlockBody, results: readonly ValueType[] = []): void {
    this.openBlock(control.block, "block", results, body);
    this.end();
  }
  /** `br` to the label starts the next round; falling off the end leaves the loop. */
  loop(body: BlockBody, results: readonly ValueType[] = []): void {
    this.openBlock(control.loop, "loop", results, body);
    this.end();
  }
  /** Takes an i32 condition. Without `otherwise` there can be no results. */
  if(then: BlockBody, otherwise?: BlockBody, results: readonly ValueType[] = []): void {
    this.stack.pop(["i32"], "if");
    const label = this.openBlock(control.if, "if", results, then);
    if (otherwise) {
      this.stack.restart();
      this.code.u8(control.else);
      otherwise(label);
    } else if (results.length > 0) {
      this.stack.fail("if with results needs an else");
    }
    this.end();
  }
  private openBlock(
    code: number,
    kind: "block" | "loop" | "if",
    results: readonly ValueType[],
    body: BlockBody,
  ): Label {
    if (this.vectors && results.includes("v128")) this.stack.fail(`${kind}: a vector has no plain form here`);
    this.code.u8(code);
    if (results.length === 0) this.code.u8(0x40);
    else if (results.length === 1) this.code.u8(typeBytes[results[0]]);
    else this.writeTypeIndex({ params: [], results });
    const label = this.stack.enter(kind, results);
    body(label);
    return label;
  }
  /** A block type is a signed number of 33 bits: one more than the unsigned form needs where bit 6 of the last byte is set. */
  private writeTypeIndex(type: FuncType): void {
    const index = this.module.typeIndex(type);
    let rest = index;
    while (rest > 63) {
      this.code.u8((rest & 0x7f) | 0x80);
      rest >>>= 7;
    }
    this.code.u8(rest);
  }
  private end(): void {
    this.stack.leave();
    this.code.u8(control.end);
  }

  br(label: Label): void {
    this.branch(control.br, label, "br");
    this.stack.stop();
  }
  /** Takes an i32 condition from the top. */
  brIf(label: Label): void {
    this.stack.pop(["i32"], "br_if");
    this.branch(control.br_if, label, "br_if");
    this.stack.push(label.branchTypes);
  }
  private branch(code: number, label: Label, instruction: string): void {
    const distance = this.stack.distance(label, instruction);
    this.stack.pop(label.branchTypes, instruction);
    this.code.u8(code);
    writeUnsigned(this.code, distance);
  }
  /** Takes an i32: branches to `labels[i]`, beyond the last to `otherwise`. All must take the same types. */
  brTable(labels: readonly Label[], otherwise: Label): void {
    this.stack.pop(["i32"], "br_table");
    this.code.u8(control.br_table);
    writeUnsigned(this.code, labels.length);
    for (const label of [...labels, otherwise]) {
      if (label.branchTypes.join() !== otherwise.branchTypes.join()) {
        this.stack.fail("br_table to blocks of different types");
      }
      writeUnsigned(this.code, this.stack.distance(label, "br_table"));
    }
    this.stack.pop(otherwise.branchTypes, "br_table");
    this.stack.stop();
  }
  return(): void {
    this.stack.pop(this.stack.functionResults, "return");
    this.code.u8(control.return);
    this.stack.stop();
  }
  unreachable(): void {
    this.code.u8(control.unreachable);
    this.stack.stop();
  }
  nop(): void {
    this.code.u8(control.nop);
  }
  drop(): void {
    const isSplit = this.stack.popAny("drop") === "v128" && this.vectors;
    for (let i = 0; i < (isSplit ? 4 : 1); i++) this.code.u8(control.drop);
  }
  /** a, b, condition → a where the condition is not 0, else b. */
  select(): void {
    const type = this.stack.select();
    if (this.vectors && type === "v128") this.vectors.select();
    else this.code.u8(control.select);
  }
  call(fn: FuncRef): void {
    this.own(fn, `function ("${fn.name}")`);
    this.stack.pop(fn.type.params, `call ${fn.name}`);
    this.code.u8(control.call);
    writeUnsigned(this.code, fn.index);
    this.stack.push(fn.type.results);
  }
  /** Takes the parameters, then the i32 index into the table. */
  callIndirect(type: FuncType, table: TableRef): void {
    this.own(table, "table");
    this.stack.pop([...type.params, "i32"], "call_indirect");
    this.code.u8(control.call_indirect);
    writeUnsigned(this.code, this.module.typeIndex(type));
    writeUnsigned(this.code, table.index);
    this.stack.push(type.results);
  }

  /** Ends the function: its entry in the code section, without the size in front. */
  finish(): Uint8Array {
    this.end();
    const entry = new ByteWriter();
    const groups: { type: ValueType; count: number }[] = [];
    for (const type of this.localTypes) {
      const last = groups.at(-1);
      if (last?.type === type) last.count++;
      else groups.push({ type, count: 1 });
    }
    writeUnsigned(entry, groups.length);
    for (const { type, count } of groups) {
      writeUnsigned(entry, count);
      entry.u8(typeBytes[type]);
    }
    return entry.raw(this.code.finish()).finish();
  }
}
