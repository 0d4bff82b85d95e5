/**
 * Attention in heads, softmax(Q·Kᵀ)·V; Q is scaled already. Rows lie behind each other (`[row][slot]`), and a head
 * is a run of `width` slots. Each output row of each head is one unit of work: scores of all keys go to scratch memory.
 */
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
      f.get(unit);
      f.i32(spec.queries);
      f.op("i32.div_u");
      f.i32(spec.width * 4);
      f.op("i32.mul");
      f.set(head);
      /** local = base + head + query·bytes */
      const rowOf = (local: Local, base: Local, bytes: number): void => {
        f.get(base);
        f.get(head);
        f.op("i32.add");
        f.get(unit);
        f.i32(spec.queries);
        f.op("i32.rem_u");
        f.i32(bytes);
        f.op("i32.mul");
        f.op("i32.add");
        f.set(local);
      };
      const start = (local: Local, base: Local): void => {
        f.get(base);
        f.get(head);
        f.op("i32.add");
        f.set(local);
      };
      const [row, key] = [temp(f, "row", "i32"), temp(f, "key", "i32")];
      rowOf(row, p.q, spec.qBytes);
      start(key, p.k);
      emitScores(f, spec, target, row, key);
      emitExponentials(f, spec, target, sum);
      rowOf(row, p.out, spec.outBytes);
      emitWeightedSum(f, spec, target, row, sum, (local, offset) => {
        start(local, p.v);
        addTo(f, local, offset);
      });
    });
  });
}

/** acc += a·b with a, b on the stack. */
function accumulate(f: Func, target: Target, acc: Local): void {
  if (target.relaxed) {
    f.get(acc);
    f.op("f32x4.relaxed_madd");
  } else {
    f.op("f32x4.mul");
    f.get(acc);
    f.op("f32x4.add");
  }
  f.set(acc);
}

/** scratch[j] = q · key j; four keys at a time, then the rest. Lanes that fill up the last vector get −10³⁰. */
function emitScores(f: Func, spec: AttentionSpec, target: Target, q: Local, key: Local): void {
  const to = temp(f, "to", "i32");
  const query = temp(f, "query");
  const dots = (count: number): void => {
    const acc = (i: number): Local => temp(f, `acc${i}`);
    for (let i = 0; i < count; i++) {
      f.f32x4(0);
      f.set(acc(i));
    }
    for (let at = 0; at < spec.width * 4; at += 16) {
      f.get(q);
      f.op("v128.load", { offset: at });
      f.set(query);
      for (let i = 0; i < count; i++) {
        f.get(query);
        f.get(key);
        f.op("v128.load", { offset: i * spec.kBytes + at });
        accumulate(f, target, acc(i));
      }
    }
    f.get(to);
    emitSums(f, count);
    f.op("v128.store");
    addTo(f, key, count * spec.kBytes);
    addTo(f, to, 16);
  };
  f.get(f.params.scratch);
  f.set(to);
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
    f.get(f.params.scratch);
    f.set(at);
    forRange(f, temp(f, "group", "i32"), 0, Math.ceil(spec.keys / 4), 1, () => {
      f.get(at);
      f.op("v128.load");
      f.set(x);
      body();
      addTo(f, at, 16);
    });
  };
  f.f32x4(-1e30);
  f.set(max);
  each(() => {
    f.get(max);
    f.get(x);
    f.op("f32x4.pmax");
    f.set(max);
  });
  reduceLanes(f, max, "f32x4.max");
  f.f32x4(0);
  f.set(sum);
  each(() => {
    f.get(x);
    f.get(max);
    f.op("f32x4.sub");
    f.set(x);
    emitExp(f, target, x);
    f.set(x);
    f.get(at);
    f.get(x);
    f.op("v128.store");
    f.get(sum);
    f.get(x);
    f.op("f32x4.add");
    f.set(sum);
  });
  reduceLanes(f, sum, "f32x4.add");
}

/** out = Σ scratch[j]·v[j] / sum. */
function emitWeightedSum(
  f: Func,
  spec: AttentionSpec,
  target: Target,
  out: Local,
  sum: Local,
  startAt: (local: Local, offset: number) => void,
): void {
  const [from, at, weight] = [temp(f, "from", "i32"), temp(f, "at", "i32"), temp(f, "weight")];
  const vectors = spec.width / 4;
  for (let first = 0; first < vectors; first += block) {
    const count = Math.min(block, vectors - first);
    const acc = (i: number): Local => temp(f, `sum${i}`);
    for (let i = 0; i < count; i++) {
      f.f32x4(0);
      f.set(acc(i));
    }
    startAt(from, first * 16);
    f.get(f.params.scratch);
    f.set(at);
    forRange(f, temp(f, "group", "i32"), 0, spec.keys, 1, () => {
      f.get(at);
      f.op("v128.load32_splat");
      f.set(weight);
      for (let i = 0; i < count; i++) {
        f.get(weight);
        f.get(from);
        f.op("v128.load", { offset: i * 16 });
        accumulate(f, target, acc(i));
      }
      addTo(f, at, 4);
      addTo(f, from, spec.vBytes);
    });
    for (let i = 0; i < count; i++) {
      f.get(out);
      f.get(acc(i));
      f.get(sum);
      f.op("f32x4.div");
      f.op("v128.store", { offset: (first + i) * 16 });
    }
  }
}
