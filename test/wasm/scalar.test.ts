/** Vector instructions in plain ones: the same bits as the instructions themselves, for every one that has a plain form. */
import { describe, expect, test } from "vitest";
import { Random } from "../../src/base/random.ts";
import type { Func } from "../../src/wasm/function.ts";
import { Module } from "../../src/wasm/index.ts";
import { type Immediate, instruction, type OpName, opcodes } from "../../src/wasm/opcodes.ts";

const rounds = 40;
/** Operands lie here, 16 bytes each, the result behind; what is loaded and stored, further on. */
const [result, memory] = [64, 128];

/** Takes its operands from memory, and puts the result there. */
function build(scalar: boolean, name: OpName, immediate: Immediate): WebAssembly.Instance | undefined {
  const m = new Module({ scalar });
  m.memory({ min: 1 }, "memory");
  const { operands, results, accessLog2 } = instruction(name)!;
  const emit = (f: Func): void => {
    if (results[0]) f.i32(result);
    operands.forEach((type, i) => {
      // Addresses, numbers of bits, and numbers.
      if (type === "i32" && accessLog2 >= 0) f.i32(memory);
      else {
        f.i32(i * 16);
        f.op(type === "v128" ? "v128.load" : `${type as "i32"}.load`);
      }
    });
    (f.op as (name: OpName, immediate: Immediate) => void)(name, immediate);
    if (results[0]) f.op(results[0] === "v128" ? "v128.store" : `${results[0] as "i32"}.store`);
  };
  try {
    m.func("run", { params: {}, results: [], export: true }, emit);
  } catch (error) {
    expect(String(error)).toContain("no plain form");
    return undefined;
  }
  return new WebAssembly.Instance(new WebAssembly.Module(m.encode()));
}

const random = new Random(9);

/** Bits of anything: bytes, halves, floats, doubles, and extremes of all. */
function operands(shift: number | undefined): Uint8Array {
  const bytes = new Uint8Array(256);
  const view = new DataView(bytes.buffer);
  const kind = random.int(0, 4);
  for (let at = 0; at < 256; at += 8) {
    if (kind === 0)
      for (let i = 0; i < 8; i++) bytes[at + i] = random.pick([0, 1, 127, 128, 129, 255, random.int(0, 255)]);
    else if (kind === 1)
      for (let i = 0; i < 8; i += 2)
        view.setInt16(at + i, random.pick([-32768, 32767, random.int(-300, 300)]), true);
    else if (kind === 2)
      for (let i = 0; i < 8; i += 4)
        view.setFloat32(at + i, random.uniform(-3, 3) * 10 ** random.int(-3, 12), true);
    else if (kind === 3)
      for (let i = 0; i < 8; i += 4) view.setInt32(at + i, random.int(-(2 ** 31), 2 ** 31 - 1), true);
    else view.setFloat64(at, random.uniform(-3, 3) * 10 ** random.int(-30, 30), true);
  }
  if (shift !== undefined) view.setInt32(16, shift, true);
  return bytes;
}

/** Which bits a NaN has is left open. */
function oneNan(bytes: Uint8Array): void {
  const floats = new Float32Array(bytes.buffer, result, 4);
  for (let i = 0; i < 4; i++) if (Number.isNaN(floats[i])) floats[i] = Number.NaN;
}

const names = (Object.keys(opcodes) as OpName[]).filter((name) => {
  const { operands, results } = instruction(name)!;
  return [...operands, ...results].includes("v128") && !name.includes("relaxed");
});

/** What stands behind the opcode, some of all that could. */
function immediates(name: OpName): Immediate[] {
  const { laneCount, shuffle, constant } = instruction(name)!;
  if (constant) return [{ value: operands(undefined).slice(0, 16) }];
  if (shuffle) {
    const any = Array.from({ length: 6 }, () => ({
      lanes: Array.from({ length: 16 }, () => random.int(0, 31)),
    }));
    return [...any, { lanes: [4, 5, 6, 7, 20, 21, 22, 23, 0, 1, 2, 3, 28, 29, 30, 31] }];
  }
  return laneCount ? Array.from({ length: laneCount }, (_, lane) => ({ lane })) : [{}];
}

describe("vectors as plain numbers", () => {
  const lowered = names.filter((name) => build(true, name, immediates(name)[0]));

  test("are had of what kernels use", () => {
    expect(lowered.length).toBeGreaterThan(60);
    expect(lowered).toContain("i32x4.dot_i16x8_s");
  });

  test.each(lowered)("%s", (name) => {
    for (const immediate of immediates(name)) {
      const [plain, vector] = [true, false].map((scalar) => build(scalar, name, immediate)!);
      for (let round = 0; round < rounds; round++) {
        const shift = instruction(name)!.operands.join() === "v128,i32" ? random.int(0, 15) : undefined;
        const input = operands(shift);
        const [a, b] = [plain, vector].map(({ exports }) => {
          const bytes = new Uint8Array((exports.memory as WebAssembly.Memory).buffer);
          bytes.set(input);
          (exports.run as () => void)();
          return bytes.slice(0, 256);
        });
        if (name.startsWith("f32x4")) for (const bytes of [a, b]) oneNan(bytes);
        expect(a, JSON.stringify(immediate)).toEqual(b);
      }
    }
  });

  test("select, tee and drop", () => {
    const [plain, vector] = [true, false].map((scalar) => {
      const m = new Module({ scalar });
      m.memory({ min: 1 }, "memory");
      m.func("run", { params: { condition: "i32" }, results: [], export: true }, (f) => {
        const kept = f.local("v128");
        const load = (at: number): void => {
          f.i32(at);
          f.op("v128.load");
        };
        f.i32(result);
        load(0);
        f.tee(kept);
        load(16);
        f.get(f.params.condition);
        f.select();
        f.op("v128.store");
        load(32);
        f.drop();
        f.i32(result + 16);
        f.get(kept);
        f.op("v128.store");
      });
      return new WebAssembly.Instance(new WebAssembly.Module(m.encode()));
    });
    for (const condition of [0, 1, 5]) {
      const input = operands(undefined);
      const [a, b] = [plain, vector].map(({ exports }) => {
        const bytes = new Uint8Array((exports.memory as WebAssembly.Memory).buffer);
        bytes.set(input);
        (exports.run as (condition: number) => void)(condition);
        return bytes.slice(0, 256);
      });
      expect(a).toEqual(b);
    }
  });
});
