/**
 * A small module that asks what `features.ts` asks, for files that choose among others where they run: its `probe(rounds)` gives a bit for each
 * behaviour that held in all rounds.
 */
import { type DotRange, dotCorpus } from "./_dot.ts";
import { maddCorpus } from "./_madd.ts";
import { selectCorpus } from "./_select.ts";
import type { Func } from "./function.ts";
import { forRange } from "./helpers.ts";
import { Module } from "./module.ts";
import type { Local } from "./types.ts";

/** Operands and what has to come of them: `[a][b][c][result]`, 16 bytes each. */
const caseBytes = 64;
/** Of each kind: the first of the dot products are the extremes. */
const cases = 8;

export const probeBits = { signed: 1, unsigned: 2, saturating: 4, pairs: 8, fused: 16, bySign: 32 } as const;

interface Question {
  readonly bit: number;
  /** Takes a, b and c and leaves the result. */
  operation(f: Func): void;
  readonly cases: Uint8Array;
}

/** `results` of the cases that `inputs` holds, `[a][b][c]` each. */
function casesOf(
  inputs: Uint8Array,
  results: Int32Array | Float32Array,
  chosen: readonly number[],
): Uint8Array {
  const out = new Uint8Array(chosen.length * caseBytes);
  const bytes = new Uint8Array(results.buffer, results.byteOffset, results.byteLength);
  chosen.forEach((from, to) => {
    out.set(inputs.subarray(from * 48, from * 48 + 48), to * caseBytes);
    out.set(bytes.subarray(from * 16, from * 16 + 16), to * caseBytes + 48);
  });
  return out;
}

function questions(): Question[] {
  const dots = dotCorpus();
  const sums = Int32Array.from(dots.cases.flatMap(({ expected }) => expected));
  const of = (range: DotRange): Uint8Array => {
    const chosen = dots.cases.flatMap((each, i) => (each.range === range ? [i] : [])).slice(0, cases);
    return casesOf(dots.inputs, sums, chosen);
  };
  const dot = (f: Func): void => f.op("i32x4.relaxed_dot_i8x16_i7x16_add_s");
  const pairs = (f: Func): void => {
    const c = f.local("v128");
    f.set(c);
    f.op("i16x8.relaxed_dot_i8x16_i7x16_s");
    f.op("i32x4.extadd_pairwise_i16x8_s");
    f.get(c);
    f.op("i32x4.add");
  };
  const { signed, unsigned, saturating, pairs: inPairs, fused, bySign } = probeBits;
  const first = Array.from({ length: cases }, (_, i) => i);
  const madd = (negate: boolean): Uint8Array => {
    const corpus = maddCorpus(negate);
    return casesOf(corpus.inputs, corpus.fused, first);
  };
  const select = selectCorpus();
  return [
    { bit: signed | unsigned | saturating, operation: dot, cases: of("i7") },
    { bit: signed, operation: dot, cases: of("signed") },
    { bit: unsigned | saturating, operation: dot, cases: of("saturating") },
    { bit: unsigned, operation: dot, cases: of("unsigned") },
    { bit: inPairs, operation: pairs, cases: of("i7") },
    { bit: inPairs, operation: pairs, cases: of("saturating") },
    { bit: fused, operation: (f) => f.op("f32x4.relaxed_madd"), cases: madd(false) },
    { bit: fused, operation: (f) => f.op("f32x4.relaxed_nmadd"), cases: madd(true) },
    {
      bit: bySign,
      operation: (f) => f.op("i32x4.relaxed_laneselect"),
      cases: casesOf(select.inputs, select.bySign, first),
    },
  ];
}

/** The module's bytes. */
export function probeBytes(): Uint8Array<ArrayBuffer> {
  const m = new Module();
  m.memory({ min: 1 });
  const all = questions();
  const places = new Map<string, number>();
  let end = 0;
  const placed = all.map(({ bit, operation, cases }) => {
    const key = cases.join();
    const at = places.get(key) ?? end;
    if (at === end) {
      m.addData(cases, at);
      end += cases.length;
      places.set(key, at);
    }
    return { bit, operation, from: at, to: at + cases.length };
  });
  m.func("probe", { params: { rounds: "i32" }, results: ["i32"], export: true }, (f) => {
    const [round, at, found] = ["round", "at", "found"].map((name) => f.local("i32", name));
    f.i32(-1);
    f.set(found);
    forRange(f, round, 0, f.params.rounds, 1, () => {
      for (const { bit, operation, from, to } of placed) {
        forRange(f, at, from, to, caseBytes, () => emitCase(f, at, found, operation, bit));
      }
    });
    f.get(found);
  });
  return m.encode(false);
}

function emitCase(f: Func, at: Local, found: Local, operation: Question["operation"], bit: number): void {
  for (const offset of [0, 16, 32]) {
    f.get(at);
    f.op("v128.load", { offset });
  }
  operation(f);
  f.get(at);
  f.op("v128.load", { offset: 48 });
  f.op("v128.xor");
  f.op("v128.any_true");
  f.if(() => {
    f.get(found);
    f.i32(~bit);
    f.op("i32.and");
    f.set(found);
  });
}
