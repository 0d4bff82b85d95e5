/** Tells from results whether a·b + c is rounded once or twice. */
import { Random } from "../base/random.ts";

/** `none`: missing, wrong, or not the same everywhere. */
export type MaddMode = "fused" | "unfused" | "none";

const caseCount = 24;

export interface MaddCorpus {
  /** `[a: 4 f32][b: 4 f32][c: 4 f32]` for each case. */
  readonly inputs: Uint8Array;
  readonly fused: Float32Array;
  readonly unfused: Float32Array;
}

/**
 * Operands whose exact a·b + c fits a double, so that rounding that gives the fused result: in two of three cases c cancels
 * the rounded product (fused leaves the rounding error, unfused 0), in the others product and sum are exact anyway and only
 * signs and lanes are tested. With `negate`, −(a·b) + c.
 */
export function maddCorpus(negate: boolean): MaddCorpus {
  const random = new Random(11);
  const values = new Float32Array(caseCount * 12);
  const fused = new Float32Array(caseCount * 4);
  const unfused = new Float32Array(caseCount * 4);
  for (let i = 0; i < caseCount * 4; i++) {
    const at = (i >> 2) * 12 + (i & 3);
    const exact = i % 3 === 2;
    const draw = (): number =>
      exact ? random.int(-2047, 2047) : Math.fround(random.uniform(1, 2) * 2 ** random.int(-8, 8));
    const a = draw() * (random.next() < 0.5 ? -1 : 1);
    const b = draw();
    const product = negate ? -a * b : a * b;
    const c = exact ? random.int(-2047, 2047) : -Math.fround(product);
    values[at] = a;
    values[at + 4] = b;
    values[at + 8] = c;
    fused[i] = product + c;
    unfused[i] = Math.fround(product) + c;
  }
  return { inputs: new Uint8Array(values.buffer), fused, unfused };
}

export function classifyMadd(corpus: MaddCorpus, runs: Iterable<Float32Array>): MaddMode {
  let fused = true;
  let unfused = true;
  for (const results of runs) {
    fused &&= corpus.fused.every((value, i) => value === results[i]);
    unfused &&= corpus.unfused.every((value, i) => value === results[i]);
  }
  if (fused) return "fused";
  return unfused ? "unfused" : "none";
}
