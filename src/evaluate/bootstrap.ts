/**
 * How much of a difference in AP is chance: the paired bootstrap (Efron 1979). Both models are scored again and again on as many
 * pictures, drawn from those measured with replacement; how far the difference scatters says what other pictures might give.
 */
import { Random } from "../base/random.ts";
import { cocoThresholds } from "./coco-ap.ts";
import {
  allAreas,
  type ClassCells,
  listDetections,
  matchClass,
  precisionRecall,
  truePositive,
} from "./matching.ts";
import type { ImageId } from "./rows.ts";

/** A difference in AP and the interval that chance explains. */
export interface Change {
  /** Second minus first, fractions. */
  value: number;
  /** Where the difference lies for 95 of 100 draws of pictures. */
  low: number;
  high: number;
}

/** Draws: as many as this many looks at a detection allow, within limits. */
const mostLooks = 1e8;
const [leastDraws, mostDraws] = [50, 1000];

/**
 * The difference in AP between two sets of detections of the same `images` pictures, compared with the same objects, with its 95 %
 * interval. The same input gives the same draws. Undefined below two pictures, or without objects.
 */
export function apChange(
  first: readonly ClassCells[],
  second: readonly ClassCells[],
  images: number,
): Change | undefined {
  const numbers = new Map<ImageId, number>();
  let objects = 0;
  for (const { cells } of [...first, ...second]) {
    for (const { image, crowds } of cells) {
      if (!numbers.has(image)) numbers.set(image, numbers.size);
      objects += crowds.length;
    }
  }
  if (images < 2 || objects === 0) return undefined;
  const sides = [first, second].map((classes) => classes.map((each) => curveOf(each, numbers)));
  const difference = (times: Float64Array): number =>
    averagePrecision(sides[1], times) - averagePrecision(sides[0], times);
  const value = difference(new Float64Array(images).fill(1));
  const looks = sides.flat().reduce((sum, { lengths }) => lengths.reduce((a, b) => a + b, sum), 1);
  return changeOf(difference, value, images, Math.max(leastDraws, Math.floor(mostLooks / looks)));
}

/** The same of a difference whose pictures count as often as `times` says, which is `value` where each counts once. */
export function changeOf(
  difference: (times: Float64Array) => number,
  value: number,
  images: number,
  most = mostDraws,
): Change {
  const draws = Math.min(mostDraws, most);
  const random = new Random(1);
  const differences = Float64Array.from({ length: draws }, () => {
    const times = new Float64Array(images);
    for (let i = 0; i < images; i++) times[random.int(0, images - 1)]++;
    return difference(times);
  }).sort();
  const at = (share: number): number => differences[Math.round(share * (draws - 1))];
  return { value, low: Math.min(value, at(0.025)), high: Math.max(value, at(0.975)) };
}

/** What one class's AP is made of, whichever pictures count. */
interface Curve {
  /** Detections, best first: state at every threshold `[thresholds, detections]`, and number of the picture. */
  readonly states: Uint8Array;
  readonly order: Uint32Array;
  /** How many of them there are up to the last hit, at every threshold: what comes after changes nothing. */
  readonly lengths: readonly number[];
  readonly imageOf: Uint32Array;
  /** Picture of every object that counts. */
  readonly objects: readonly number[];
}

function curveOf({ cells }: ClassCells, numbers: ReadonlyMap<ImageId, number>): Curve {
  const { areas, order } = listDetections(cells);
  const { states } = matchClass(cells, areas, allAreas, cocoThresholds);
  const images = cells.flatMap(({ image, scores }) => Array<number>(scores.length).fill(numbers.get(image)!));
  const objects = cells.flatMap(({ image, ignored }) =>
    Array<number>(ignored.filter((each) => !each).length).fill(numbers.get(image)!),
  );
  const lengths = Array.from(
    cocoThresholds,
    (_, t) => order.findLastIndex((i) => states[t * order.length + i] === truePositive) + 1,
  );
  return { states, order, lengths, imageOf: Uint32Array.from(images), objects };
}

/** Mean over classes and thresholds, picture `i` counted `times[i]` times. */
function averagePrecision(curves: readonly Curve[], times: Float64Array): number {
  let [sum, count] = [0, 0];
  for (const { states, order, lengths, imageOf, objects } of curves) {
    const positives = objects.reduce((total, image) => total + times[image], 0);
    if (positives === 0) continue;
    for (let t = 0; t < cocoThresholds.length; t++) {
      const found = states.subarray(t * order.length, (t + 1) * order.length);
      sum += precisionRecall(
        found,
        order.subarray(0, lengths[t]),
        (i) => times[imageOf[i]],
        positives,
      ).precision;
      count++;
    }
  }
  return count ? sum / count : 0;
}
