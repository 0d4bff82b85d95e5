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
const idleWork = 32;
const optimizedSpeedup = 3;
/** Calls whose fastest is the time before optimization. */
const baselineCalls = 4;
/** Where the code never gets faster (one compiler only, a very busy machine), the wait ends here, in ms. */
const patience = 6;

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

/** An instruction of three operands, and its cases `[a][b][c]`, 16 bytes each. */
interface Probe {
  readonly operation: Ternary;
  readonly inputs: Uint8Array;
}

/** Results of a probe, one list for each time that they changed. */
type Results = readonly ArrayBuffer[];

const resultBytes = ({ inputs }: Probe): number => inputs.length / 3;

/**
 * Applies instructions to their cases, all in one function, since waiting for the optimizing compiler is what takes time:
 * ```
 * (memory (export "memory") 1)
 * (func (export "run") (param $rounds i32)
 *   for $rounds, for each probe, for each case: out[i] = operation(in[i].a, in[i].b, in[i].c); some idle work)
 * ```
 * Gives for each the bytes of all results after one round (compiled in haste), and again where they change as the engine optimizes.
 */
function runProbes(probes: readonly Probe[]): Results[] {
  const inputBytes = probes.reduce((sum, { inputs }) => sum + inputs.length, 0);
  const m = new Module();
  m.memory({ min: Math.ceil((inputBytes * 4) / 3 / 65536) }, "memory");
  // V8 keeps compiled modules by their bytes, for all threads: a known module would skip the first compiler.
  m.global("f64", { init: Math.random() });
  m.func("run", { params: { rounds: "i32" }, results: [], export: true }, (f) => {
    const [round, at, out, unused] = [f.local("i32"), f.local("i32"), f.local("i32"), f.local("i32")];
    forRange(f, round, 0, f.params.rounds, 1, () => {
      f.i32(inputBytes);
      f.set(out);
      let start = 0;
      for (const { operation, inputs } of probes) {
        forRange(f, at, start, start + inputs.length, 48, () => {
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
        start += inputs.length;
      }
    });
  });
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(m.encode()));
  const { buffer } = exports.memory as WebAssembly.Memory;
  const run = exports.run as (rounds: number) => void;
  let at = 0;
  for (const { inputs } of probes) {
    new Uint8Array(buffer, at).set(inputs);
    at += inputs.length;
  }
  const found = probes.map((probe) => {
    const words = new Int32Array(buffer, at, resultBytes(probe) / 4);
    at += words.byteLength;
    return { words, seen: [] as Int32Array<ArrayBuffer>[] };
  });
  const look = (): void => {
    for (const { words, seen } of found) {
      if (!seen[0] || words.some((word, i) => word !== seen[0][i])) seen.push(words.slice());
    }
  };
  run(1);
  look();
  const start = performance.now();
  let baseline = Number.POSITIVE_INFINITY;
  for (let call = 0, now = start, took = 0; now - start < patience; call++) {
    run(hotRounds);
    took = performance.now() - now;
    now += took;
    if (call < baselineCalls) baseline = Math.min(baseline, took);
    look();
    if (took * optimizedSpeedup < baseline) break;
  }
  return found.map(({ seen }) => seen.map(({ buffer }) => buffer));
}

/** A probe with what its results say. */
interface Question<T> extends Probe {
  /** Where there are no relaxed instructions. */
  readonly otherwise: T;
  answer(results: Results): T;
}

function dotQuestion(operation: Ternary): Question<DotMode> {
  const corpus = dotCorpus();
  return {
    ...{ operation, inputs: corpus.inputs, otherwise: "none" },
    answer: (results) =>
      classifyDot(
        corpus,
        results.map((bytes) => new Int32Array(bytes)),
      ),
  };
}

const dot = (): Question<DotMode> => dotQuestion((f) => f.op("i32x4.relaxed_dot_i8x16_i7x16_add_s"));

/** What the dot product of pairs does, the pairs being added up by an exact instruction. */
const pairDot = (): Question<DotMode> =>
  dotQuestion((f) => {
    const c = f.local("v128");
    f.set(c);
    f.op("i16x8.relaxed_dot_i8x16_i7x16_s");
    f.op("i32x4.extadd_pairwise_i16x8_s");
    f.get(c);
    f.op("i32x4.add");
  });

function madd(op: "f32x4.relaxed_madd" | "f32x4.relaxed_nmadd"): Question<MaddMode> {
  const corpus = maddCorpus(op === "f32x4.relaxed_nmadd");
  return {
    ...{ operation: (f) => f.op(op), inputs: corpus.inputs, otherwise: "none" },
    answer: (results) =>
      classifyMadd(
        corpus,
        results.map((bytes) => new Float32Array(bytes)),
      ),
  };
}

function signSelect(): Question<boolean> {
  const corpus = selectCorpus();
  return {
    ...{ operation: (f) => f.op("i32x4.relaxed_laneselect"), inputs: corpus.inputs, otherwise: false },
    answer: (results) =>
      isSelectedBySign(
        corpus,
        results.map((bytes) => new Int32Array(bytes)),
      ),
  };
}

/** The answers to questions that are asked together. */
function ask<T extends readonly unknown[]>(...questions: { [K in keyof T]: Question<T[K]> }): T {
  const list: readonly Question<unknown>[] = questions;
  if (!probeRelaxedSimd()) return list.map(({ otherwise }) => otherwise) as unknown as T;
  const results = runProbes(list);
  return list.map(({ answer }, i) => answer(results[i])) as unknown as T;
}

/** What the int8 dot product does here; see `DotMode`. */
export const probeDot = (): DotMode => ask(dot())[0];

/** Whether `f32x4.relaxed_madd` and `relaxed_nmadd` round once (`fused`) or twice. */
export const probeMadd = (): MaddMode => agreed(ask(madd("f32x4.relaxed_madd"), madd("f32x4.relaxed_nmadd")));

const agreed = ([a, b]: readonly [MaddMode, MaddMode]): MaddMode => (a === b ? a : "none");

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
 * The machine's features, probed at the first call (a few ms, at most some 12) and frozen. Throws UnsupportedError in a page whose
 * Content-Security-Policy forbids WebAssembly.
 */
export function features(): Features {
  if (known) return known;
  requireCompiling();
  const [dotMode, add, subtract, isBySign] = ask(
    dot(),
    madd("f32x4.relaxed_madd"),
    madd("f32x4.relaxed_nmadd"),
    signSelect(),
  );
  known = Object.freeze({
    simd: probeSimd(),
    relaxedSimd: probeRelaxedSimd(),
    threads: probeThreads(),
    dot: dotMode,
    // Asked for only where the planner would use it.
    pairDot: dotMode === "saturating" || dotMode === "i7" ? ask(pairDot())[0] : "none",
    madd: agreed([add, subtract]),
    signSelect: isBySign,
  });
  return known;
}
