/**
 * What this machine's WebAssembly can do, found out by running tiny modules once. Relaxed instructions are judged by their
 * results, in the first and in the optimizing compiler, since engines differ and have had them wrong.
 */
import { UnsupportedError } from "../base/errors.ts";
import { classifyDot, type DotMode, dotCorpus } from "./_dot.ts";
import { classifyMadd, type MaddMode, maddCorpus } from "./_madd.ts";
import { isSelectedBySign, selectCorpus } from "./_select.ts";
import type { Func } from "./function.ts";
import { addTo, forRange } from "./helpers.ts";
import { Module } from "./module.ts";

export type { DotMode } from "./_dot.ts";
export type { MaddMode } from "./_madd.ts";

/** What this machine's WebAssembly does, found by running it. */
export interface Features {
  /** 128-bit vectors: needed by the engine. */
  readonly simd: boolean;
  /** The relaxed instructions exist; what they do is in `dot` and `madd`. */
  readonly relaxedSimd: boolean;
  /** Shared memory and atomics exist. Whether memory may be sent to a worker (page isolation) is another matter. */
  readonly threads: boolean;
  readonly dot: DotMode;
  /** The same of `i16x8.relaxed_dot_i8x16_i7x16_s`; `none` also where `dot` is better anyway. */
  readonly pairDot: DotMode;
  readonly madd: MaddMode;
  /** `i32x4.relaxed_laneselect` takes a lane of its first operand where the mask is negative, else of its second, as on x86. */
  readonly signSelect: boolean;
}

/**
 * A probe is repeated until the optimizing compiler's code has run too. V8 asks for that code after some 13 MB of executed
 * code, a dozen of our calls, and another thread delivers it, in about a millisecond on an idle machine. Its arrival shows in
 * the time of a call, a large part of which is work that an optimizing compiler drops.
 */
const hotRounds = 8;
const idleWork = 64;
const optimizedSpeedup = 3;
/** Calls whose fastest is the time before optimization. */
const baselineCalls = 4;
/** Where the code never gets faster (one compiler only, a very busy machine), the wait ends here, in ms. */
const patience = 4;

function validates(build: (m: Module) => void): boolean {
  if (typeof WebAssembly === "undefined") return false;
  const m = new Module();
  build(m);
  return WebAssembly.validate(m.encode());
}

/** `(func (result v128) i32.const 1 i8x16.splat i8x16.popcnt)` */
function probeSimd(): boolean {
  return validates((m) =>
    m.func("simd", { params: {}, results: ["v128"] }, (f) => {
      f.i32(1);
      f.op("i8x16.splat");
      f.op("i8x16.popcnt");
    }),
  );
}

/** `(func (result v128) v128.const 0 … v128.const 0 i8x16.relaxed_laneselect)` */
function probeRelaxedSimd(): boolean {
  return validates((m) =>
    m.func("relaxed", { params: {}, results: ["v128"] }, (f) => {
      for (let i = 0; i < 3; i++) f.i8x16(0);
      f.op("i8x16.relaxed_laneselect");
    }),
  );
}

/** `(memory 1 1 shared) (func (result i32) i32.const 0 i32.const 1 i32.atomic.rmw.add)` */
function probeThreads(): boolean {
  return validates((m) => {
    m.memory({ min: 1, max: 1, shared: true });
    m.func("threads", { params: {}, results: ["i32"] }, (f) => {
      f.i32(0);
      f.i32(1);
      f.op("i32.atomic.rmw.add");
    });
  });
}

/** Takes a, b and c from the stack and leaves the result there. */
type Ternary = (f: Func) => void;

/**
 * Applies a three-operand instruction to many cases of `[a][b][c]`, 16 bytes each:
 * ```
 * (memory (export "memory") 1)
 * (func (export "run") (param $rounds i32)
 *   for $rounds, for each case: out[i] = operation(in[i].a, in[i].b, in[i].c); some idle work)
 * ```
 * Yields the bytes of all results after one round (compiled in haste), and again where they change as the engine optimizes.
 */
function* runTernary(operation: Ternary, inputs: Uint8Array): Generator<ArrayBuffer> {
  const count = inputs.length / 48;
  const m = new Module();
  m.memory({ min: Math.ceil((count * 64) / 65536) }, "memory");
  // V8 keeps compiled modules by their bytes, for all threads: a known module would skip the first compiler.
  m.global("f64", { init: Math.random() });
  m.func("run", { params: { rounds: "i32" }, results: [], export: true }, (f) => {
    const [round, at, out, unused] = [f.local("i32"), f.local("i32"), f.local("i32"), f.local("i32")];
    forRange(f, round, 0, f.params.rounds, 1, () => {
      f.i32(inputs.length);
      f.set(out);
      forRange(f, at, 0, inputs.length, 48, () => {
        f.get(out);
        for (const offset of [0, 16, 32]) {
          f.get(at);
          f.op("v128.load", { offset });
        }
        operation(f);
        f.op("v128.store");
        addTo(f, out, 16);
        for (let i = 0; i < idleWork; i++) {
          f.get(unused);
          f.get(at);
          f.op("i32.mul");
          f.set(unused);
        }
      });
    });
  });
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(m.encode()));
  const memory = new Uint8Array((exports.memory as WebAssembly.Memory).buffer);
  const run = exports.run as (rounds: number) => void;
  memory.set(inputs);
  const results = new Int32Array(memory.buffer, inputs.length, count * 4);
  run(1);
  const first = results.slice();
  yield first.buffer;
  const start = performance.now();
  let baseline = Number.POSITIVE_INFINITY;
  for (let call = 0, now = start, took = 0; now - start < patience; call++) {
    run(hotRounds);
    took = performance.now() - now;
    now += took;
    if (call < baselineCalls) baseline = Math.min(baseline, took);
    if (first.some((word, i) => word !== results[i])) yield results.slice().buffer;
    if (took * optimizedSpeedup < baseline) break;
  }
}

/** What the int8 dot product does here; see `DotMode`. */
export function probeDot(): DotMode {
  return classifyOperation((f) => f.op("i32x4.relaxed_dot_i8x16_i7x16_add_s"));
}

/** What the dot product of pairs does, the pairs being added up by an exact instruction. */
function probePairDot(): DotMode {
  return classifyOperation((f) => {
    const c = f.local("v128");
    f.set(c);
    f.op("i16x8.relaxed_dot_i8x16_i7x16_s");
    f.op("i32x4.extadd_pairwise_i16x8_s");
    f.get(c);
    f.op("i32x4.add");
  });
}

function classifyOperation(operation: Ternary): DotMode {
  if (!probeRelaxedSimd()) return "none";
  const corpus = dotCorpus();
  return classifyDot(
    corpus,
    map(runTernary(operation, corpus.inputs), (bytes) => new Int32Array(bytes)),
  );
}

/** Whether `f32x4.relaxed_madd` and `relaxed_nmadd` round once (`fused`) or twice. */
export function probeMadd(): MaddMode {
  if (!probeRelaxedSimd()) return "none";
  const modes = (["f32x4.relaxed_madd", "f32x4.relaxed_nmadd"] as const).map((op) => {
    const corpus = maddCorpus(op === "f32x4.relaxed_nmadd");
    return classifyMadd(
      corpus,
      map(
        runTernary((f) => f.op(op), corpus.inputs),
        (bytes) => new Float32Array(bytes),
      ),
    );
  });
  return modes[0] === modes[1] ? modes[0] : "none";
}

function probeSignSelect(): boolean {
  if (!probeRelaxedSimd()) return false;
  const corpus = selectCorpus();
  const runs = runTernary((f) => f.op("i32x4.relaxed_laneselect"), corpus.inputs);
  return isSelectedBySign(
    corpus,
    map(runs, (bytes) => new Int32Array(bytes)),
  );
}

function* map<T, U>(items: Iterable<T>, change: (item: T) => U): Generator<U> {
  for (const item of items) yield change(item);
}

/** `\0asm`, version 1: the smallest module. */
const emptyModule = Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0);

/** Throws UnsupportedError where a page may not compile WebAssembly. Browsers say this in words of their own, or not at all. */
function requireCompiling(): void {
  if (typeof WebAssembly === "undefined" || !WebAssembly.validate(emptyModule)) return;
  try {
    new WebAssembly.Module(emptyModule);
  } catch (error) {
    throw new UnsupportedError(
      "this page may not compile WebAssembly: its Content-Security-Policy needs 'wasm-unsafe-eval' in script-src (or in default-src, where that stands for it)",
      { cause: error },
    );
  }
}

let known: Features | undefined;

/**
 * The machine's features, probed at the first call (a few ms, at most some 15) and frozen. Throws UnsupportedError in a page whose
 * Content-Security-Policy forbids WebAssembly.
 */
export function features(): Features {
  if (known) return known;
  requireCompiling();
  const dot = probeDot();
  known = Object.freeze({
    simd: probeSimd(),
    relaxedSimd: probeRelaxedSimd(),
    threads: probeThreads(),
    dot,
    // Asked for only where the planner would use it.
    pairDot: dot === "saturating" || dot === "i7" ? probePairDot() : "none",
    madd: probeMadd(),
    signSelect: probeSignSelect(),
  });
  return known;
}
