/** In the worker: many pictures, one after the other, and all of them with their boxes in a zip. */
import { type Zippable, zipSync } from "fflate";
import { type CocoRow, cocoRows, distinctNames, imageId, yoloText } from "../src/steps.ts";
import { coloured } from "./coloured.ts";
import { type Detector, limitsFor, sizeFor } from "./detector.ts";
import { csvHeader, csvLines, pictureJson } from "./export.ts";
import { stemOf } from "./files.ts";
import { decodePicture, drawnOn } from "./pixels.ts";
import type { Calls, SearchedPicture } from "./protocol.ts";

/** Boxes of a picture file, and the picture with them at most `thumb` pixels wide and high. */
export async function search(
  detector: Detector,
  { model: id, file, size, rectangle, labels, thumb, ...limits }: Calls["search"]["request"],
): Promise<SearchedPicture> {
  const model = detector.model(id);
  const picture = await decodePicture(file, file.name);
  const { width, height } = picture;
  const look = await model.look(picture, { size: sizeFor(model, size), rectangle });
  const boxes = coloured(look.detections(limitsFor(model, limits)));
  const canvas = drawnOn(picture, { boxes, labels });
  const scale = Math.min(thumb / Math.max(width, height), 1);
  const [resizeWidth, resizeHeight] = [width, height].map((side) => Math.max(Math.round(side * scale), 1));
  const small = await createImageBitmap(canvas, { resizeWidth, resizeHeight, resizeQuality: "medium" });
  return { boxes, width, height, thumb: small };
}

/** Pictures with boxes, YOLO text beside them, and all boxes as JSON, CSV and COCO results. */
export async function zipPictures(
  { pictures, labels, classes }: Calls["zip"]["request"],
  progress: (value: Calls["zip"]["progress"]) => void,
): Promise<Blob> {
  const encoder = new TextEncoder();
  const files: Zippable = {};
  const names = pictures.map(({ name }) => name);
  const stems = distinctNames(names.map(stemOf), names);
  const rows: CocoRow[] = [];
  const json: object[] = [];
  let csv = csvHeader;
  for (const [i, { name, file, boxes, width, height }] of pictures.entries()) {
    const canvas = drawnOn(await decodePicture(file, name), { boxes, labels });
    const blob = await canvas.convertToBlob({ type: "image/jpeg", quality: 0.9 });
    // JPEG hardly compresses.
    files[`pictures/${stems[i]}.jpg`] = [new Uint8Array(await blob.arrayBuffer()), { level: 0 }];
    files[`labels/${stems[i]}.txt`] = encoder.encode(yoloText(boxes, width, height));
    json.push(pictureJson({ name, boxes, width, height }));
    csv += csvLines(name, boxes);
    if (boxes.every(({ task }) => task !== "classify")) {
      rows.push(...cocoRows(boxes, imageId(stems[i]), { fileName: name }));
    }
    progress({ done: i + 1, total: pictures.length });
  }
  files["boxes.json"] = encoder.encode(`${JSON.stringify({ images: json }, null, 1)}\n`);
  files["boxes.csv"] = encoder.encode(csv);
  files["coco.json"] = encoder.encode(`${JSON.stringify(rows)}\n`);
  files["classes.txt"] = encoder.encode(classes.map((each) => `${each}\n`).join(""));
  return new Blob([zipSync(files) as Uint8Array<ArrayBuffer>], { type: "application/zip" });
}
