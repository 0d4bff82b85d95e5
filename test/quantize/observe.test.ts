import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FormatError, GraphError } from "../../src/base/errors.ts";
import { Random } from "../../src/base/random.ts";
import {
  BlobObservation,
  binCount,
  mergeObservations,
  type Observations,
  observe,
  rebin,
} from "../../src/quantize/observe.ts";
import { readPartial, writePartial } from "../../src/quantize/partial.ts";

function observed(pictures: readonly Float32Array[], channels = 2): BlobObservation {
  const out = new BlobObservation();
  for (const data of pictures) out.add({ shape: [channels, data.length / channels], data });
  return out;
}

/** Everything that an observation says, without 2^18 bins that are nearly all 0. */
function summary(o: BlobObservation): unknown {
  const used = [...o.bins.entries()].filter(([, count]) => count > 0);
  const { min, max, images, count, zeros, elements, binWidth, channelMax } = o;
  return { min, max, images, count, zeros, elements, binWidth, channelMax, used };
}

describe("BlobObservation", () => {
  it("counts ranges, zeros and channels", () => {
    const o = observed([Float32Array.of(0, -3, 1, 0.5)]);
    expect(o).toMatchObject({ min: -3, max: 1, images: 1, count: 4, zeros: 1, elements: 4, absmax: 3 });
    expect(o.channelMax).toEqual(Float32Array.of(3, 1));
  });

  it("counts every value other than 0 in the bin that its magnitude falls in", () => {
    const random = new Random(3);
    const data = Float32Array.from({ length: 4000 }, () => random.normal() ** 3);
    const o = observed([data.slice(0, 2000), data.slice(2000)]);
    const expected = new Map<number, number>();
    for (const x of data) {
      const bin = Math.floor(Math.abs(x) / o.binWidth);
      expected.set(bin, (expected.get(bin) ?? 0) + 1);
    }
    for (const [bin, count] of expected) expect(o.bins[bin]).toBe(count);
    expect(Float64Array.from(o.bins).reduce((a, b) => a + b)).toBe(4000);
    expect(o.absmax).toBeLessThan(o.binWidth * binCount);
    expect(o.absmax).toBeGreaterThanOrEqual((o.binWidth * binCount) / 2);
  });

  it("does not depend on order or on how the pictures are shared out", () => {
    const picture = fc.array(fc.float({ noNaN: true, min: -1e6, max: 1e6 }), { minLength: 2, maxLength: 2 });
    fc.assert(
      fc.property(fc.array(picture, { minLength: 2, maxLength: 6 }), fc.nat(5), (pictures, at) => {
        const all = pictures.map((values) => Float32Array.from(values));
        const cut = Math.min(at + 1, all.length - 1);
        const whole = observed(all);
        const parts = observed(all.slice(cut).reverse());
        parts.merge(observed(all.slice(0, cut)));
        expect(summary(parts)).toEqual(summary(whole));
      }),
      { numRuns: 6 },
    );
  });

  it("tells what share a threshold clips", () => {
    const o = observed([Float32Array.of(1, 2, 3, 4)]);
    expect(o.shareAbove(2.5)).toBe(0.5);
    expect(o.shareAbove(4)).toBe(0);
  });

  it("names the blob of a value that is not finite", () => {
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY, -1e38]) {
      const bad = { "conv 7": { shape: [1, 2], data: Float32Array.of(1, value) } };
      expect(() => observe(new Map(), bad)).toThrow(/blob "conv 7"/);
      expect(() => observe(new Map(), bad)).toThrow(GraphError);
    }
  });

  it("spreads fine bins over coarse ones without losing a count", () => {
    const random = new Random(5);
    const o = observed([Float32Array.from({ length: 1000 }, () => random.uniform(0.001, 3))]);
    const coarse = rebin(o, 2048);
    expect(coarse.reduce((a, b) => a + b)).toBeCloseTo(1000, 6);
    expect(rebin(observed([Float32Array.of(1, 1, 1, 4)]), 4)).toEqual(Float64Array.of(0, 3, 0, 1));
  });
});

describe("partial files", () => {
  const observations = (): Observations =>
    new Map([
      ["a", observed([Float32Array.of(1, 0, -2, 3)])],
      ["b", observed([new Float32Array(4)])],
    ]);

  it("come back whole, and grow and merge as the original does", () => {
    const bytes = writePartial({ note: "640 letterbox", observations: observations() });
    const { note, observations: read } = readPartial(bytes);
    expect(note).toBe("640 letterbox");
    const more: Observations = new Map([
      ["a", observed([Float32Array.of(500, 0, 1, 1)])],
      ["b", observed([Float32Array.of(1, 1, 1, 1)])],
    ]);
    const expected = observations();
    mergeObservations(expected, more);
    mergeObservations(read, more);
    for (const blob of ["a", "b"]) expect(summary(read.get(blob)!)).toEqual(summary(expected.get(blob)!));
  });

  it("refuses other models", () => {
    expect(() =>
      mergeObservations(observations(), new Map([["z", observed([Float32Array.of(1, 2)])]])),
    ).toThrow(/only one has blob/);
  });

  it("refuses what is no partial", () => {
    expect(() => readPartial(new Uint8Array(4))).toThrow(FormatError);
  });
});
