/** Detections on disk: under which names they go below a folder without two meeting, and what is written for each picture. */
import path from "node:path";
import { counted, fileSafe } from "../base/text.ts";
import { type Detection, drawDetections, UsageError } from "../index.ts";
import {
  type CocoRow,
  cocoLabels,
  cocoRows,
  distinctNames,
  dotaTexts,
  imageId,
  lettered,
  sameName,
  scaledDetection,
  yoloText,
} from "../steps.ts";
import { labelFileOf } from "./dataset.ts";
import { realPath } from "./files.ts";
import { fontLetterer } from "./lettering.ts";
import type { FoundFile } from "./paths.ts";
import { encodable, encodePicture, type FilePicture } from "./picture.ts";
import { writeFiles } from "./write.ts";

/** What belongs to a picture below a folder of results, `/` between folders. */
export interface ResultNames {
  /** The picture's own, for other files. */
  name: string;
  /** The picture with its boxes. */
  picture: string;
  /** Its boxes as YOLO text. */
  text: string;
  /** Its id in COCO results. */
  imageId: number | string;
}

/** What is written beside the pictures: a YOLO text file each, one file of COCO results, or DOTA's files, one a class. */
export type ResultFormat = "txt" | "coco" | "dota";

/**
 * Where each picture goes below `out`: under its own name, with a number added where two would meet. What is named after a
 * picture without its extension gets the extension too where two pictures would share the name, which `onWarning` is told of.
 * Throws UsageError when a picture or its labels would be overwritten.
 */
export function resultNames(
  files: readonly FoundFile[],
  out: string,
  format: ResultFormat | undefined,
  onWarning: (message: string) => void,
): ResultNames[] {
  const targets = distinctTargets(files);
  const names = targets.map(({ name }) => name);
  const stems = names.map(withoutExtension);
  // As the files are called: of two 1.png none is image 1.
  const shortIds = files.map(({ name }) => imageId(withoutExtension(path.basename(name))));
  const texts = distinctNames(stems, names);
  const ids = distinctNames(shortIds, names);
  const [given, wanted] = format === "txt" ? [texts, stems] : [ids, shortIds];
  const shared = given.filter((name, i) => name !== wanted[i]).length;
  if (format && shared) {
    const instead =
      format === "txt" ? "theirs are called like a.jpg.txt" : "the image_id of those is their path";
    onWarning(`${counted(shared, "picture")} would share a name with another; ${instead}`);
  }
  const complete = targets.map((target, i) => ({ ...target, text: `${texts[i]}.txt`, imageId: ids[i] }));
  keepInputs(files, complete, out, format === "txt");
  return complete;
}

const withoutExtension = (name: string): string => name.slice(0, name.length - path.extname(name).length);

function distinctTargets(files: readonly FoundFile[]): { name: string; picture: string }[] {
  const used = new Set<string>();
  return files.map(({ name }) => {
    const slashed = fileSafe(name).replaceAll(path.sep, "/");
    const extension = path.extname(slashed);
    const stem = withoutExtension(slashed);
    const numbered = (i: number): { name: string; picture: string } => {
      const each = i === 1 ? slashed : `${stem}-${i}${extension}`;
      return { name: each, picture: encodable(each) ? each : `${each}.png` };
    };
    let i = 1;
    while (Object.values(numbered(i)).some((each) => used.has(sameName(each)))) i++;
    const target = numbered(i);
    for (const each of Object.values(target)) used.add(sameName(each));
    return target;
  });
}

/** Throws UsageError when a picture that is read, or the labels of one, would be overwritten. */
function keepInputs(
  files: readonly FoundFile[],
  targets: readonly ResultNames[],
  out: string,
  texts: boolean,
): void {
  const inputs = new Set(
    files.flatMap((file) => [realPath(file.path), texts && realPath(labelFileOf(file.path))]),
  );
  for (const { picture, text } of targets) {
    for (const each of texts ? [picture, text] : [picture]) {
      const there = realPath(path.join(out, each));
      if (there === undefined || !inputs.has(there)) continue;
      throw new UsageError(`--out ${out} would overwrite ${there}; choose another folder`);
    }
  }
}

/** What was found in a picture, in pixels of its file: a large picture is shrunk while it is read. */
export function inFilePixels(detections: readonly Detection[], picture: FilePicture): Detection[] {
  return detections.map((each) => scaledDetection(each, picture, fileSize(picture)));
}

const fileSize = ({ fileWidth, fileHeight }: FilePicture): { width: number; height: number } => ({
  width: fileWidth,
  height: fileHeight,
});

/** Writes the picture with its boxes, given in pixels of the file, and with `txt` the YOLO text file; gives the picture's path. */
export async function writeResult(
  detections: readonly Detection[],
  picture: FilePicture,
  out: string,
  names: ResultNames,
  format: ResultFormat | undefined,
): Promise<string> {
  const { width, height } = fileSize(picture);
  const target = path.join(out, names.picture);
  const inPicture = detections.map((each) => scaledDetection(each, fileSize(picture), picture));
  const drawn = drawDetections(picture, inPicture, await lettered(picture, inPicture, fontLetterer));
  const files: Record<string, Uint8Array | string> = {
    [path.basename(target)]: await encodePicture(drawn, target),
  };
  if (format === "txt") files[path.posix.basename(names.text)] = yoloText(detections, width, height);
  await writeFiles(path.dirname(target), files);
  return target;
}

/** Rows of a COCO results file; with COCO's own category ids when the classes are COCO's. */
export function resultRows(
  detections: readonly Detection[],
  names: ResultNames,
  labels: readonly string[],
): CocoRow[] {
  const isCoco = labels.length === cocoLabels.length && labels.every((label, i) => label === cocoLabels[i]);
  return cocoRows(detections, names.imageId, { coco91: isCoco, fileName: names.name });
}

/** DOTA's files of turned boxes by name: `Task1_plane.txt`, one for every class. */
export function dotaFiles(
  pictures: Parameters<typeof dotaTexts>[0],
  labels: readonly string[],
): Record<string, string> {
  const texts = [...dotaTexts(pictures, labels)];
  const names = texts.map(([label]) => fileSafe(label.replaceAll(/[\s/\\]+/g, "-")));
  const distinct = distinctNames(
    names,
    names.map((name, i) => `${name}-${i}`),
  );
  return Object.fromEntries(texts.map(([, text], i) => [`Task1_${distinct[i]}.txt`, text]));
}
