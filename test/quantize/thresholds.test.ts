import { describe, expect, it } from "vitest";
import { Random } from "../../src/base/random.ts";
import { BlobObservation, rebin } from "../../src/quantize/observe.ts";
import {
  aciqThreshold,
  klFromCounts,
  klThreshold,
  minmaxThreshold,
  mseThreshold,
  percentileThreshold,
  squaredError,
} from "../../src/quantize/thresholds.ts";

const random = new Random(11);
const gaussian = Float32Array.from({ length: 40_000 }, () => random.normal());
const heavyTail = gaussian.map((x) => x ** 3);

function observation(data: Float32Array): BlobObservation {
  const out = new BlobObservation();
  out.add({ shape: [1, data.length], data });
  return out;
}

/** The kl search written out as the definition says it, without the grouping of logarithms. */
function plainKl(counts: Float64Array, absmax: number): number {
  const total = counts.reduce((a, b) => a + b);
  const p = [...counts].map((count) => count / total);
  let best = 128;
  let least = Number.POSITIVE_INFINITY;
  for (let t = 128; t < 2048; t++) {
    const reference = p.slice(0, t).map((value) => value + 1e-4);
    reference[t - 1] += p.slice(t).reduce((a, b) => a + b, 0);
    const ratio = t / 128;
    const expanded = new Array<number>(t).fill(1e-4);
    for (let j = 0; j < 128; j++) {
      const [start, end] = [j * ratio, Math.min((j + 1) * ratio, t)];
      const overlap = (i: number) => Math.max(Math.min(end, i + 1) - Math.max(start, i), 0);
      let level = 0;
      for (let i = Math.floor(start); i < Math.min(end, t); i++) level += p[i] * overlap(i);
      for (let i = Math.floor(start); i < Math.min(end, t); i++) expanded[i] += (level / ratio) * overlap(i);
    }
    const divergence = reference.reduce((sum, value, i) => sum + value * Math.log(value / expanded[i]), 0);
    if (divergence < least) [least, best] = [divergence, t];
  }
  return Math.fround(Math.fround((best + 0.5) * Math.fround(absmax)) / 2048);
}

describe("thresholds", () => {
  it("kl agrees with its definition", () => {
    for (const data of [heavyTail, gaussian.map(Math.abs)]) {
      const counts = rebin(observation(data.slice(0, 5000)), 2048);
      expect(klFromCounts(counts, 7)).toBe(plainKl(counts, 7));
    }
  });

  it("kl clips a heavy tail, and keeps an even distribution whole", () => {
    const tail = observation(heavyTail);
    expect(klThreshold(tail)).toBeLessThan(0.6 * tail.absmax);
    const even = Float32Array.from({ length: 40_000 }, () => random.uniform(0, 1));
    expect(klThreshold(observation(even))).toBeGreaterThan(0.95);
    expect(klThreshold(observation(new Float32Array(8)))).toBe(0);
  });

  it("aciq follows its closed form", () => {
    // 3.92403714 · 2 · 5 · 0.175·(1 + √(π·ln 4)) / √(2·ln 1000), by hand.
    expect(aciqThreshold(5, 1000)).toBeCloseTo(5.7031, 3);
    expect(aciqThreshold(5, 1000, 6)).toBeCloseTo(4.7771, 3);
    expect(aciqThreshold(5, 1)).toBe(Number.POSITIVE_INFINITY);
  });

  it("minmax clips nothing; percentile clips its share", () => {
    const o = observation(gaussian);
    expect(o.shareAbove(minmaxThreshold(o))).toBe(0);
    expect(o.shareAbove(percentileThreshold(o, 99))).toBeCloseTo(0.01, 3);
    expect(percentileThreshold(o, 100)).toBe(o.absmax);
  });

  it("squaredError is the error of rounding", () => {
    const threshold = 2.5;
    const step = threshold / 127;
    const real = gaussian.reduce((sum, x) => {
      const q = Math.max(-127, Math.min(127, Math.round(x / step)));
      return sum + (x - q * step) ** 2;
    }, 0);
    expect(squaredError(observation(gaussian), threshold) / real).toBeCloseTo(1, 2);
  });

  it("mse has less error than its neighbours and than minmax", () => {
    for (const data of [gaussian, heavyTail]) {
      const o = observation(data);
      const best = squaredError(o, mseThreshold(o));
      for (const factor of [0.8, 0.9, 1.1, 1.25]) {
        expect(squaredError(o, mseThreshold(o) * factor)).toBeGreaterThan(best);
      }
      expect(best).toBeLessThan(squaredError(o, o.absmax));
    }
  });
});
