/**
 * How much of a difference in AP is chance: the paired bootstrap (Efron 1979). Both models are scored again and again on as many
 * pictures, drawn from those measured with replacement; how far the difference scatters says what other pictures might give.
 */
import { Random } from "../base/random.ts";
import {
  type ClassCells,
  cocoThresholds,
  type DetectionRow,
  falsePositive,
  type GroundTruth,
  groupByClass,
  type ImageId,
  matchAll,
  recallPoints,
  truePositive,
} from "./coco-ap.ts";

export interface Change {
  /** Second minus first, fractions. */
  value: number;
  /** Where the difference lies for 95 of 100 draws of pictures. */
  low: number;
  high: number;
}

const maxDetections = 100;
/** Draws: as many as this many looks at a detection allow, within limits. */
const mostLooks = 3e8;
const [leastDraws, mostDraws] = [100, 1000];

/**
 * The difference in AP between two sets of detections of the same `images` pictures, with its 95 % interval. The same input
 * gives the same draws. Undefined below two pictures, or without objects.
 */
export function apChange(
  groundTruth: readonly GroundTruth[],
  first: readonly DetectionRow[],
  second: readonly DetectionRow[],
  images: number,
): Change | undefined {
  const numbers = new Map<ImageId, number>();
  for (const { image } of groundTruth) if (!numbers.has(image)) numbers.set(image, numbers.size);
  if (images < 2 || numbers.size === 0) return undefined;
  for (const rows of [first, second])
    for (const { image } of rows) if (!numbers.has(image)) numbers.set(image, numbers.size);
  const sides = [first, second].map((rows) =>
    groupByClass(groundTruth, rows, maxDetections).map((cells) => curveOf(cells, numbers)),
  );
  const difference = (times: Float64Array): number =>
    averagePrecision(sides[1], times) - averagePrecision(sides[0], times);
  const value = difference(new Float64Array(images).fill(1));
  const looks = sides.flat().reduce((sum, { order }) => sum + order.length * cocoThresholds.length, 1);
  const draws = Math.min(mostDraws, Math.max(leastDraws, Math.floor(mostLooks / looks)));
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
  readonly imageOf: Uint32Array;
  /** Picture of every object that counts. */
  readonly objects: readonly number[];
}

function curveOf({ cells }: ClassCells, numbers: ReadonlyMap<ImageId, number>): Curve {
  const { states, order } = matchAll(cells, cocoThresholds);
  const images = cells.flatMap(({ found }) => found.map(({ image }) => numbers.get(image)!));
  const objects = cells.flatMap(({ truth }) =>
    truth.filter(({ crowd }) => !crowd).map(({ image }) => numbers.get(image)!),
  );
  return { states, order, imageOf: Uint32Array.from(images), objects };
}

/** Mean over classes and thresholds, picture `i` counted `times[i]` times. */
function averagePrecision(curves: readonly Curve[], times: Float64Array): number {
  let [sum, count] = [0, 0];
  for (const { states, order, imageOf, objects } of curves) {
    const positives = objects.reduce((total, image) => total + times[image], 0);
    if (positives === 0) continue;
    for (let t = 0; t < cocoThresholds.length; t++) {
      sum += interpolated(
        states.subarray(t * order.length, (t + 1) * order.length),
        order,
        imageOf,
        times,
        positives,
      );
      count++;
    }
  }
  return count ? sum / count : 0;
}

/** Mean over the recall points of the greatest precision at that recall or beyond. */
function interpolated(
  states: Uint8Array,
  order: Uint32Array,
  imageOf: Uint32Array,
  times: Float64Array,
  positives: number,
): number {
  const hits: number[] = [];
  const precisions: number[] = [];
  let [hit, miss] = [0, 0];
  for (const i of order) {
    const weight = times[imageOf[i]];
    if (weight === 0) continue;
    if (states[i] === truePositive) {
      hit += weight;
      hits.push(hit);
      precisions.push(hit / (hit + miss));
    } else if (states[i] === falsePositive) miss += weight;
  }
  for (let i = hits.length - 1; i > 0; i--) precisions[i - 1] = Math.max(precisions[i - 1], precisions[i]);
  let sum = 0;
  for (let r = 0, i = 0; r < recallPoints; r++) {
    const wanted = r === recallPoints - 1 ? 1 : r * 0.01;
    while (i < hits.length && hits[i] / positives < wanted) i++;
    if (i === hits.length) break;
    sum += precisions[i];
  }
  return sum / recallPoints;
}
