/** The paired bootstrap against the evaluator that agrees with pycocotools, run on the drawn pictures one by one. */
import { describe, expect, it } from "vitest";
import { Random } from "../../src/base/random.ts";
import { apChange as changeOf } from "../../src/evaluate/bootstrap.ts";
import { evaluateCoco } from "../../src/evaluate/coco-ap.ts";
import { compareRows } from "../../src/evaluate/matching.ts";
import type { DetectionRow, GroundTruth } from "../../src/evaluate/rows.ts";
import { similarityOf } from "../../src/evaluate/similarity.ts";

const images = 12;

const apChange = (truth: GroundTruth[], first: DetectionRow[], second: DetectionRow[], count: number) => {
  const [a, b] = [first, second].map((rows) => compareRows(truth, rows, similarityOf("box"), 100).classes());
  return changeOf(a, b, count);
};

/** Objects of three classes, some of them crowds, and detections near most of them. */
function scene(seed: number): { truth: GroundTruth[]; found: (noise: number) => DetectionRow[] } {
  const random = new Random(seed);
  const truth: GroundTruth[] = [];
  for (let image = 0; image < images; image++) {
    for (let k = random.int(0, 5); k > 0; k--) {
      const [x, y] = [random.uniform(0, 500), random.uniform(0, 500)];
      const [width, height] = [random.uniform(10, 150), random.uniform(10, 150)];
      truth.push({
        image,
        category: random.int(0, 2),
        box: { x, y, width, height },
        crowd: random.next() < 0.1,
      });
    }
  }
  const found = (noise: number): DetectionRow[] => {
    const other = new Random(seed + 1);
    return truth.flatMap(({ image, category, box }): DetectionRow[] => {
      const moved = (): number => other.normal() * noise;
      const near = { ...box, x: box.x + moved(), y: box.y + moved() };
      const far = { ...box, x: box.x + 200 };
      const rows = [{ image, category, score: other.next(), box: near }];
      return other.next() < 0.4 ? [...rows, { image, category, score: other.next(), box: far }] : rows;
    });
  };
  return { truth, found };
}

describe("AP change", () => {
  it("is that of the evaluator, and its interval that of pictures drawn and evaluated one by one", () => {
    const { truth, found } = scene(5);
    const [a, b] = [found(4), found(9)];
    const change = apChange(truth, a, b, images)!;
    const AP = (rows: DetectionRow[], objects = truth): number => evaluateCoco(objects, rows).AP;
    expect(change.value).toBeCloseTo(AP(b) - AP(a), 9);
    const random = new Random(1);
    const differences = Array.from({ length: 1000 }, () => {
      const drawn = Array.from({ length: images }, () => random.int(0, images - 1));
      const pick = <T extends { image: number | string }>(rows: readonly T[]): T[] =>
        drawn.flatMap((from, image) =>
          rows.filter((row) => row.image === from).map((row) => ({ ...row, image })),
        );
      const objects = pick(truth);
      return AP(pick(b), objects) - AP(pick(a), objects);
    }).sort((x, y) => x - y);
    // A picture drawn twice gives its detections one after the other there and at once here.
    expect(change.low).toBeCloseTo(differences[25], 2);
    expect(change.high).toBeCloseTo(differences[974], 2);
    expect(change.low).toBeLessThan(change.value);
    expect(change.high).toBeGreaterThan(change.value);
  });

  it("is nothing between equal detections, and the same for the same input", () => {
    const { truth, found } = scene(6);
    expect(apChange(truth, found(5), found(5), images)).toEqual({ value: 0, low: 0, high: 0 });
    expect(apChange(truth, found(3), found(8), images)).toEqual(apChange(truth, found(3), found(8), images));
  });

  it("is not known of one picture, or without objects", () => {
    const { truth, found } = scene(7);
    const one = truth.filter(({ image }) => image === truth[0].image);
    expect(apChange(one, found(1), found(2), 1)).toBeUndefined();
    expect(apChange([], found(1), found(2), images)).toBeUndefined();
  });

  it("counts pictures without anything", () => {
    const { truth, found } = scene(8);
    const [few, many] = [images, images * 4].map((count) => apChange(truth, found(3), found(8), count)!);
    expect(many.value).toBeCloseTo(few.value, 9);
    expect(many.high - many.low).toBeGreaterThan(0);
  });
});
