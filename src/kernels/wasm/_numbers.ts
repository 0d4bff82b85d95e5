/** Numbers that a kernel has in its code, or finds in memory where layers share it. */
import { type Expression, i32, set } from "../../wasm/expressions.ts";
import type { Func, Local } from "../../wasm/index.ts";
import { temp } from "./_temp.ts";

export class Numbers {
  private readonly f: Func;
  private readonly known: ReadonlyMap<string, number>;
  private readonly isShared: boolean;
  private readonly names: readonly string[];

  /** `known`: in their order in memory. */
  constructor(f: Func, known: ReadonlyMap<string, number>, isShared: boolean) {
    this.f = f;
    this.known = known;
    this.isShared = isShared;
    this.names = [...this.known.keys()];
  }

  /** Reads those that are used as integers; at the beginning of the kernel. */
  load(): void {
    if (!this.isShared) return;
    for (const name of this.names) {
      if (/^(store\d+\.limits|step.*)$/.test(name)) continue;
      set(this.f, this.local(name), i32.load(this.f.params.numbers, this.offset(name)));
    }
  }

  of(name: string): number | Local {
    return this.isShared ? this.local(name) : this.known.get(name)!;
  }

  /** The word in every lane. */
  splat(name: string): Expression {
    return (f) => {
      f.get(f.params.numbers);
      f.op("v128.load32_splat", { offset: this.offset(name) });
    };
  }

  /** Byte `index` of the word in every lane. */
  splatByte(name: string, index: number): Expression {
    return (f) => {
      f.get(f.params.numbers);
      f.op("v128.load8_splat", { offset: this.offset(name) + index });
    };
  }

  private offset(name: string): number {
    return this.names.indexOf(name) * 4;
  }
  private local(name: string): Local {
    return temp(this.f, `number ${name}`, "i32");
  }
}
