/**
 * Attention in heads, softmax(Q·Kᵀ)·V; Q is scaled already. Rows lie behind each other (`[row][slot]`), and a head
 * is a run of `width` slots. Each output row of each head is one unit of work: scores of all keys go to scratch memory.
 */
import { address, type Expression, f32x4, i32, set, store, v128 } from "../../wasm/expressions.ts";
import { addTo, type Func, type FuncRef, forRange, type Local, type Module } from "../../wasm/index.ts";
import { emitExp, reduceLanes } from "./_math.ts";
import { temp } from "./_temp.ts";
import type { Target } from "./spec.ts";

export interface AttentionSpec {
  readonly kind: "attention";
  readonly queries: number;
  readonly keys: number;
  /** Slots of a head, a multiple of 4. */
  readonly width: number;
  /** Bytes between rows. */
  readonly qBytes: number;
  readonly kBytes: number;
  readonly vBytes: number;
  readonly outBytes: number;
}

export function attentionScratchBytes(keys: number): number {
  return (keys + 4) * 4;
}

/** Output vectors that are summed at a time. */
const block = 8;

/** Emits `(q, k, v, scratch, out, begin, end)` for units [begin, end), unit = head·queries + query. */
export function emitAttention(m: Module, name: string, spec: AttentionSpec, target: Target): FuncRef {
  const params = {
    q: "i32",
    k: "i32",
    v: "i32",
    scratch: "i32",
    out: "i32",
    begin: "i32",
    end: "i32",
  } as const;
  return m.func(name, { params, results: [] }, (f) => {
    const [unit, head] = [f.local("i32", "unit"), f.local("i32", "head")];
    const sum = f.local("v128", "sum");
    const p = f.params;
    forRange(f, unit, p.begin, p.end, 1, () => {
      set(f, head, i32.mul(i32.div_u(unit, spec.queries), spec.width * 4));
      const start = (base: Local): Expression => i32.add(base, head);
      const rowOf = (base: Local, bytes: number): Expression =>
        address(start(base), i32.rem_u(unit, spec.queries), bytes);
      const [row, key] = [temp(f, "row", "i32"), temp(f, "key", "i32")];
      set(f, row, rowOf(p.q, spec.qBytes));
      set(f, key, start(p.k));
      emitScores(f, spec, target, row, key);
      emitExponentials(f, spec, target, sum);
      set(f, row, rowOf(p.out, spec.outBytes));
      emitWeightedSum(f, spec, target, row, sum, start(p.v));
    });
  });
}

/** acc + a·b */
function multiplyAdd(target: Target, acc: Local, a: Expression | Local, b: Expression | Local): Expression {
  return target.relaxed ? f32x4.relaxed_madd(a, b, acc) : f32x4.add(f32x4.mul(a, b), acc);
}

/** scratch[j] = q · key j; four keys at a time, then the rest. Lanes that fill up the last vector get −10³⁰. */
function emitScores(f: Func, spec: AttentionSpec, target: Target, q: Local, key: Local): void {
  const to = temp(f, "to", "i32");
  const query = temp(f, "query");
  const dots = (count: number): void => {
    const acc = (i: number): Local => temp(f, `acc${i}`);
    for (let i = 0; i < count; i++) set(f, acc(i), f32x4.of(0));
    for (let at = 0; at < spec.width * 4; at += 16) {
      set(f, query, v128.load(q, at));
      for (let i = 0; i < count; i++) {
        set(f, acc(i), multiplyAdd(target, acc(i), query, v128.load(key, i * spec.kBytes + at)));
      }
    }
    store(f, to, () => emitSums(f, count));
    addTo(f, key, count * spec.kBytes);
    addTo(f, to, 16);
  };
  set(f, to, f.params.scratch);
  forRange(f, temp(f, "group", "i32"), 0, Math.floor(spec.keys / 4), 1, () => dots(4));
  if (spec.keys % 4) dots(spec.keys % 4);
}

/** Pushes a vector of the sums of the lanes of acc0…, and −10³⁰ where there are fewer than four. */
function emitSums(f: Func, count: number): void {
  const lanes = (...floats: number[]): { lanes: number[] } => ({
    lanes: floats.flatMap((lane) => [0, 1, 2, 3].map((byte) => lane * 4 + byte)),
  });
  const pair = (i: number): Local => {
    const result = temp(f, `pair${i}`);
    const [a, b] = [temp(f, `acc${Math.min(i, count - 1)}`), temp(f, `acc${Math.min(i + 1, count - 1)}`)];
    f.get(a);
    f.get(b);
    f.op("i8x16.shuffle", lanes(0, 1, 4, 5));
    f.get(a);
    f.get(b);
    f.op("i8x16.shuffle", lanes(2, 3, 6, 7));
    f.op("f32x4.add");
    f.set(result);
    return result;
  };
  const [low, high] = [pair(0), pair(2)];
  f.get(low);
  f.get(high);
  f.op("i8x16.shuffle", lanes(0, 2, 4, 6));
  f.get(low);
  f.get(high);
  f.op("i8x16.shuffle", lanes(1, 3, 5, 7));
  f.op("f32x4.add");
  if (count === 4) return;
  f.f32x4(-1e30);
  f.v128(Uint8Array.from({ length: 16 }, (_, i) => (i < count * 4 ? 255 : 0)));
  f.op("v128.bitselect");
}

/** scratch = e^(score − max); `sum` = their sum in all lanes. */
function emitExponentials(f: Func, spec: AttentionSpec, target: Target, sum: Local): void {
  const [at, x, max] = [temp(f, "at", "i32"), temp(f, "x"), temp(f, "max")];
  const each = (body: () => void): void => {
    set(f, at, f.params.scratch);
    forRange(f, temp(f, "group", "i32"), 0, Math.ceil(spec.keys / 4), 1, () => {
      set(f, x, v128.load(at));
      body();
      addTo(f, at, 16);
    });
  };
  set(f, max, f32x4.of(-1e30));
  each(() => set(f, max, f32x4.pmax(max, x)));
  reduceLanes(f, max, "f32x4.max");
  set(f, sum, f32x4.of(0));
  each(() => {
    set(f, x, f32x4.sub(x, max));
    set(f, x, () => emitExp(f, target, x));
    store(f, at, x);
    set(f, sum, f32x4.add(sum, x));
  });
  reduceLanes(f, sum, "f32x4.add");
}

/** out = Σ scratch[j]·v[j] / sum, `start` being where the head's values begin. */
function emitWeightedSum(
  f: Func,
  spec: AttentionSpec,
  target: Target,
  out: Local,
  sum: Local,
  start: Expression,
): void {
  const [from, at, weight] = [temp(f, "from", "i32"), temp(f, "at", "i32"), temp(f, "weight")];
  const vectors = spec.width / 4;
  for (let first = 0; first < vectors; first += block) {
    const count = Math.min(block, vectors - first);
    const acc = (i: number): Local => temp(f, `sum${i}`);
    for (let i = 0; i < count; i++) set(f, acc(i), f32x4.of(0));
    set(f, from, start);
    addTo(f, from, first * 16);
    set(f, at, f.params.scratch);
    forRange(f, temp(f, "group", "i32"), 0, spec.keys, 1, () => {
      set(f, weight, v128.load32_splat(at));
      for (let i = 0; i < count; i++) {
        set(f, acc(i), multiplyAdd(target, acc(i), weight, v128.load(from, i * 16)));
      }
      addTo(f, at, 4);
      addTo(f, from, spec.vBytes);
    });
    for (let i = 0; i < count; i++) store(f, out, f32x4.div(acc(i), sum), (first + i) * 16);
  }
}
