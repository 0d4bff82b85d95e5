/** Pictures of datasets on disk, each by a plain record of where it and its labels are: what reads it here reads it in any other process. */
import {
  type EvaluationEntry,
  type EvaluationItem,
  FormatError,
  type GroundTruth,
  InputError,
} from "../index.ts";
import {
  type CocoTruth,
  cocoObject,
  type Measure,
  parseYoloLabels,
  type YoloLabelOptions,
} from "../steps.ts";
import type { Remarks, Said } from "../tally/pictures.ts";
import { inContext } from "./_context.ts";
import { isAddress } from "./addresses.ts";
import { kindOf, readText } from "./files.ts";
import { type FilePicture, readPicture } from "./picture.ts";
import { readRemote } from "./remote.ts";

interface OfAny {
  /** Path or address of the picture. */
  readonly file: string;
  readonly id: string | number;
}
/** A picture without its objects. */
interface BarePicture extends OfAny {
  readonly kind: "picture";
}
/** With a file of YOLO labels, or without one if there is no object. */
interface YoloPicture extends OfAny {
  readonly kind: "yolo";
  readonly labelFile: string;
  readonly labelling: Omit<YoloLabelOptions, "onNote">;
  /** Classes of the model by those of the labels. */
  readonly classes: ClassNumbers;
  /** How many classes the model has. */
  readonly count: number;
}
/** With its objects in a COCO file. */
interface CocoPicture extends OfAny {
  readonly kind: "coco";
  /** The COCO file, for messages; and what it says of the picture. */
  readonly from: string;
  readonly width?: number;
  readonly height?: number;
  readonly measure: Measure;
  readonly truth: readonly CocoTruth[];
}
/** With a class of its own. */
interface SortedPicture extends OfAny {
  readonly kind: "sorted";
  readonly category: number;
}
/** Class numbers of a model by those of a dataset. */
export type ClassNumbers = readonly (number | undefined)[];

export type PlainEntry = BarePicture | YoloPicture | CocoPicture | SortedPicture;

/** The entry of a record. `note` is told of what was read otherwise than it is written. */
export function entryOf(
  plain: PlainEntry,
  note?: (message: string) => void,
  name = plain.file,
): EvaluationEntry {
  return { name, plain, note, read: () => readEntry(plain, note) };
}

/** Reads a picture and its objects. Throws InputError where either is broken. */
export async function readEntry(
  plain: PlainEntry,
  note?: (message: string) => void,
): Promise<EvaluationItem> {
  const item = { id: plain.id, ...sized(await readAny(plain.file)) };
  switch (plain.kind) {
    case "picture":
      return item;
    case "yolo":
      return { ...item, truth: await yoloTruth(plain, item, note) };
    case "coco":
      return { ...item, truth: cocoTruth(plain, item) };
    case "sorted": {
      const box = { x: 0, y: 0, width: item.width, height: item.height };
      return { ...item, truth: [{ image: item.id, category: plain.category, box }] };
    }
  }
}

/** Reads picture number `index` for another process or thread: what is to be said of it goes to `remarks`. Undefined where it is broken. */
export async function readFor(
  { skipped, warned, noted }: Record<keyof Remarks, Said[]>,
  index: number,
  plain: PlainEntry,
): Promise<EvaluationItem | undefined> {
  try {
    const item = await readEntry(plain, (message) => noted.push([index, message]));
    const { warning } = item.picture;
    if (warning !== undefined) warned.push([index, warning]);
    return item;
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    skipped.push([index, error.message]);
    return undefined;
  }
}

const readAny = (file: string): Promise<FilePicture> =>
  isAddress(file) ? readRemote(file) : readPicture(file);

const sized = (picture: FilePicture): { picture: FilePicture; width: number; height: number } => ({
  ...{ picture, width: picture.fileWidth, height: picture.fileHeight },
});

async function yoloTruth(
  { file, labelFile, labelling, classes, count }: YoloPicture,
  item: { id: string | number; width: number; height: number },
  onNote?: (message: string) => void,
): Promise<GroundTruth[]> {
  // Without a label file a picture holds no object: YOLO's convention.
  const text = kindOf(labelFile) === "file" ? await readText(labelFile) : "";
  let rows: GroundTruth[];
  try {
    rows = parseYoloLabels(text, labelFile, item.id, item, { ...labelling, onNote });
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    throw new InputError(`${file}: ${error.message}`, { cause: error });
  }
  return rows.map((row) => {
    const category = classes[row.category];
    if (category !== undefined) return { ...row, category };
    throw new FormatError(
      `${labelFile}: class ${row.category}: the model has classes 0 to ${count - 1}; the labels are of another model`,
    );
  });
}

function cocoTruth(
  { file, from, truth, measure, ...size }: CocoPicture,
  item: { width: number; height: number },
): GroundTruth[] {
  const [width, height] = [size.width ?? item.width, size.height ?? item.height];
  if (width !== item.width || height !== item.height) {
    throw new InputError(
      `${file}: ${item.width}x${item.height} pixels, but ${from} has boxes for ${width}x${height}`,
    );
  }
  return truth.map((row) => inContext(from, () => cocoObject(row, measure, item)));
}
