/**
 * Vector instructions in plain ones, for runtimes without vectors: a v128 is four i32, the first deepest on the stack and in the first of four
 * locals. Every instruction that the kernels use in portable code is here; results are the same, bit by bit.
 */
import { type Emit, type Half, VectorStack } from "./_scalar-stack.ts";
import type { Immediate, OpName } from "./opcodes.ts";

export class ScalarVectors extends VectorStack {
  /** Emits the instruction; undefined where there is no plain form of it. */
  lower(name: OpName, immediate: Immediate | undefined): true | undefined {
    const found =
      this.memory(name, immediate ?? {}) ??
      this.lanes(name, immediate ?? {}) ??
      this.words(name) ??
      this.parts(name) ??
      this.doubles(name);
    found?.();
    return found && true;
  }

  /** a, b, condition → a or b, of vectors. */
  select(): void {
    const condition = this.i32(8);
    this.set(condition);
    this.pop(1);
    this.pop(0);
    for (let i = 0; i < 4; i++) {
      this.get(this.lane(0, i));
      this.get(this.lane(1, i));
      this.get(condition);
      this.selectNumber();
    }
  }

  // Loads, stores, constants

  private memory(name: OpName, { offset = 0, lane = 0, value }: Immediate): Emit | undefined {
    const load = (at: number, from: OpName = "i32.load"): void => {
      this.get(this.address());
      this.op(from, { offset: offset + at, align: 0 });
    };
    const fromAddress =
      (make: Emit): Emit =>
      () => {
        this.set(this.address());
        make();
      };
    const splat = (factor: number, from: OpName): Emit =>
      fromAddress(() => {
        load(0, from);
        if (factor !== 1) {
          this.number(factor);
          this.op("i32.mul");
        }
        this.repeat();
      });
    const zeros = (count: number): void => {
      for (let i = 0; i < count; i++) this.number(0);
    };
    const storeLanes = (lanes: readonly number[]): Emit => {
      return () => {
        this.pop(0);
        this.set(this.address());
        lanes.forEach((from, i) => {
          this.get(this.address());
          this.get(this.lane(0, from));
          this.op("i32.store", { offset: offset + i * 4, align: 0 });
        });
      };
    };
    switch (name) {
      case "v128.load":
        return fromAddress(() => [0, 4, 8, 12].forEach((at) => load(at)));
      case "v128.load32_splat":
        return splat(1, "i32.load");
      case "v128.load16_splat":
        return splat(0x10001, "i32.load16_u");
      case "v128.load8_splat":
        return splat(0x1010101, "i32.load8_u");
      case "v128.load32_zero":
        return fromAddress(() => {
          load(0);
          zeros(3);
        });
      case "v128.load64_zero":
        return fromAddress(() => {
          load(0);
          load(4);
          zeros(2);
        });
      case "v128.load8x8_s":
      case "v128.load8x8_u":
        return fromAddress(() => {
          const from = name === "v128.load8x8_s" ? "i32.load8_s" : "i32.load8_u";
          for (const at of [0, 2, 4, 6]) {
            this.pair(
              () => load(at, from),
              () => load(at + 1, from),
            );
          }
        });
      case "v128.load32_lane":
        return () => {
          this.pop(0);
          this.set(this.address());
          load(0);
          this.set(this.lane(0, lane));
          this.push(0);
        };
      case "v128.store":
        return storeLanes([0, 1, 2, 3]);
      case "v128.store32_lane":
        return storeLanes([lane]);
      case "v128.store64_lane":
        return storeLanes([lane * 2, lane * 2 + 1]);
      case "v128.const":
        return () => {
          const words = new Int32Array((value as Uint8Array).slice().buffer);
          for (const word of words) this.number(word);
        };
      default:
        return undefined;
    }
  }

  // Single lanes, and bytes in another order

  private lanes(name: OpName, { lane = 0, lanes }: Immediate): Emit | undefined {
    const splat = (mask: number, factor: number): Emit => {
      return () => {
        if (mask) {
          this.number(mask);
          this.op("i32.and");
          this.number(factor);
          this.op("i32.mul");
        }
        this.repeat();
      };
    };
    switch (name) {
      case "i32x4.splat":
        return splat(0, 1);
      case "i16x8.splat":
        return splat(0xffff, 0x10001);
      case "i8x16.splat":
        return splat(0xff, 0x1010101);
      case "f32x4.splat":
        return () => {
          this.op("i32.reinterpret_f32");
          this.repeat();
        };
      case "i32x4.extract_lane":
      case "f32x4.extract_lane":
        return () => {
          this.pop(0);
          this.get(this.lane(0, lane));
          if (name === "f32x4.extract_lane") this.op("f32.reinterpret_i32");
        };
      case "i8x16.shuffle":
        return () => {
          this.pop(1);
          this.pop(0);
          for (let word = 0; word < 4; word++)
            this.shuffled(Array.from(lanes!).slice(word * 4, word * 4 + 4));
        };
      case "v128.any_true":
        return () => {
          this.pop(0);
          this.push(0);
          for (let i = 0; i < 3; i++) this.op("i32.or");
          this.number(0);
          this.op("i32.ne");
        };
      case "i32x4.bitmask":
        return () => {
          this.pop(0);
          for (let i = 0; i < 4; i++) {
            this.get(this.lane(0, i));
            this.number(31);
            this.op("i32.shr_u");
            this.number(i);
            this.op("i32.shl");
            if (i) this.op("i32.or");
          }
        };
      default:
        return undefined;
    }
  }

  /** A word of four of the bytes of two vectors. */
  private shuffled(bytes: readonly number[]): void {
    const wordOf = (byte: number): number => this.lane(byte >> 4, (byte >> 2) & 3);
    if (bytes[0] % 4 === 0 && bytes.every((byte, i) => byte === bytes[0] + i)) {
      this.get(wordOf(bytes[0]));
      return;
    }
    bytes.forEach((byte, i) => {
      this.get(wordOf(byte));
      this.number((byte & 3) * 8);
      this.op("i32.shr_u");
      this.number(255);
      this.op("i32.and");
      this.number(i * 8);
      this.op("i32.shl");
      if (i) this.op("i32.or");
    });
  }

  // Lane by lane

  private words(name: OpName): Emit | undefined {
    const [type, what] = name.split(".") as [string, string];
    const float = (lane: number, operand: number): void => {
      this.get(this.lane(operand, lane));
      this.op("f32.reinterpret_i32");
    };
    if (type === "v128" && ["and", "or", "xor"].includes(what))
      return this.each(2, (i) => this.binary(`i32.${what}`, i));
    if (name === "v128.bitselect") {
      return this.each(3, (i) => {
        // b ^ ((a ^ b) & mask)
        this.binary("i32.xor", i);
        this.get(this.lane(2, i));
        this.op("i32.and");
        this.get(this.lane(1, i));
        this.op("i32.xor");
      });
    }
    if (type === "i32x4" && ["add", "sub", "mul"].includes(what))
      return this.each(2, (i) => this.binary(`i32.${what}`, i));
    if (type === "i32x4" && ["shl", "shr_s", "shr_u"].includes(what)) {
      return this.shifted((i, count) => {
        this.get(this.lane(0, i));
        this.get(count);
        this.op(`i32.${what}` as OpName);
      });
    }
    if (name === "i32x4.trunc_sat_f32x4_s") {
      return this.each(1, (i) => {
        float(i, 0);
        this.op("i32.trunc_sat_f32_s");
      });
    }
    if (name === "f32x4.convert_i32x4_s") {
      return this.each(1, (i) => {
        this.get(this.lane(0, i));
        this.op("f32.convert_i32_s");
        this.op("i32.reinterpret_f32");
      });
    }
    if (type !== "f32x4") return undefined;
    if (["add", "sub", "mul", "div", "min", "max"].includes(what)) {
      return this.each(2, (i) => {
        float(i, 0);
        float(i, 1);
        this.op(`f32.${what}` as OpName);
        this.op("i32.reinterpret_f32");
      });
    }
    if (["abs", "neg", "sqrt", "nearest", "floor", "ceil", "trunc"].includes(what)) {
      return this.each(1, (i) => {
        float(i, 0);
        this.op(`f32.${what}` as OpName);
        this.op("i32.reinterpret_f32");
      });
    }
    if (["eq", "ne", "lt", "gt", "le", "ge"].includes(what)) {
      return this.each(2, (i) => {
        this.number(0);
        float(i, 0);
        float(i, 1);
        this.op(`f32.${what}` as OpName);
        this.op("i32.sub");
      });
    }
    // pmin: b < a ? b : a; pmax: a < b ? b : a
    if (what !== "pmin" && what !== "pmax") return undefined;
    return this.each(2, (i) => {
      this.get(this.lane(1, i));
      this.get(this.lane(0, i));
      float(i, what === "pmin" ? 1 : 0);
      float(i, what === "pmin" ? 0 : 1);
      this.op("f32.lt");
      this.selectNumber();
    });
  }

  // Halves and bytes of words

  private parts(name: OpName): Emit | undefined {
    switch (name) {
      case "i16x8.add":
      case "i16x8.sub":
      case "i16x8.mul": {
        const op = name.replace("16x8", "32") as OpName;
        return this.each(2, (i) =>
          this.pair(
            () => this.both(op, i, "low"),
            () => this.both(op, i, "high"),
          ),
        );
      }
      case "i16x8.shl":
      case "i16x8.shr_u":
      case "i16x8.shr_s":
        return this.shifted((i, count) => {
          const op = name.replace("16x8", "32") as OpName;
          const part = (which: Half): void => {
            this.half(0, i, which, name === "i16x8.shr_u");
            this.get(count);
            this.op(op);
          };
          this.pair(
            () => part("low"),
            () => part("high"),
          );
        });
      case "i32x4.dot_i16x8_s":
        return this.each(2, (i) => {
          this.both("i32.mul", i, "low");
          this.both("i32.mul", i, "high");
          this.op("i32.add");
        });
      case "i32x4.extadd_pairwise_i16x8_s":
        return this.each(1, (i) => {
          this.half(0, i, "low");
          this.half(0, i, "high");
          this.op("i32.add");
        });
      case "i32x4.extmul_low_i16x8_s":
      case "i32x4.extmul_high_i16x8_s": {
        const first = name.includes("low") ? 0 : 2;
        return this.each(2, (i) => this.both("i32.mul", first + (i >> 1), i % 2 ? "high" : "low"));
      }
      case "i32x4.extend_low_i16x8_s":
      case "i32x4.extend_high_i16x8_s":
      case "i32x4.extend_low_i16x8_u":
      case "i32x4.extend_high_i16x8_u": {
        const first = name.includes("low") ? 0 : 2;
        return this.each(1, (i) =>
          this.half(0, first + (i >> 1), i % 2 ? "high" : "low", name.endsWith("u")),
        );
      }
      case "i16x8.extend_low_i8x16_s":
      case "i16x8.extend_high_i8x16_s":
      case "i16x8.extend_low_i8x16_u":
      case "i16x8.extend_high_i8x16_u": {
        const first = name.includes("low") ? 0 : 2;
        const byte = (i: number, k: number): void =>
          this.byte(0, first + (i >> 1), (i % 2) * 2 + k, name.endsWith("u"));
        return this.each(1, (i) =>
          this.pair(
            () => byte(i, 0),
            () => byte(i, 1),
          ),
        );
      }
      case "i16x8.narrow_i32x4_s":
        return this.each(2, (i) => {
          const part = (k: number): void => {
            this.get(this.lane(i >> 1, (i % 2) * 2 + k));
            this.clamp(-32768, 32767);
          };
          this.pair(
            () => part(0),
            () => part(1),
          );
        });
      case "i8x16.narrow_i16x8_s":
      case "i8x16.narrow_i16x8_u": {
        const [least, most] = name.endsWith("_s") ? [-128, 127] : [0, 255];
        return this.each(2, (i) =>
          this.bytes((k) => {
            this.half(i >> 1, (i % 2) * 2 + (k >> 1), k % 2 ? "high" : "low");
            this.clamp(least, most);
          }),
        );
      }
      case "i8x16.add":
        return this.each(2, (i) =>
          this.bytes((k) => {
            this.byte(0, i, k, true);
            this.byte(1, i, k, true);
            this.op("i32.add");
          }),
        );
      case "i8x16.max_s":
      case "i8x16.min_s":
      case "i8x16.max_u":
      case "i8x16.min_u": {
        const isUnsigned = name.endsWith("u");
        const compare = `i32.${name.includes("max") ? "gt" : "lt"}_s` as OpName;
        return this.each(2, (i) =>
          this.bytes((k) => {
            for (const operand of [0, 1, 0, 1]) this.byte(operand, i, k, isUnsigned);
            this.op(compare);
            this.selectNumber();
          }),
        );
      }
      default:
        return undefined;
    }
  }

  // Doubles, two lanes each

  private doubles(name: OpName): Emit | undefined {
    const take = (operand: number, i: number): void => {
      for (const [part, bits] of [
        [2 * i, 0],
        [2 * i + 1, 32],
      ] as const) {
        this.get(this.lane(operand, part));
        this.op("i64.extend_i32_u");
        if (!bits) continue;
        this.op("i64.const", { value: BigInt(bits) });
        this.op("i64.shl");
        this.op("i64.or");
      }
      this.op("f64.reinterpret_i64");
    };
    const give = (): void => {
      const bits = this.code.scratch("i64", 0);
      this.op("i64.reinterpret_f64");
      this.set(bits);
      this.get(bits);
      this.op("i32.wrap_i64");
      this.get(bits);
      this.op("i64.const", { value: 32n });
      this.op("i64.shr_u");
      this.op("i32.wrap_i64");
    };
    const both = (operands: number, make: (i: number) => void): Emit => {
      return () => {
        for (let operand = operands - 1; operand >= 0; operand--) this.pop(operand);
        for (const i of [0, 1]) make(i);
      };
    };
    switch (name) {
      case "f64x2.promote_low_f32x4":
        return both(1, (i) => {
          this.get(this.lane(0, i));
          this.op("f32.reinterpret_i32");
          this.op("f64.promote_f32");
          give();
        });
      case "f64x2.add":
      case "f64x2.mul":
        return both(2, (i) => {
          take(0, i);
          take(1, i);
          this.op(name === "f64x2.add" ? "f64.add" : "f64.mul");
          give();
        });
      case "f32x4.demote_f64x2_zero":
        return () => {
          both(1, (i) => {
            take(0, i);
            this.op("f32.demote_f64");
            this.op("i32.reinterpret_f32");
          })();
          this.number(0);
          this.number(0);
        };
      default:
        return undefined;
    }
  }
}
