/** Boxes as texts that other programs read. */
import { isObject } from "../src/index.ts";
import { cocoRows, detectionJson, imageId, yoloText } from "../src/steps.ts";
import { stemOf } from "./files.ts";
import type { ShownBox } from "./protocol.ts";

export type BoxFormat = "json" | "csv" | "yolo" | "coco";
/** Ending of the file of each format, and what it is called. */
export const boxFormats: Readonly<Record<BoxFormat, { ending: string; name: string }>> = {
  json: { ending: "json", name: "JSON" },
  csv: { ending: "csv", name: "CSV" },
  yolo: { ending: "txt", name: "YOLO" },
  coco: { ending: "coco.json", name: "COCO" },
};

export interface NamedBoxes {
  /** Of the picture. */
  name: string;
  boxes: readonly ShownBox[];
  /** Of the picture, in pixels. */
  width: number;
  height: number;
}

/** Throws UsageError where a format has no form for what was found. */
export function boxesText(format: BoxFormat, picture: NamedBoxes): string {
  const { name, boxes, width, height } = picture;
  if (format === "csv") return csvHeader + csvLines(name, boxes);
  if (format === "yolo") return yoloText(boxes, width, height);
  if (format === "coco") {
    return `${JSON.stringify(cocoRows(boxes, imageId(stemOf(name)), { fileName: name }), null, 1)}\n`;
  }
  return `${JSON.stringify(pictureJson(picture), null, 1)}\n`;
}

/** As `detect --json` has it for a picture. */
export function pictureJson({ name, boxes, width, height }: NamedBoxes): object {
  const detections = boxes.map((box) => ({
    ...detectionJson(box),
    ...(box.id !== undefined && { track: box.id }),
  }));
  return { file: name, width, height, detections };
}

export const csvHeader = "file,label,class,score,x,y,width,height,track\n";

/** A line a box; what is said of the whole picture has no place. */
export function csvLines(name: string, boxes: readonly ShownBox[]): string {
  const field = (value: string): string =>
    /[",\n\r]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value;
  const digits = (value: number, count: number): string => String(Number(value.toFixed(count)));
  return boxes
    .map((found) => {
      const { x, y, width, height } = isObject(found) ? found.box : noPlace;
      const place = [x, y, width, height].map((value) => (value === undefined ? "" : digits(value, 2)));
      const { label, classId, score, id } = found;
      return `${[field(name), field(label), classId, digits(score, 5), ...place, id ?? ""].join(",")}\n`;
    })
    .join("");
}

const noPlace: Partial<Record<"x" | "y" | "width" | "height", number>> = {};
