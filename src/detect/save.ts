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
 * a newline after each, empty text without detections.
 */
export function yoloText(detections: readonly Detection[], width: number, height: number): string {
  expectKind("yoloText: detections", detections, "a list of detections");
  expectKind("yoloText: width", width, "a number");
  expectKind("yoloText: height", height, "a number");
  return detections
    .map(({ classId, score, box }) => {
      const values = [
        (box.x + box.width / 2) / width,
        (box.y + box.height / 2) / height,
        box.width / width,
        box.height / height,
        score,
      ];
      return `${[classId, ...values.map((value) => Number(value.toPrecision(6)))].join(" ")}\n`;
    })
    .join("");
}

/** One entry of a COCO results file. */
export interface CocoRow {
  image_id: number | string;
  category_id: number;
  /** `x y width height` in pixels. */
  bbox: [number, number, number, number];
  score: number;
}

/**
 * Entries of a COCO results file. `stem` is the picture's file name without extension: `000000000139` is image 139, other
 * names stay text. Categories are class numbers, or with `coco91` COCO's own ids.
 */
export function cocoRows(
  detections: readonly Detection[],
  stem: string,
  options: { coco91?: boolean } = {},
): CocoRow[] {
  expectKind("cocoRows: detections", detections, "a list of detections");
  expectKind("cocoRows: options", options, "an object of options");
  const id = imageId(stem);
  const round = (value: number, digits: number) => Number(value.toFixed(digits));
  return detections.map(({ classId, score, box }) => ({
    image_id: id,
    category_id: options.coco91 ? (coco91[classId] ?? classId) : classId,
    bbox: [round(box.x, 3), round(box.y, 3), round(box.width, 3), round(box.height, 3)],
    score: round(score, 5),
  }));
}

/** The image id that COCO files use for a picture of this name: a number where the name is one. */
export function imageId(stem: string): number | string {
  expectKind("imageId: stem", stem, "a string");
  const id = Number(stem);
  return /^\d+$/.test(stem) && Number.isSafeInteger(id) ? id : stem;
}
