/**
 * Tells what `i32x4.relaxed_dot_i8x16_i7x16_add_s` does from its results on operands chosen to tell.
 *
 * The spec fixes the result only where the second operand is in 0..127. What machines do beyond that is known from V8's and
 * SpiderMonkey's code generators: Arm sdot; x86 vpdpbusd (VNNI), exact with an unsigned second operand; x86 pmaddubsw +
 * pmaddwd, the same but saturating each sum of two products to 16 bits.
 */
import { Random } from "../base/random.ts";

/**
 * - `signed`: second operand −128..127; exact unless both factors of a product are −128
 * - `unsigned`: second operand 0..255, exact
 * - `saturating`: second operand 0..255, exact where each sum of products 2k and 2k+1 fits 16 bits; so 0..127 is exact
 * - `i7`: second operand 0..127, exact
 * - `none`: the instruction is missing, or wrong even there
 *
 * The first operand is −128..127 in all modes; the sum with the accumulator wraps at 32 bits.
 */
export type DotMode = "signed" | "unsigned" | "saturating" | "i7" | "none";

export type DotRange = Exclude<DotMode, "none">;
type Range = DotRange;
const ranges: readonly Range[] = ["i7", "signed", "saturating", "unsigned"];

/** `[a: 16 s8][b: 16 bytes][c: 4 s32]` for each case. */
const caseBytes = 48;
const casesPerRange = 16;

export interface DotCorpus {
  readonly inputs: Uint8Array;
  /** For each case the range it belongs to and its four exact sums. */
  readonly cases: readonly { readonly range: Range; readonly expected: readonly number[] }[];
}

const extremesA = [-128, -127, -1, 0, 1, 126, 127];
const extremesB: Record<Range, readonly number[]> = {
  i7: [0, 1, 63, 64, 126, 127],
  signed: [-128, -127, -65, -1, 0, 1, 127],
  saturating: [0, 1, 127, 128, 129, 254, 255],
  unsigned: [0, 1, 127, 128, 129, 254, 255],
};
const bounds: Record<Range, readonly [number, number]> = {
  i7: [0, 127],
  signed: [-128, 127],
  saturating: [0, 255],
  unsigned: [0, 255],
};
const accumulators = [0, 1, -1, 2 ** 31 - 1, -(2 ** 31), 2 ** 31 - 100, 100 - 2 ** 31];
/** Sums of two products that just fit 16 bits: 32767 and −32768. */
const brink: readonly (readonly [number, number, number, number])[] = [
  [127, 255, 2, 191],
  [-128, 255, -1, 128],
];

type Pair = readonly [a0: number, b0: number, a1: number, b1: number];

function allowed([a0, b0, a1, b1]: Pair, range: Range): boolean {
  if (range === "signed") return !((a0 === -128 && b0 === -128) || (a1 === -128 && b1 === -128));
  const sum = a0 * b0 + a1 * b1;
  return range !== "saturating" || (sum >= -32768 && sum <= 32767);
}

/** Two products: extremes, or anything, of the range. */
function drawPair(random: Random, range: Range): Pair {
  if (range === "saturating" && random.next() < 0.2) return random.pick(brink);
  const [low, high] = bounds[range];
  const extreme = random.next() < 0.6;
  const a = (): number => (extreme ? random.pick(extremesA) : random.int(-128, 127));
  const b = (): number => (extreme ? random.pick(extremesB[range]) : random.int(low, high));
  for (;;) {
    const pair: Pair = [a(), b(), a(), b()];
    if (allowed(pair, range)) return pair;
  }
}

/** Every lane of one case at the same extremes: no draw can miss these. */
function uniformPairs(range: Range): Pair[] {
  const [low, high] = bounds[range];
  const all = [-128, 127].flatMap((a) =>
    [low, high].flatMap((b): Pair[] => [
      [a, b, a, b],
      [a, b, -a - 1, b],
    ]),
  );
  return all.filter((pair) => allowed(pair, range));
}

export function dotCorpus(): DotCorpus {
  const random = new Random(20);
  const cases: { range: Range; expected: number[] }[] = [];
  const inputs = new Uint8Array(ranges.length * casesPerRange * caseBytes);
  for (const range of ranges) {
    const uniform = uniformPairs(range);
    for (let i = 0; i < casesPerRange; i++) {
      const at = cases.length * caseBytes;
      const c = new Int32Array(inputs.buffer, at + 32, 4);
      const expected: number[] = [];
      for (let lane = 0; lane < 4; lane++) {
        c[lane] = random.pick(accumulators);
        let sum = c[lane];
        for (let k = 0; k < 4; k += 2) {
          const [a0, b0, a1, b1] = uniform[i] ?? drawPair(random, range);
          inputs.set([a0, a1], at + lane * 4 + k);
          inputs.set([b0, b1], at + 16 + lane * 4 + k);
          sum += a0 * b0 + a1 * b1;
        }
        expected.push(sum | 0);
      }
      cases.push({ range, expected });
    }
  }
  return { inputs, cases };
}

/** The strongest mode that all of `runs` agree with; each is the four sums of every case. */
export function classifyDot(corpus: DotCorpus, runs: Iterable<Int32Array>): DotMode {
  const right = new Set<Range>(ranges);
  for (const results of runs) {
    corpus.cases.forEach(({ range, expected }, i) => {
      if (expected.some((sum, lane) => sum !== results[i * 4 + lane])) right.delete(range);
    });
  }
  if (!right.has("i7")) return "none";
  if (right.has("signed")) return "signed";
  if (!right.has("saturating")) return "i7";
  return right.has("unsigned") ? "unsigned" : "saturating";
}
