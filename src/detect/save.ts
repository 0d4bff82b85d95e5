/** Detections as the text formats that other tools read. */
import { expectKind } from "../base/arguments.ts";
import type { Detection } from "./detect.ts";

/** COCO's category id of each of the 80 classes in the order in which YOLO models number them. */
export const coco91: readonly number[] = [
  ...range(1, 11),
  ...range(13, 25),
  ...range(27, 28),
  ...range(31, 44),
  ...range(46, 65),
  67,
  70,
  ...range(72, 82),
  ...range(84, 90),
];

function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, i) => first + i);
}

/**
 * YOLO label lines `class cx cy w h score`, boxes as fractions of a picture of `width` x `height` pixels, six digits;
 * a newline after each, empty text without detections. Points stand before the score as ultralytics writes them: `x y` each, or
 * `x y score` where they have scores.
 */
export function yoloText(detections: readonly Detection[], width: number, height: number): string {
  expectKind("yoloText: detections", detections, "a list of detections");
  expectKind("yoloText: width", width, "a number");
  expectKind("yoloText: height", height, "a number");
  return detections
    .map(({ classId, score, box, points = [] }) => {
      const values = [
        (box.x + box.width / 2) / width,
        (box.y + box.height / 2) / height,
        box.width / width,
        box.height / height,
        ...points.flatMap(({ x, y, score: seen }) => [
          x / width,
          y / height,
          ...(seen === undefined ? [] : [seen]),
        ]),
        score,
      ];
      return `${[classId, ...values.map((value) => Number(value.toPrecision(6)))].join(" ")}\n`;
    })
    .join("");
}

/** One entry of a COCO results file. */
export interface CocoRow {
  image_id: number | string;
  /** The picture's path, where `file_name` was given. */
  file_name?: string;
  category_id: number;
  /** `x y width height` in pixels. */
  bbox: [number, number, number, number];
  score: number;
  /** `x y v` of every point in pixels, where the model has points; `v` is the point's score, or 1 where it has none. */
  keypoints?: number[];
}

/** Entries of a COCO results file for the picture `id`. Categories are class numbers, or with `coco91` COCO's own ids. */
export function cocoRows(
  detections: readonly Detection[],
  id: CocoRow["image_id"],
  options: { coco91?: boolean; fileName?: string } = {},
): CocoRow[] {
  expectKind("cocoRows: detections", detections, "a list of detections");
  expectKind("cocoRows: options", options, "an object of options");
  const round = (value: number, digits: number) => Number(value.toFixed(digits));
  return detections.map(({ classId, score, box, points }) => ({
    image_id: id,
    ...(options.fileName !== undefined && { file_name: options.fileName }),
    category_id: options.coco91 ? (coco91[classId] ?? classId) : classId,
    bbox: [round(box.x, 3), round(box.y, 3), round(box.width, 3), round(box.height, 3)],
    score: round(score, 5),
    ...(points && {
      keypoints: points.flatMap(({ x, y, score: seen = 1 }) => [round(x, 3), round(y, 3), round(seen, 5)]),
    }),
  }));
}

/** The image id that COCO files use for a picture of this name without extension: a number where the name is one. */
export function imageId(stem: string): CocoRow["image_id"] {
  expectKind("imageId: stem", stem, "a string");
  const id = Number(stem);
  return /^\d+$/.test(stem) && Number.isSafeInteger(id) ? id : stem;
}

/**
 * For each picture its short name where no other has it, else its full one; full names differ from each other. Names that
 * differ in case only are the same, as on Windows and macOS.
 *
 * ```ts
 * distinctNames(["a", "a", "b"], ["a.jpg", "a.png", "b.png"]); // ["a.jpg", "a.png", "b"]
 * ```
 */
export function distinctNames<T extends string | number>(short: readonly T[], full: readonly T[]): T[] {
  expectKind("distinctNames: short", short, "a list");
  expectKind("distinctNames: full", full, "a list");
  const key = (name: T): string => sameName(String(name));
  const counts = new Map<string, number>();
  for (const name of short) counts.set(key(name), (counts.get(key(name)) ?? 0) + 1);
  const out = short.map((name, i) => ((counts.get(key(name)) ?? 0) > 1 ? full[i] : name));
  // A full name may be another's short one, which then gives way; that may go on.
  for (let changed = true; changed; ) {
    const taken = new Set(out.flatMap((name, i) => (name === short[i] ? [] : [key(name)])));
    changed = false;
    for (const [i, name] of short.entries()) {
      if (out[i] !== name || name === full[i] || !taken.has(key(name))) continue;
      out[i] = full[i];
      changed = true;
    }
  }
  return out;
}

/** Equal for file names that some file systems take for one. */
export function sameName(name: string): string {
  expectKind("sameName: name", name, "a string");
  return name.normalize("NFC").toLowerCase();
}
