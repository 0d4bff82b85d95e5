/** Vectors as four numbers on the stack, and in scratch variables: what `_scalar.ts` makes instructions of. */
import type { Immediate, OpName } from "./opcodes.ts";

/** What appends plain instructions to a function, unchecked. */
export interface PlainCode {
  plain(name: OpName, immediate?: Immediate): void;
  plainSelect(): void;
  getIndex(index: number): void;
  setIndex(index: number): void;
  /** The number of a scratch variable. */
  scratch(type: "i32" | "i64" | "f32" | "f64", number: number): number;
}

export type Emit = () => void;
export type Half = "low" | "high";

export class VectorStack {
  protected readonly code: PlainCode;

  constructor(code: PlainCode) {
    this.code = code;
  }

  protected op(name: OpName, immediate?: Immediate): void {
    this.code.plain(name, immediate);
  }

  protected get(index: number): void {
    this.code.getIndex(index);
  }

  protected set(index: number): void {
    this.code.setIndex(index);
  }

  protected number(value: number): void {
    this.op("i32.const", { value });
  }

  protected selectNumber(): void {
    this.code.plainSelect();
  }

  protected i32(number: number): number {
    return this.code.scratch("i32", number);
  }

  /** Lane of operand 0, 1 or 2. */
  protected lane(operand: number, lane: number): number {
    return this.i32((operand < 2 ? operand * 4 : 12) + lane);
  }

  /** Takes a vector from the stack. */
  protected pop(operand: number): void {
    for (let i = 3; i >= 0; i--) this.set(this.lane(operand, i));
  }

  protected address(): number {
    return this.i32(9);
  }

  /** `make` for each lane of the result. */
  protected each(operands: number, make: (lane: number) => void): Emit {
    return () => {
      for (let operand = operands - 1; operand >= 0; operand--) this.pop(operand);
      for (let i = 0; i < 4; i++) make(i);
    };
  }

  protected push(operand: number): void {
    for (let i = 0; i < 4; i++) this.get(this.lane(operand, i));
  }

  /** The number on the stack four times. */
  protected repeat(): void {
    this.set(this.lane(0, 0));
    for (let i = 0; i < 4; i++) this.get(this.lane(0, 0));
  }

  /** Two numbers of 16 bits as a word. */
  protected pair(low: Emit, high: Emit): void {
    low();
    this.number(0xffff);
    this.op("i32.and");
    high();
    this.number(16);
    this.op("i32.shl");
    this.op("i32.or");
  }

  protected binary(name: string, lane: number): void {
    this.get(this.lane(0, lane));
    this.get(this.lane(1, lane));
    this.op(name as OpName);
  }

  /** Of a vector and a number of bits. */
  protected shifted(make: (lane: number, count: number) => void): Emit {
    return () => {
      const count = this.i32(8);
      this.set(count);
      this.pop(0);
      for (let i = 0; i < 4; i++) make(i, count);
    };
  }

  /** A half of a lane as a number. */
  protected half(operand: number, lane: number, which: Half, isUnsigned = false): void {
    this.get(this.lane(operand, lane));
    if (which === "low")
      this.op(isUnsigned ? "i32.const" : "i32.extend16_s", isUnsigned ? { value: 0xffff } : undefined);
    else this.number(16);
    if (which === "high") this.op(isUnsigned ? "i32.shr_u" : "i32.shr_s");
    else if (isUnsigned) this.op("i32.and");
  }

  protected both(op: OpName, lane: number, which: Half): void {
    this.half(0, lane, which);
    this.half(1, lane, which);
    this.op(op);
  }

  protected byte(operand: number, lane: number, byte: number, isUnsigned: boolean): void {
    this.get(this.lane(operand, lane));
    this.number(24 - byte * 8);
    this.op("i32.shl");
    this.number(24);
    this.op(isUnsigned ? "i32.shr_u" : "i32.shr_s");
  }

  /** A word of four bytes. */
  protected bytes(make: (byte: number) => void): void {
    for (let k = 0; k < 4; k++) {
      make(k);
      this.number(255);
      this.op("i32.and");
      this.number(k * 8);
      this.op("i32.shl");
      if (k) this.op("i32.or");
    }
  }

  /** The number on the stack, within bounds. */
  protected clamp(least: number, most: number): void {
    const value = this.i32(10);
    for (const [bound, op] of [
      [least, "i32.gt_s"],
      [most, "i32.lt_s"],
    ] as const) {
      this.set(value);
      this.get(value);
      this.number(bound);
      this.get(value);
      this.number(bound);
      this.op(op);
      this.selectNumber();
    }
  }
}
