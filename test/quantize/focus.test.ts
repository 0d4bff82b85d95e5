import { describe, expect, it } from "vitest";
import type { Manifest } from "../../src/heads/manifest.ts";
import { FocusMap, noFocus } from "../../src/quantize/focus.ts";
import { ChannelRanges } from "../../src/quantize/ranges.ts";
import { detectionFocus } from "../../src/tally/importance.ts";

describe("FocusMap", () => {
  it("finds the middle of boxes in planes of any size", () => {
    const map = new FocusMap([0.5, 0, 1, 0.5]);
    // The middle half: x 0.625..0.875, y 0.125..0.375.
    const places = map.places(16, 16);
    expect(places).toContain(4 * 16 + 12);
    expect(places).not.toContain(4 * 16 + 4);
    expect(places).not.toContain(12 * 16 + 12);
  });

  it("counts objects as much as all others together, at most 64 times", () => {
    const weights = new FocusMap([0.4, 0.4, 0.6, 0.6]).weights([3, 64, 64])!;
    const at = [...weights].filter((weight) => weight > 1);
    expect(at.length * at[0]).toBeGreaterThan((64 * 64 - at.length) * 0.9);
    expect(Math.max(...new FocusMap([0.5, 0.5, 0.501, 0.501]).weights([1, 64, 64])!)).toBe(64);
  });

  it("says nothing where there is nothing, boxes lie outside, or a blob is no picture", () => {
    expect(noFocus.weights([3, 8, 8])).toBeUndefined();
    expect(noFocus.places(8, 8)).toEqual([]);
    expect(new FocusMap([0, 0, 1, 1]).weights([10])).toBeUndefined();
    expect(() => new FocusMap([-5, -5, 9, Number.POSITIVE_INFINITY])).not.toThrow();
  });
});

describe("ChannelRanges", () => {
  /** A plane of small values with a large one. */
  const plane = (large: number): { shape: number[]; data: Float32Array } => {
    const data = Float32Array.from({ length: 2 ** 18 }, (_, i) => ((i * 37) % 101) / 101 - 0.5);
    data[0] = large;
    return { shape: [1, 512, 512], data };
  };

  it("clips rare values, but not where they count", () => {
    const rare = new ChannelRanges();
    rare.add(plane(3));
    const weights = new Uint8Array(2 ** 18).fill(1);
    weights[0] = 64;
    const counted = new ChannelRanges();
    counted.add(plane(3), weights);
    expect(counted.threshold()).toBeGreaterThan(1.2 * rare.threshold());
  });

  it("gives range and mean, also of what has been scaled since", () => {
    const ranges = new ChannelRanges();
    ranges.add({ shape: [2, 1, 2], data: Float32Array.of(-1, 3, 0, 0) });
    expect([ranges.min(0), ranges.max(0), ranges.mean(0)]).toEqual([-1, 3, 1]);
    expect([ranges.min(1), ranges.max(1), ranges.threshold([1])]).toEqual([0, 0, 0]);
    const scaled = ranges.scaled([2, 1]);
    expect([scaled.min(0), scaled.max(0), scaled.mean(0)]).toEqual([-2, 6, 2]);
    expect(scaled.threshold([0])).toBeCloseTo(2 * ranges.threshold([0]), 5);
  });

  it("refuses what is not finite", () => {
    const add = () => new ChannelRanges().add({ shape: [1, 1, 2], data: Float32Array.of(1, Number.NaN) });
    expect(add).toThrow("a value is NaN");
  });
});

describe("detectionFocus", () => {
  it("is where the model's boxes are, as parts of the picture", () => {
    const manifest = {
      heads: [{ kind: "yolov5", blob: "out", stride: 8, anchors: [16, 8] }],
      labels: ["thing"],
      input: { blob: "in", width: 32, height: 16 },
    } as unknown as Manifest;
    const focus = detectionFocus(manifest)!;
    expect(focus.blobs).toEqual(["out"]);
    const data = new Float32Array(8 * 6).fill(-20);
    // Cell (2, 1) of 4x2: center ((2σ(0) − 0.5 + 2)·8, (… + 1)·8) = (20, 12), size (16, 8).
    data.set([0, 0, 0, 0, 9, 9], 6 * 6);
    const regions = focus.regions({ out: { shape: [1, 8, 6], data } }, { width: 32, height: 16 });
    expect(Array.from(regions, (x) => +x.toFixed(4))).toEqual([12 / 32, 8 / 16, 28 / 32, 16 / 16]);
    expect(detectionFocus({ ...manifest, heads: [] })).toBeUndefined();
  });
});
