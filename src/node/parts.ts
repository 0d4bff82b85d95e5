/** Detections of many pictures as files of a folder, a part each; a file `_SUCCESS` says that all are there. */
import { existsSync } from "node:fs";
import path from "node:path";
import { type Detection, UnsupportedError, UsageError } from "../index.ts";
import { detectionJson } from "../steps.ts";
import { writeFiles } from "./write.ts";

export const partFormats = ["ndjson", "parquet"] as const;
/** A line of JSON for each picture; or a row for each object, and one without label for a picture without any. */
export type PartFormat = (typeof partFormats)[number];

/** What was found in a picture, in pixels of its file. */
export interface PartRow {
  readonly file: string;
  readonly width: number;
  readonly height: number;
  readonly detections: readonly Detection[];
}

const success = "_SUCCESS";

/** Throws UsageError for a folder with a result that is complete. */
export function checkParts(out: string): void {
  if (!existsSync(path.join(out, success))) return;
  throw new UsageError(`${out} holds a complete result already (${success}); choose another folder`);
}

/** Writes part number `part`; the same rows give the same bytes. Throws UnsupportedError without the package for Parquet. */
export async function writePart(
  out: string,
  part: number,
  rows: readonly PartRow[],
  format: PartFormat,
): Promise<void> {
  const name = `part-${String(part).padStart(8, "0")}.${format}`;
  const content = format === "ndjson" ? rows.map(lineOf).join("") : await parquetOf(rows);
  await writeFiles(out, { [name]: content });
}

/** Says that all parts are there, and which pictures are in none. */
export async function finishParts(
  out: string,
  counts: { readonly pictures: number; readonly objects: number },
  failed: readonly { readonly file: string; readonly error: string }[],
): Promise<void> {
  if (failed.length) {
    await writeFiles(out, { "_skipped.ndjson": failed.map((each) => `${JSON.stringify(each)}\n`).join("") });
  }
  await writeFiles(out, { [success]: `${JSON.stringify({ ...counts, skipped: failed.length })}\n` });
}

const lineOf = ({ file, width, height, detections }: PartRow): string =>
  `${JSON.stringify({ file, width, height, detections: detections.map(detectionJson) })}\n`;

async function parquetOf(rows: readonly PartRow[]): Promise<Uint8Array> {
  const { parquetWriteBuffer } = await import("hyparquet-writer").catch((cause) => {
    throw new UnsupportedError(
      "Parquet needs the package hyparquet-writer, which is not installed: npm install hyparquet-writer",
      { cause },
    );
  });
  const objects = rows.flatMap(({ detections, ...picture }) =>
    (detections.length ? detections : [undefined]).map((found) => ({ ...picture, found })),
  );
  const side = (name: "x" | "y" | "width" | "height") =>
    objects.map(({ found }) => (found && "box" in found ? found.box[name] : undefined));
  const column = (name: string, data: unknown[], type: string) => ({ name, data, type, nullable: true });
  const columns = [
    column(
      "file",
      objects.map(({ file }) => file),
      "STRING",
    ),
    column(
      "file_width",
      objects.map(({ width }) => width),
      "INT32",
    ),
    column(
      "file_height",
      objects.map(({ height }) => height),
      "INT32",
    ),
    column(
      "label",
      objects.map(({ found }) => found?.label),
      "STRING",
    ),
    column(
      "class_id",
      objects.map(({ found }) => found?.classId),
      "INT32",
    ),
    column(
      "score",
      objects.map(({ found }) => found?.score),
      "DOUBLE",
    ),
    ...(["x", "y", "width", "height"] as const).map((name) => column(name, side(name), "DOUBLE")),
    // Masks, key points, corners: as in NDJSON.
    column(
      "detection",
      objects.map(({ found }) => found && JSON.stringify(detectionJson(found))),
      "STRING",
    ),
  ];
  return new Uint8Array(parquetWriteBuffer({ columnData: columns as never }));
}
