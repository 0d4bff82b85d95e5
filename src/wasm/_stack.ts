/**
 * Types of the operand stack while a function is emitted: the validation algorithm of the WebAssembly spec's appendix.
 * After a branch the stack is polymorphic: pops below the block's start give `any` until the block ends.
 */
import type { ValueType } from "./opcodes.ts";

type StackType = ValueType | "any";

/** An open block, seen from inside it: where `br` goes. */
export interface Label {
  readonly kind: "function" | "block" | "loop" | "if";
  /** Number of blocks around it. */
  readonly depth: number;
  /** What the block leaves on the stack. */
  readonly results: readonly ValueType[];
  /** What a branch to it takes from the stack. */
  readonly branchTypes: readonly ValueType[];
}

interface Frame extends Label {
  /** Height of the operand stack where the block began. */
  readonly height: number;
  unreachable: boolean;
}

export class OperandStack {
  private readonly owner: string;
  private readonly types: StackType[] = [];
  private readonly frames: Frame[] = [];
  private top!: Frame;

  /** `owner` names the function in errors. */
  constructor(owner: string, results: readonly ValueType[]) {
    this.owner = owner;
    this.enter("function", results);
  }

  fail(message: string): never {
    throw new Error(`wasm function "${this.owner}": ${message}`);
  }

  /** Blocks that are open, the function itself included. */
  get depth(): number {
    return this.frames.length;
  }

  push(types: readonly ValueType[]): void {
    for (let i = 0; i < types.length; i++) this.types.push(types[i]);
  }

  pushOne(type: ValueType): void {
    this.types.push(type);
  }

  /** Pops operands whose last is on top. */
  pop(expected: readonly ValueType[], instruction: string): void {
    for (let i = expected.length - 1; i >= 0; i--) {
      if (this.types.length === this.top.height) {
        if (this.top.unreachable) continue;
        this.mismatch(expected, expected.slice(i + 1), instruction);
      }
      const found = this.types.pop() as StackType;
      if (found !== expected[i] && found !== "any") {
        this.mismatch(expected, [found, ...expected.slice(i + 1)], instruction);
      }
    }
  }

  private mismatch(expected: readonly ValueType[], popped: readonly StackType[], instruction: string): never {
    this.types.push(...popped);
    this.fail(`${instruction} expects [${expected.join(" ")}], found ${this.describe()}`);
  }

  private describe(): string {
    const inBlock = this.types.slice(this.top.height);
    const shown = inBlock.slice(-8).join(" ");
    const where = this.top.kind === "function" ? "" : ` in this ${this.top.kind}`;
    return `[${inBlock.length > 8 ? "… " : ""}${shown}]${where}`;
  }

  popAny(instruction: string): StackType {
    if (this.types.length > this.top.height) return this.types.pop() as StackType;
    if (!this.top.unreachable) this.fail(`${instruction} expects a value, found ${this.describe()}`);
    return "any";
  }

  /** Two values of one type become one, whose type is returned. */
  select(): StackType {
    this.pop(["i32"], "select");
    const b = this.popAny("select");
    const a = this.popAny("select");
    if (a !== b && a !== "any" && b !== "any") {
      this.types.push(a, b, "i32");
      this.fail(`select expects two values of one type below the condition, found ${this.describe()}`);
    }
    const type = a === "any" ? b : a;
    this.types.push(type);
    return type;
  }

  enter(kind: Label["kind"], results: readonly ValueType[]): Label {
    this.top = {
      kind,
      depth: this.frames.length,
      results,
      branchTypes: kind === "loop" ? [] : results,
      height: this.types.length,
      unreachable: false,
    };
    this.frames.push(this.top);
    return this.top;
  }

  /** Checks that exactly the block's results are left; `what` names the end in errors (`end of loop`). */
  private checkEnd(what: string): void {
    this.pop(this.top.results, what);
    if (this.types.length !== this.top.height) {
      this.push(this.top.results);
      this.fail(`${what} expects [${this.top.results.join(" ")}], found ${this.describe()}`);
    }
  }

  /** At `else`: the block begins anew. */
  restart(): void {
    this.checkEnd("end of then");
    this.top.unreachable = false;
  }

  /** At `end`: the results go to the block around. Of the function's own end nothing is left. */
  leave(): void {
    this.checkEnd(`end of ${this.top.kind}`);
    const { results } = this.top;
    this.frames.pop();
    if (this.frames.length === 0) return;
    this.top = this.frames[this.frames.length - 1];
    this.push(results);
  }

  /** After an instruction that never continues. */
  stop(): void {
    this.types.length = this.top.height;
    this.top.unreachable = true;
  }

  get functionResults(): readonly ValueType[] {
    return this.frames[0].results;
  }

  /** How many blocks a branch from here to `label` leaves. */
  distance(label: Label, instruction: string): number {
    if (this.frames[label.depth] !== label) this.fail(`${instruction} to a block that is not open here`);
    return this.frames.length - 1 - label.depth;
  }
}
