/** Whether anything moves: pictures that look like the last one that was searched need not be searched. */
import { described, expectKind } from "../base/arguments.ts";
import { UsageError } from "../base/errors.ts";
import { checkPicture, type Picture } from "../detect/picture.ts";

/** What is taken for movement. */
export interface MotionOptions {
  /** Side of the squares whose mean brightness is compared, in pixels; default a 45th of the picture's shorter side, at least 4. */
  cell?: number;
  /** By how many of the 256 levels the mean of a square has to differ; default 6. */
  level?: number;
  /** How many pictures after the last movement are searched too; default 3. */
  after?: number;
}

export interface MotionGate {
  /**
   * Whether a picture has to be searched: it is the first, of another size, differs in some square from the last one that had to be, or
   * comes soon after one that did. Missed is what is smaller than a square and what differs from its surroundings by less than the level.
   */
  moved(picture: Picture): boolean;
}

/** Pixels of a square that are looked at, in each direction. */
const samples = 8;

/** Makes a gate. Throws UsageError for wrong options. */
export function createMotionGate(options: MotionOptions = {}): MotionGate {
  expectKind("createMotionGate: options", options, "an object of options");
  const { cell, level = 6, after = 3 } = options;
  for (const [name, value, least] of [
    ["cell", cell ?? 1, 1],
    ["level", level, 0],
    ["after", after, 0],
  ] as const) {
    if (!(typeof value === "number" && value >= least)) {
      throw new UsageError(`${name} is ${described(value)}, expected a number of at least ${least}`);
    }
  }
  let searched: Float32Array | undefined;
  let [width, height, rest] = [0, 0, 0];
  return {
    moved(picture) {
      checkPicture(picture);
      const side = Math.round(cell ?? Math.max(4, Math.min(picture.width, picture.height) / 45));
      const means = meansOf(picture, side);
      const isSame = searched !== undefined && width === picture.width && height === picture.height;
      const before = searched;
      const differs = !isSame || means.some((mean, i) => Math.abs(mean - (before?.[i] ?? 0)) > level);
      if (differs) rest = after;
      else if (rest-- <= 0) {
        rest = 0;
        return false;
      }
      [searched, width, height] = [means, picture.width, picture.height];
      return true;
    },
  };
}

/** Mean green of every square; green is most of what is seen as brightness. */
function meansOf({ width, height, data, channels = 4 }: Picture, side: number): Float32Array {
  const [across, down] = [Math.ceil(width / side), Math.ceil(height / side)];
  const step = Math.max(1, Math.floor(side / samples));
  const means = new Float32Array(across * down);
  for (let row = 0; row < down; row++) {
    const bottom = Math.min((row + 1) * side, height);
    for (let column = 0; column < across; column++) {
      const right = Math.min((column + 1) * side, width);
      let [sum, count] = [0, 0];
      for (let y = row * side; y < bottom; y += step) {
        for (let x = column * side; x < right; x += step) {
          sum += data[(y * width + x) * channels + 1];
          count++;
        }
      }
      means[row * across + column] = sum / count;
    }
  }
  return means;
}
