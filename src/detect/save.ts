/** Detections as the text formats that other tools read. */
import { expectKind } from "../base/arguments.ts";
import { UsageError } from "../base/errors.ts";
import { type Detection, isObject, type ObjectDetection } from "./detection.ts";
import { type Mask, maskOutline, maskToString } from "./mask.ts";
import { cornersOf } from "./rotated.ts";

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
 * YOLO text lines for a picture of `width` x `height` pixels, places as fractions of it, six digits; a newline after each, empty text
 * without detections. As ultralytics writes them, with the score at the end:
 *
 * - boxes `class cx cy w h score`; key points stand before the score, `x y` each or `x y score` where they have scores;
 * - masks `class x y x y … score`, their outline (parts and holes joined to one); turned boxes `class x y … score`, four corners;
 * - classes of the whole picture `score label`.
 */
export function yoloText(detections: readonly Detection[], width: number, height: number): string {
  expectKind("yoloText: detections", detections, "a list of detections");
  expectKind("yoloText: width", width, "a number");
  expectKind("yoloText: height", height, "a number");
  const fractions = (outline: readonly number[]): number[] =>
    outline.map((value, i) => value / (i % 2 ? height : width));
  const places = (detection: ObjectDetection): number[] => {
    if (detection.task === "segment") return fractions(maskOutline(detection.mask));
    if (detection.task === "obb") return fractions(cornersOf(detection.rotated));
    const { box } = detection;
    const middle = [box.x + box.width / 2, box.y + box.height / 2];
    const points = detection.task === "pose" ? detection.points : [];
    return [
      ...fractions([...middle, box.width, box.height]),
      ...points.flatMap(({ x, y, score }) => [...fractions([x, y]), ...(score === undefined ? [] : [score])]),
    ];
  };
  const digits = (value: number): number => Number(value.toPrecision(6));
  return detections
    .map((found) => {
      if (!isObject(found)) return `${digits(found.score)} ${lineText(found.label)}\n`;
      return `${[found.classId, ...[...places(found), found.score].map(digits)].join(" ")}\n`;
    })
    .join("");
}

/** A name that can end a line of text. */
const lineText = (label: string): string => label.replaceAll(/\s+/g, " ");

/** One entry of a COCO results file. */
export interface CocoRow {
  image_id: number | string;
  /** The picture's path, where `file_name` was given. */
  file_name?: string;
  category_id: number;
  /** `x y width height` in pixels. */
  bbox: [number, number, number, number];
  score: number;
  /** A mask as compressed run lengths, or the corners of a turned box as an outline `x y x y …` in pixels. */
  segmentation?: { size: [height: number, width: number]; counts: string } | number[][];
  /** `x y v` of every point in pixels, where the model has points; `v` is the point's score, or 1 where it has none. */
  keypoints?: number[];
}

/**
 * Entries of a COCO results file for the picture `id`. Categories are class numbers, or with `coco91` COCO's own ids. Throws UsageError
 * for classes of whole pictures, which COCO has no form for.
 */
export function cocoRows(
  detections: readonly Detection[],
  id: CocoRow["image_id"],
  options: { coco91?: boolean; fileName?: string } = {},
): CocoRow[] {
  expectKind("cocoRows: detections", detections, "a list of detections");
  expectKind("cocoRows: options", options, "an object of options");
  const round = (value: number, digits: number) => Number(value.toFixed(digits));
  return detections.map((found) => {
    if (!isObject(found)) {
      throw new UsageError(
        "COCO results are of objects: classes of whole pictures can be saved as text only",
      );
    }
    const { classId, score, box } = found;
    return {
      image_id: id,
      ...(options.fileName !== undefined && { file_name: options.fileName }),
      category_id: options.coco91 ? (coco91[classId] ?? classId) : classId,
      bbox: [round(box.x, 3), round(box.y, 3), round(box.width, 3), round(box.height, 3)],
      score: round(score, 5),
      ...(found.task === "segment" && { segmentation: maskText(found.mask) }),
      ...(found.task === "obb" && {
        segmentation: [cornersOf(found.rotated).map((value) => round(value, 3))],
      }),
      ...(found.task === "pose" && {
        keypoints: found.points.flatMap(({ x, y, score: seen = 1 }) => [
          ...[round(x, 3), round(y, 3), round(seen, 5)],
        ]),
      }),
    };
  });
}

/** A mask as JSON has it: COCO's compressed run lengths. */
export function maskText(mask: Mask): { size: [height: number, width: number]; counts: string } {
  expectKind("maskText: mask", mask, "a mask ({ size, counts })");
  return { size: [...mask.size], counts: maskToString(mask) };
}

/**
 * Lines of DOTA's results of turned boxes, one text for each class: `image score x1 y1 … x4 y4` in pixels. Throws UsageError for what
 * has no turned boxes.
 */
export function dotaTexts(
  pictures: readonly { readonly name: string | number; readonly detections: readonly Detection[] }[],
  labels: readonly string[],
): Map<string, string> {
  expectKind("dotaTexts: pictures", pictures, "a list");
  expectKind("dotaTexts: labels", labels, "a list of strings");
  const texts = new Map(labels.map((label) => [label, ""]));
  for (const [i, picture] of pictures.entries()) {
    expectKind(`dotaTexts: pictures[${i}]`, picture, "an object");
    const { name, detections } = picture;
    expectKind(`dotaTexts: pictures[${i}].detections`, detections, "a list of detections");
    for (const found of detections) {
      if (found.task !== "obb") {
        throw new UsageError(`DOTA's results are of turned boxes; these are of the task "${found.task}"`);
      }
      const corners = cornersOf(found.rotated).map((value) => value.toFixed(2));
      const line = `${String(name).replaceAll(/\s+/g, "_")} ${found.score.toFixed(5)} ${corners.join(" ")}\n`;
      texts.set(found.label, (texts.get(found.label) ?? "") + line);
    }
  }
  return texts;
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
