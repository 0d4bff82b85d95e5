import { describe, expect, it } from "vitest";
import { Module } from "../../src/wasm/index.ts";

const compile = (m: Module): WebAssembly.Module => new WebAssembly.Module(m.encode());

describe("functions", () => {
  it("are called before they are defined, and recursively", () => {
    const m = new Module();
    const odd = m.declare("odd", { params: { n: "i32" }, results: ["i32"] });
    const even = m.func("even", { params: { n: "i32" }, results: ["i32"], export: true }, (f) => {
      f.get(f.params.n);
      f.op("i32.eqz");
      f.if(() => f.i32(1), () => {
        f.get(f.params.n);
        f.i32(1);
        f.op("i32.sub");
        f.call(odd);
      }, ["i32"]);
    });
    m.define(odd, (f) => {
      f.get(f.params.n);
      f.op("i32.eqz");
      f.if(() => f.i32(0), () => {
        f.get(f.params.n);
        f.i32(1);
        f.op("i32.sub");
        f.call(even);
      }, ["i32"]);
    });
    const { exports } = new WebAssembly.Instance(compile(m));
    expect([6, 7].map(exports.even as (n: number) => number)).toEqual([1, 0]);
  });

  it("are imported, and called through tables", () => {
    const m = new Module();
    m.importMemory("env", "memory", { min: 1, max: 2, shared: true });
    const log = m.importFunction("env", "log", ["i32", "f32"], []);
    const type = { params: ["i32"], results: ["i32"] } as const;
    const [add, mul] = (["add", "mul"] as const).map((op) =>
      m.func(op, { params: { x: "i32" }, results: ["i32"] }, (f) => {
        f.get(f.params.x);
        f.i32(3);
        f.op(`i32.${op}`);
      }),
    );
    m.table([mul]);
    const table = m.table([add, mul], "table");
    m.func("run", { params: { which: "i32", x: "i32" }, results: ["i32"], export: true }, (f) => {
      f.get(f.params.x);
      f.f32(0.5);
      f.call(log);
      f.get(f.params.x);
      f.get(f.params.which);
      f.callIndirect(type, table);
    });
    const logged: number[][] = [];
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 2, shared: true });
    const env = { memory, log: (...values: number[]) => logged.push(values) };
    const run = new WebAssembly.Instance(compile(m), { env }).exports.run as (w: number, x: number) => number;
    expect([run(0, 10), run(1, 10)]).toEqual([13, 30]);
    expect(logged).toEqual([
      [10, 0.5],
      [10, 0.5],
    ]);
    expect(() => run(2, 10)).toThrow(WebAssembly.RuntimeError);
  });

  it("have names that engines see", () => {
    const m = new Module();
    m.func("gemm 4×2, relu", { params: {}, results: [], export: true }, (f) => f.unreachable());
    const module = compile(m);
    expect(WebAssembly.Module.customSections(module, "name")).toHaveLength(1);
    let stack = "";
    try {
      (new WebAssembly.Instance(module).exports["gemm 4×2, relu"] as () => void)();
    } catch (error) {
      stack = (error as Error).stack ?? "";
    }
    expect(stack).toContain("gemm 4×2, relu");
  });

  it("share types, more than one LEB byte of them", () => {
    const m = new Module();
    for (let i = 0; i < 140; i++) {
      const params = Object.fromEntries(Array.from({ length: i }, (_, k) => [`p${k}`, "i32" as const]));
      m.func(`f${i}`, { params, results: [], export: true }, () => {});
    }
    m.func("pair", { params: {}, results: ["i32"], export: true }, (f) => {
      f.block(() => {
        f.i32(40);
        f.i32(2);
      }, ["i32", "i32"]);
      f.op("i32.add");
    });
    expect((new WebAssembly.Instance(compile(m)).exports.pair as () => number)()).toBe(42);
  });

  it("declare many locals of mixed types", () => {
    const m = new Module();
    m.func("many", { params: { a: "f64" }, results: ["f64"], export: true }, (f) => {
      const locals = Array.from({ length: 300 }, (_, i) => f.local(i % 7 ? "f64" : "v128"));
      for (const local of locals) {
        if (local.type === "v128") continue;
        f.get(f.params.a);
        f.set(local);
      }
      f.get(locals[299]);
    });
    expect((new WebAssembly.Instance(compile(m)).exports.many as (a: number) => number)(2.5)).toBe(2.5);
  });
});

it("has globals of every type", () => {
  const m = new Module();
  const counter = m.global("i32", { mutable: true, init: 5, export: "counter" });
  m.global("i64", { init: -1n, export: "long" });
  m.global("f32", { init: 1.5, export: "single" });
  m.global("f64", { init: 0.1, export: "double" });
  const constant = m.global("v128", { init: new Uint8Array(16).fill(7) });
  m.func("bump", { params: {}, results: ["i32"], export: true }, (f) => {
    f.getGlobal(counter);
    f.getGlobal(constant);
    f.op("i8x16.extract_lane_u", { lane: 9 });
    f.op("i32.add");
    f.setGlobal(counter);
    f.getGlobal(counter);
  });
  const { exports } = new WebAssembly.Instance(compile(m));
  const value = (name: string): unknown => (exports[name] as WebAssembly.Global).value;
  expect((exports.bump as () => number)()).toBe(12);
  expect(["counter", "long", "single", "double"].map(value)).toEqual([12, -1n, 1.5, 0.1]);
  expect(() => m.func("set", { params: {}, results: [] }, (f) => f.setGlobal(constant))).toThrow(
    "of a constant",
  );
});

it("exports its own memory", () => {
  const m = new Module();
  m.memory({ min: 2, max: 3 }, "memory");
  const { memory } = new WebAssembly.Instance(compile(m)).exports;
  expect((memory as WebAssembly.Memory).buffer.byteLength).toBe(2 * 65536);
});

it("is valid when empty", () => {
  expect(WebAssembly.validate(new Module().encode())).toBe(true);
});

it("names the generator's mistakes", () => {
  const empty = { params: {}, results: [] } as const;
  const m = new Module();
  const late = m.declare("late", { ...empty, export: true });
  expect(() => m.encode()).toThrow('function "late" is declared but not defined');
  expect(() => m.importFunction("env", "f", [], [])).toThrow("imports come before");
  expect(() => m.define(late, () => m.func("inner", empty, () => {}))).toThrow('inside the body of "late"');
  m.define(late, (f) => {
    f.i32(0);
    f.op("i32.load");
    f.drop();
  });
  expect(() => m.define(late, () => {})).toThrow("already defined");
  expect(() => m.declare("late", { ...empty, export: true })).toThrow('two exports are named "late"');
  expect(() => new Module().define(late, () => {})).toThrow("belongs to another module");
  m.define(m.declare("inner", empty), () => {});
  const unfinished = /declared but not defined/;
  expect(() => m.encode()).toThrow(unfinished);
  const n = new Module();
  n.func("load", { params: {}, results: ["i32"] }, (f) => {
    f.i32(0);
    f.op("i32.load");
  });
  expect(() => n.encode()).toThrow("functions use memory but the module has none");
  n.memory({ min: 1 });
  expect(() => n.memory({ min: 1 })).toThrow("already has a memory");
  expect(() => {
    const s = new Module();
    s.memory({ min: 1, shared: true });
    s.encode();
  }).toThrow("needs a maximum");
});

it("reads constants from memory as far as there is room", () => {
  const m = new Module();
  m.memory({ min: 1 }, "memory");
  m.keepConstants(128, 2);
  m.func("sum", { params: {}, results: ["f32"], export: true }, (f) => {
    f.f32x4(1.5);
    f.f32x4(0);
    f.op("f32x4.add");
    for (const value of [1.5, -4, 100]) {
      f.f32x4(value);
      f.op("f32x4.add");
    }
    f.i8x16(-1);
    f.op("v128.and");
    f.op("f32x4.extract_lane", { lane: 3 });
  });
  const words = m.constantWords();
  expect([...new Float32Array(words.buffer)]).toEqual([1.5, -4]);
  const { sum, memory } = new WebAssembly.Instance(compile(m)).exports;
  new Int32Array((memory as WebAssembly.Memory).buffer, 128).set(words);
  expect((sum as () => number)()).toBe(99);
});
