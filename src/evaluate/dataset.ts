/** Ground truth from the text of label files: YOLO label files and COCO `instances_*.json`. */
import * as z from "zod/mini";
import { expectKind } from "../base/arguments.ts";
import { FormatError, inContext } from "../base/errors.ts";
import { brief, counted, quote } from "../base/text.ts";
import type { GroundTruth, ImageId } from "./rows.ts";

/** How label files are read. */
export interface YoloLabelOptions {
  /** Told of what was left out: a score behind a box, lines that are there twice. */
  onNote?: (message: string) => void;
  /** Lines of a box and this many values of key points, which are passed over, are known by their length. Default 0. */
  keypointValues?: number;
}

/**
 * Objects of one picture from its YOLO label file: `class cx cy w h` a line, fractions of the picture of
 * `size.width` x `size.height` pixels; or `class x y x y x y …`, an outline, of which the bounding box is taken. As YOLOv5 has
 * it, the same box of the same class counts once. Values up to one pixel outside are clipped to 0..1; a score as sixth value
 * is left out. Throws FormatError with the line.
 */
export function parseYoloLabels(
  text: string,
  where: string,
  image: ImageId,
  size: { width: number; height: number },
  options: YoloLabelOptions = {},
): GroundTruth[] {
  expectKind("parseYoloLabels: text", text, "a string");
  expectKind("parseYoloLabels: size", size, "an object");
  expectKind("parseYoloLabels: options", options, "an object of options");
  const { onNote, keypointValues = 0 } = options;
  const rows = new Map<string, GroundTruth>();
  let [scores, twice] = [0, 0];
  text.split(/\r\n|\r|\n/).forEach((line, i) => {
    const words = line.trim().split(/\s+/);
    if (words[0] === "") return;
    if (keypointValues && words.length === 5 + keypointValues) words.length = 5;
    const { category, fractions, scored } = inContext(`${where}: line ${i + 1}`, () => parseRow(words, size));
    if (scored) scores++;
    const box = fractionBox(fractions, size);
    const key = [category, box.x, box.y, box.width, box.height].map(Math.fround).join(" ");
    if (rows.has(key)) twice++;
    else rows.set(key, { image, category, box });
  });
  if (scores)
    onNote?.(`${where}: the sixth value of ${counted(scores, "line")} is taken for a score and ignored`);
  if (twice) onNote?.(`${where}: ${counted(twice, "line")} said again what another says, and counted once`);
  return [...rows.values()];
}

const decimal = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?$/i;

function parseRow(
  words: readonly string[],
  size: { width: number; height: number },
): { category: number; fractions: number[]; scored: boolean } {
  const fail = (problem: string): never => {
    throw new FormatError(problem);
  };
  const values = words.map((word) => (decimal.test(word) ? Number(word) : Number.NaN));
  const { length } = values;
  if (length < 5 || (length > 6 && length % 2 === 0)) {
    fail(`found ${length} values, expected "class cx cy w h", or a class and at least 3 points`);
  }
  const [category, ...fractions] = values;
  if (!Number.isSafeInteger(category) || category < 0)
    fail(`class ${brief(words[0])}: expected a whole number from 0`);
  const scored = length === 6;
  if (scored && !(values[5] >= 0 && values[5] <= 1)) {
    fail(`found ${brief(words[5])} as sixth value, expected nothing, or a score from 0 to 1`);
  }
  const inside = fractions.slice(0, scored ? 4 : undefined).map((value, i) => {
    const pixel = 1 / (i % 2 ? size.height : size.width);
    if (value >= -pixel && value <= 1 + pixel) return Math.min(Math.max(value, 0), 1);
    return fail(
      `found ${brief(words[i + 1])}, expected fractions of the picture's size, from 0 to 1 (a pixel outside is clipped)`,
    );
  });
  return { category, fractions: inside, scored };
}

function fractionBox(fractions: number[], size: { width: number; height: number }): GroundTruth["box"] {
  let [cx, cy, w, h] = fractions;
  if (fractions.length > 4) {
    const xs = fractions.filter((_, i) => i % 2 === 0);
    const ys = fractions.filter((_, i) => i % 2 === 1);
    [w, h] = [Math.max(...xs) - Math.min(...xs), Math.max(...ys) - Math.min(...ys)];
    [cx, cy] = [Math.min(...xs) + w / 2, Math.min(...ys) + h / 2];
  }
  return {
    x: (cx - w / 2) * size.width,
    y: (cy - h / 2) * size.height,
    width: w * size.width,
    height: h * size.height,
  };
}

/** A picture of a COCO instances file. */
export interface CocoImage {
  id: number;
  /** Below the folder of the pictures, `/` between; never above it. */
  fileName: string;
  /** Size that the boxes are given in; missing where the file does not say it. */
  width?: number;
  height?: number;
}
/** A COCO instances file. */
export interface CocoInstances {
  images: CocoImage[];
  /** Categories in the file's order; ids have gaps (COCO's 80 classes go up to 90). */
  categories: { id: number; name: string }[];
  /** `category` is the file's id. Annotations of images or categories that are not in the file are left out. */
  groundTruth: GroundTruth[];
  /** How many annotations were left out. */
  leftOut: number;
}

const instancesSchema = z.object({
  images: z.array(
    z.object({
      ...{ id: z.int(), file_name: z.string() },
      ...{ width: z.optional(z.int().check(z.positive())), height: z.optional(z.int().check(z.positive())) },
    }),
  ),
  categories: z.array(z.object({ id: z.int(), name: z.string() })),
  annotations: z.array(
    z.object({
      image_id: z.int(),
      category_id: z.int(),
      bbox: z.tuple([z.number(), z.number(), z.number().check(z.gte(0)), z.number().check(z.gte(0))]),
      area: z.optional(z.number()),
      iscrowd: z.optional(z.union([z.literal(0), z.literal(1), z.boolean()])),
    }),
  ),
});

/**
 * Reads a COCO instances file. Throws FormatError that names the field; also where two images or two categories share an id,
 * and where a `file_name` is absolute or leads out of its folder.
 */
export function parseCocoInstances(text: string, where: string): CocoInstances {
  expectKind("parseCocoInstances: text", text, "a string");
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new FormatError(
      `${where}: not JSON: ${brief(String(error instanceof Error ? error.message : error))}`,
    );
  }
  const result = z.safeParse(instancesSchema, json);
  if (!result.success) {
    const [issue] = result.error.issues;
    throw new FormatError(
      `${where}: ${issue.path.join(".") || "top level"} is missing or wrong; expected a COCO instances file: { images: [{ id, file_name, width, height }], categories: [{ id, name }], annotations: [{ image_id, category_id, bbox: [x, y, width, height], area, iscrowd }] }`,
    );
  }
  const { images, categories, annotations } = result.data;
  const known = distinctIds(images, `${where}: images`);
  const classes = distinctIds(categories, `${where}: categories`);
  const mine = annotations.filter((row) => known.has(row.image_id) && classes.has(row.category_id));
  return {
    images: images.map(({ id, file_name, width, height }, i) => ({
      ...{ id, width, height },
      fileName: insidePath(file_name, `${where}: images.${i}.file_name`),
    })),
    categories,
    leftOut: annotations.length - mine.length,
    groundTruth: mine.map((row) => {
      const [x, y, width, height] = row.bbox;
      return {
        image: row.image_id,
        category: row.category_id,
        box: { x, y, width, height },
        area: row.area,
        crowd: Boolean(row.iscrowd),
      };
    }),
  };
}

function distinctIds(items: readonly { id: number }[], where: string): Set<number> {
  const ids = new Set<number>();
  for (const { id } of items) {
    if (ids.has(id)) throw new FormatError(`${where}: the id ${id} is there twice`);
    ids.add(id);
  }
  return ids;
}

/** A path below a folder with `/` between, however the system that wrote it separates. */
function insidePath(name: string, where: string): string {
  const parts = name.split(/[\\/]/);
  if (name && !name.includes("\0") && parts[0] !== "" && !/^[a-z]:/i.test(name) && !parts.includes("..")) {
    return parts.join("/");
  }
  throw new FormatError(
    `${where}: found ${quote(name)}, expected a path below the folder of the pictures, without ".."`,
  );
}

/**
 * The model's class number for every category id, matched by name. Throws FormatError if a category has no label;
 * with `partial` such categories are left out.
 */
export function matchCategories(
  categories: CocoInstances["categories"],
  labels: readonly string[],
  options: { partial?: boolean } = {},
): Map<number, number> {
  expectKind("matchCategories: categories", categories, "a list of categories ({ id, name })");
  expectKind("matchCategories: labels", labels, "a list of strings");
  expectKind("matchCategories: options", options, "an object of options");
  const plain = (name: string) =>
    name
      .trim()
      .toLowerCase()
      .replaceAll(/[\s_-]+/g, " ");
  const exact = new Map(labels.map((label, i) => [label, i]));
  const loose = new Map(labels.map((label, i) => [plain(label), i]));
  const classOf = (name: string) => exact.get(name) ?? loose.get(plain(name));
  const unknown = categories.filter(({ name }) => classOf(name) === undefined);
  if (unknown.length && !options.partial) {
    const some = (names: readonly string[]) =>
      `${names
        .slice(0, 5)
        .map((name) => brief(name))
        .join(", ")}${names.length > 5 ? ", …" : ""}`;
    throw new FormatError(
      `categories ${some(unknown.map(({ name }) => `"${name}"`))} are no labels of the model, which has ${some(labels)}; give the right names with --labels`,
    );
  }
  return new Map(
    categories.flatMap(({ id, name }) => {
      const number = classOf(name);
      return number === undefined ? [] : [[id, number]];
    }),
  );
}
