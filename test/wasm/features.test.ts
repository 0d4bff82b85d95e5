import { describe, expect, it } from "vitest";
import { classifyDot, type DotMode, dotCorpus } from "../../src/wasm/_dot.ts";
import { classifyMadd, maddCorpus } from "../../src/wasm/_madd.ts";
import { isSelectedBySign, selectCorpus } from "../../src/wasm/_select.ts";
import { features, probeDot, probeMadd } from "../../src/wasm/index.ts";

const signed = (x: number): number => (x << 24) >> 24;
const saturate = (x: number): number => Math.max(-32768, Math.min(32767, x));
const wrap16 = (x: number): number => (x << 16) >> 16;

/** One lane: four a (signed) times four b (raw bytes), in the way of some machine. */
type Lane = (a: readonly number[], b: readonly number[]) => number;
const machines: Record<string, { lane: Lane; mode: DotMode }> = {
  "Arm sdot": { mode: "signed", lane: (a, b) => a.reduce((sum, x, k) => sum + x * signed(b[k]), 0) },
  "Arm without dot product (16-bit pairs)": {
    mode: "signed",
    lane: (a, b) =>
      wrap16(a[0] * signed(b[0]) + a[1] * signed(b[1])) + wrap16(a[2] * signed(b[2]) + a[3] * signed(b[3])),
  },
  "x86 vpdpbusd": { mode: "unsigned", lane: (a, b) => a.reduce((sum, x, k) => sum + x * b[k], 0) },
  "x86 pmaddubsw": {
    mode: "saturating",
    lane: (a, b) => saturate(a[0] * b[0] + a[1] * b[1]) + saturate(a[2] * b[2] + a[3] * b[3]),
  },
  "x86 pmaddubsw, wrapping": {
    mode: "saturating",
    lane: (a, b) => wrap16(a[0] * b[0] + a[1] * b[1]) + wrap16(a[2] * b[2] + a[3] * b[3]),
  },
  "the top bit of b ignored": {
    mode: "i7",
    lane: (a, b) => a.reduce((sum, x, k) => sum + x * (b[k] & 127), 0),
  },
  "operands exchanged": {
    mode: "none",
    lane: (a, b) => a.reduce((sum, x, k) => sum + (x & 255) * signed(b[k]), 0),
  },
  "twice the sum": { mode: "none", lane: (a, b) => 2 * a.reduce((sum, x, k) => sum + x * b[k], 0) },
};

describe("dot product modes", () => {
  const corpus = dotCorpus();
  const simulate = (lane: Lane, saturateTotal = false): Int32Array => {
    const results = new Int32Array(corpus.cases.length * 4);
    results.forEach((_, i) => {
      const at = (i >> 2) * 48 + (i & 3) * 4;
      const a = [...new Int8Array(corpus.inputs.buffer, at, 4)];
      const b = [...corpus.inputs.subarray(at + 16, at + 20)];
      const c = new DataView(corpus.inputs.buffer).getInt32(at + 32, true);
      const sum = lane(a, b) + c;
      results[i] = saturateTotal ? Math.max(-(2 ** 31), Math.min(2 ** 31 - 1, sum)) : sum;
    });
    return results;
  };
  it.each(Object.entries(machines))("%s", (_, { lane, mode }) => {
    expect(classifyDot(corpus, [simulate(lane)])).toBe(mode);
  });
  it("an accumulator that saturates is no use", () => {
    expect(classifyDot(corpus, [simulate(machines["Arm sdot"].lane, true)])).toBe("none");
  });
  it("one wrong lane is found", () => {
    for (let lane = 0; lane < 4; lane++) {
      const results = simulate(machines["Arm sdot"].lane);
      results[lane] ^= 1;
      expect(classifyDot(corpus, [results])).toBe("none");
    }
  });
  it("compilers that disagree get what both can do", () => {
    const run = (name: string): Int32Array => simulate(machines[name].lane);
    expect(classifyDot(corpus, [run("Arm sdot"), run("x86 vpdpbusd")])).toBe("i7");
    expect(classifyDot(corpus, [run("x86 vpdpbusd"), run("x86 pmaddubsw")])).toBe("saturating");
    expect(classifyDot(corpus, [run("Arm sdot"), run("twice the sum")])).toBe("none");
  });
});

describe("multiply-add modes", () => {
  it.each([false, true])("negated: %s", (negate) => {
    const corpus = maddCorpus(negate);
    expect(classifyMadd(corpus, [corpus.fused])).toBe("fused");
    expect(classifyMadd(corpus, [corpus.unfused])).toBe("unfused");
    expect(classifyMadd(corpus, [corpus.fused, corpus.unfused])).toBe("none");
    expect(classifyMadd(corpus, [maddCorpus(!negate).fused])).toBe("none");
    const operands = new Float32Array(corpus.inputs.buffer);
    corpus.unfused.forEach((value, i) => {
      const at = (i >> 2) * 12 + (i & 3);
      const product = Math.fround(operands[at] * operands[at + 4]);
      expect(Math.fround((negate ? -product : product) + operands[at + 8])).toBe(value);
    });
  });
});

describe("selection of lanes", () => {
  const corpus = selectCorpus();
  it("by sign, as on x86", () => {
    expect(isSelectedBySign(corpus, [corpus.bySign])).toBe(true);
  });
  it("by bits, as on Arm, is another, and so is one wrong lane", () => {
    const words = new Int32Array(corpus.inputs.buffer);
    const byBits = corpus.bySign.map((_, i) => {
      const [a, b, mask] = [0, 4, 8].map((part) => words[(i >> 2) * 12 + (i & 3) + part]);
      return (a & mask) | (b & ~mask);
    });
    expect(isSelectedBySign(corpus, [byBits])).toBe(false);
    expect(isSelectedBySign(corpus, [corpus.bySign, corpus.bySign.with(3, 0)])).toBe(false);
  });
});

describe("this machine", () => {
  it("is probed once", () => {
    expect(features()).toBe(features());
    expect(Object.isFrozen(features())).toBe(true);
    console.log(`features of ${process.version}: ${JSON.stringify(features())}`);
  });
  it("has vectors and threads, as every supported Node does", () => {
    expect(features()).toMatchObject({ simd: true, threads: true });
  });
  it("gives the same answer every time", () => {
    for (let i = 0; i < 3; i++) {
      expect(probeDot()).toBe(features().dot);
      expect(probeMadd()).toBe(features().madd);
    }
  });
  it("has modes exactly where relaxed SIMD is there and known to be right", () => {
    const { relaxedSimd, dot, madd } = features();
    if (!relaxedSimd) expect([dot, madd]).toEqual(["none", "none"]);
    const major = Number(process.versions.node.split(".")[0]);
    if (major < 22) expect(dot).toBe("none");
    else expect([relaxedSimd, dot !== "none", madd !== "none"]).toEqual([true, true, true]);
  });
});
