/** Labelled objects of a picture from a YOLO label file, by what it is compared by. */
import { described, expectKind } from "../base/arguments.ts";
import { FormatError, inContext, UsageError } from "../base/errors.ts";
import { brief, counted } from "../base/text.ts";
import { maskArea, maskFromOutlines } from "../detect/mask.ts";
import { polygonArea } from "../detect/polygon.ts";
import type { GroundTruth, ImageId, TruePoint } from "./rows.ts";
import type { Measure } from "./similarity.ts";

/** How label files are read. */
export interface YoloLabelOptions {
  /** What the objects are compared by: boxes, outlines (`mask`), boxes with key points or turned boxes (`corners`). Default `box`. */
  measure?: Measure;
  /**
   * Key points behind each box, for `points`; for `box` they are passed over. Where `values` (numbers for each point: x, y and whether
   * it is labelled) is missing, the length of a line tells, and lines of boxes alone are fine too.
   */
  keypoints?: { readonly count: number; readonly values?: 2 | 3 };
  /** Told of what was left out: a score behind a box, lines that are there twice. */
  onNote?: (message: string) => void;
}

interface Size {
  readonly width: number;
  readonly height: number;
}
/** What one line says, without its class; whether a score stood behind it. */
type Shape = Omit<GroundTruth, "image" | "category"> & { readonly isScored?: boolean };
/** The numbers behind the class. */
type Reader = (values: Values, size: Size, options: YoloLabelOptions) => Shape;

/**
 * Objects of one picture from its YOLO label file, in pixels of the picture; lines hold fractions of its `size`. By measure:
 *
 * - `box`: `class cx cy w h`, or `class x y x y x y …`, an outline, of which the bounding box is taken;
 * - `mask`: an outline of at least three points, whose pixels are the mask;
 * - `points`: a box and `x y` or `x y v` of each key point; v above 0, or without v a place that is not negative, is a labelled one;
 * - `corners`: `class x y x y x y x y`, the corners of a turned box.
 *
 * The same line counts once, as YOLOv5 has it. Boxes and outlines up to one pixel outside are clipped to 0..1; key points may be a hundredth
 * outside, as ultralytics has it, and corners as far as the picture is large. A score at the end of a line is left out, but not behind an outline. Throws FormatError with
 * the line.
 */
export function parseYoloLabels(
  text: string,
  where: string,
  image: ImageId,
  size: Size,
  options: YoloLabelOptions = {},
): GroundTruth[] {
  expectKind("parseYoloLabels: text", text, "a string");
  expectKind("parseYoloLabels: size", size, "an object");
  expectKind("parseYoloLabels: options", options, "an object of options");
  const { measure = "box", onNote } = options;
  if (!Object.hasOwn(readers, measure)) {
    throw new UsageError(
      `parseYoloLabels: measure is ${described(measure)}, expected one of ${Object.keys(readers).join(", ")}`,
    );
  }
  const read = readers[measure];
  const rows = new Map<string, GroundTruth>();
  let [scores, twice] = [0, 0];
  text.split(/\r\n|\r|\n/).forEach((line, i) => {
    const words = line.trim().split(/\s+/);
    if (words[0] === "") return;
    const { key, category, isScored, ...shape } = inContext(`${where}: line ${i + 1}`, () => {
      const values = new Values(words);
      const shape = read(values, size, options);
      return { ...shape, category: values.category, key: keyOf(values.category, shape) };
    });
    if (isScored) scores++;
    if (rows.has(key)) twice++;
    else rows.set(key, { image, category, ...shape });
  });
  if (scores)
    onNote?.(`${where}: the last value of ${counted(scores, "line")} is taken for a score and ignored`);
  if (twice) onNote?.(`${where}: ${counted(twice, "line")} said again what another says, and counted once`);
  return [...rows.values()];
}

/** Equal for lines that say the same object. */
function keyOf(category: number, { box, mask, points = [], corners = [] }: Shape): string {
  const numbers = [box.x, box.y, box.width, box.height, ...corners];
  const places = points.flatMap(({ x, y, labelled }) => [x, y, Number(labelled)]);
  return [category, ...[...numbers, ...places].map(Math.fround), ...(mask?.counts ?? [])].join(" ");
}

const decimal = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?$/i;

/** The words of a line as numbers, which are checked where they are read. */
class Values {
  readonly category: number;
  /** How many stand behind the class. */
  readonly length: number;
  private readonly words: readonly string[];

  constructor(words: readonly string[]) {
    this.words = words;
    this.length = words.length - 1;
    this.category = decimal.test(words[0]) ? Number(words[0]) : Number.NaN;
    if (!Number.isSafeInteger(this.category) || this.category < 0) {
      throw new FormatError(`class ${brief(words[0])}: expected a whole number from 0`);
    }
  }

  /** The number behind the class, or NaN. */
  at(i: number): number {
    return decimal.test(this.words[i + 1]) ? Number(this.words[i + 1]) : Number.NaN;
  }

  /** Whether a score stands behind as many numbers as a line may have, and is none of another length. */
  scoredAs(lengths: readonly number[]): boolean {
    const { length } = this;
    if (lengths.includes(length) || !lengths.includes(length - 1)) return false;
    if (this.at(length - 1) >= 0 && this.at(length - 1) <= 1) return true;
    return this.fail(length - 1, " as last value, expected nothing, or a score from 0 to 1");
  }

  fail(i: number, expected: string): never {
    throw new FormatError(`found ${brief(this.words[i + 1])}${expected}`);
  }

  /** Numbers `from … to − 1`, fractions of the width and of the height in turn, clipped to 0..1 where they are up to a pixel outside. */
  clipped(from: number, to: number, size: Size): number[] {
    return this.fractions(from, to, (i) => 1 / (i % 2 ? size.height : size.width), "a pixel").map((value) =>
      Math.min(Math.max(value, 0), 1),
    );
  }

  /** The same as they are, up to `slack` outside. */
  near(from: number, to: number, slack: number, allowed: string): number[] {
    return this.fractions(from, to, () => slack, allowed);
  }

  private fractions(from: number, to: number, slack: (i: number) => number, allowed: string): number[] {
    return Array.from({ length: to - from }, (_, i) => {
      const value = this.at(from + i);
      if (value >= -slack(i) && value <= 1 + slack(i)) return value;
      return this.fail(
        from + i,
        `, expected fractions of the picture's size, from 0 to 1 (${allowed} outside is allowed)`,
      );
    });
  }
}

const countOf = ({ length }: Values): string => `found ${length + 1} values`;

const readers: { readonly [M in Measure]: Reader } = {
  box(values, size, { keypoints }) {
    const { length } = values;
    if (keypoints && length === 4 + keypoints.count * (keypoints.values ?? Number.NaN)) {
      return { box: boxOf(values.clipped(0, 4, size), size) };
    }
    if (length < 4 || (length > 5 && length % 2)) {
      throw new FormatError(
        `${countOf(values)}, expected "class cx cy w h", or a class and at least 3 points`,
      );
    }
    if (length > 5) return { box: around(scaled(values.clipped(0, length, size), size)) };
    return readBox(values, size);
  },

  mask(values, size) {
    const { length } = values;
    if (length < 6 || length % 2) {
      const kind = length === 4 || length === 5 ? " (a box)" : "";
      throw new FormatError(
        `${countOf(values)}${kind}, expected the outline of a mask: "class x y x y x y …", at least 3 points`,
      );
    }
    const outline = scaled(values.clipped(0, length, size), size);
    const mask = maskFromOutlines([outline], size);
    return { box: around(outline), area: maskArea(mask), mask };
  },

  points(values, size, { keypoints }) {
    if (!keypoints)
      throw new UsageError("parseYoloLabels: keypoints: expected how many key points an object has");
    const { count } = keypoints;
    const lengths = keypoints.values ? [keypoints.values] : ([2, 3] as const);
    const scored = values.scoredAs(lengths.map((each) => 4 + each * count));
    const step = lengths.find((each) => values.length - Number(scored) === 4 + each * count);
    if (!step && !keypoints.values && (values.length === 4 || values.length === 5))
      return readBox(values, size);
    if (!step) {
      const numbers = lengths.map((each) => 5 + each * count).join(" or ");
      throw new FormatError(
        `${countOf(values)}, expected ${numbers}: a class, a box and ${count} key points`,
      );
    }
    const box = boxOf(values.clipped(0, 4, size), size);
    return { box, points: readPoints(values, count, step, size), isScored: scored };
  },

  corners(values, size) {
    const isScored = values.scoredAs([8]);
    if (values.length - Number(isScored) !== 8) {
      throw new FormatError(
        `${countOf(values)}, expected 9: a class and the four corners of a turned box, "class x y x y x y x y"`,
      );
    }
    const corners = scaled(values.near(0, 8, 1, "as much again"), size);
    return { box: around(corners), area: polygonArea(corners), corners, isScored };
  },
};

function readBox(values: Values, size: Size): Shape {
  const isScored = values.scoredAs([4]);
  return { box: boxOf(values.clipped(0, 4, size), size), isScored };
}

function readPoints(values: Values, count: number, step: 2 | 3, size: Size): TruePoint[] {
  return Array.from({ length: count }, (_, i) => {
    const at = 4 + step * i;
    const seen = step === 3 ? values.at(at + 2) : Number(!(values.at(at) < 0 || values.at(at + 1) < 0));
    if (!(seen >= 0))
      values.fail(at + 2, ", expected 0, 1 or 2 behind a key point: whether it is labelled and seen");
    // A point that is not labelled may be anywhere.
    if (seen === 0) return { x: 0, y: 0, labelled: false };
    const [x, y] = scaled(values.near(at, at + 2, 0.01, "a hundredth"), size);
    return { x, y, labelled: true };
  });
}

const scaled = (fractions: readonly number[], { width, height }: Size): number[] =>
  fractions.map((value, i) => value * (i % 2 ? height : width));

function boxOf([cx, cy, w, h]: readonly number[], { width, height }: Size): GroundTruth["box"] {
  return { x: (cx - w / 2) * width, y: (cy - h / 2) * height, width: w * width, height: h * height };
}

/** The box around `x y x y …`. */
export function around(places: readonly number[]): GroundTruth["box"] {
  let [left, top, right, bottom] = [places[0], places[1], places[0], places[1]];
  for (let i = 2; i < places.length; i += 2) {
    [left, right] = [Math.min(left, places[i]), Math.max(right, places[i])];
    [top, bottom] = [Math.min(top, places[i + 1]), Math.max(bottom, places[i + 1])];
  }
  return { x: left, y: top, width: right - left, height: bottom - top };
}
