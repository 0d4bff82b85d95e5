/** Ground truth from the text of label files: YOLO label files, COCO `instances_*.json`, and YOLOv5's dataset yaml. */

import * as z from "zod/mini";
import { expectKind } from "../base/arguments.ts";
import { FormatError } from "../base/errors.ts";
import { brief } from "../base/text.ts";
import type { GroundTruth, ImageId } from "./coco-ap.ts";

/**
 * Objects of one picture from its YOLO label file: `class cx cy w h` a line, fractions of the picture of
 * `size.width` x `size.height` pixels; or `class x y x y x y …`, an outline, of which the bounding box is taken.
 * Throws FormatError with the line.
 */
export function parseYoloLabels(
  text: string,
  where: string,
  image: ImageId,
  size: { width: number; height: number },
): GroundTruth[] {
  expectKind("parseYoloLabels: text", text, "a string");
  expectKind("parseYoloLabels: size", size, "an object");
  const rows: GroundTruth[] = [];
  text.split(/\r?\n/).forEach((line, i) => {
    const words = line.trim().split(/\s+/);
    if (words[0] === "") return;
    const fail = (problem: string): never => {
      throw new FormatError(`${where}: line ${i + 1}: ${problem}`);
    };
    const values = words.map(Number);
    if (values.length !== 5 && (values.length < 7 || values.length % 2 === 0)) {
      fail(`found ${values.length} values, expected "class cx cy w h", or a class and at least 3 points`);
    }
    const [category, ...fractions] = values;
    if (!Number.isInteger(category) || category < 0)
      fail(`class ${words[0]}: expected a whole number from 0`);
    const wrong = fractions.findIndex((value) => !(value >= 0 && value <= 1));
    if (wrong >= 0) {
      fail(`found ${words[wrong + 1]}, expected fractions of the picture's size, from 0 to 1`);
    }
    rows.push({ image, category, box: fractionBox(fractions, size) });
  });
  return rows;
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

export interface CocoImage {
  id: number;
  fileName: string;
  width: number;
  height: number;
}
export interface CocoInstances {
  images: CocoImage[];
  /** Categories in the file's order; ids have gaps (COCO's 80 classes go up to 90). */
  categories: { id: number; name: string }[];
  /** `category` is the file's id. */
  groundTruth: GroundTruth[];
}

const instancesSchema = z.object({
  images: z.array(z.object({ id: z.int(), file_name: z.string(), width: z.number(), height: z.number() })),
  categories: z.array(z.object({ id: z.int(), name: z.string() })),
  annotations: z.array(
    z.object({
      image_id: z.int(),
      category_id: z.int(),
      bbox: z.tuple([z.number(), z.number(), z.number(), z.number()]),
      area: z.optional(z.number()),
      iscrowd: z.optional(z.union([z.literal(0), z.literal(1), z.boolean()])),
    }),
  ),
});

/** Reads a COCO instances file. Throws FormatError that names the field. */
export function parseCocoInstances(text: string, where: string): CocoInstances {
  expectKind("parseCocoInstances: text", text, "a string");
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new FormatError(`${where}: not JSON: ${error instanceof Error ? error.message : error}`);
  }
  const result = z.safeParse(instancesSchema, json);
  if (!result.success) {
    const [issue] = result.error.issues;
    throw new FormatError(
      `${where}: ${issue.path.join(".") || "top level"} is missing or wrong; expected a COCO instances file: { images: [{ id, file_name, width, height }], categories: [{ id, name }], annotations: [{ image_id, category_id, bbox: [x, y, width, height], area, iscrowd }] }`,
    );
  }
  const { images, categories, annotations } = result.data;
  const known = new Set(images.map((image) => image.id));
  return {
    images: images.map((image) => ({
      id: image.id,
      fileName: image.file_name,
      width: image.width,
      height: image.height,
    })),
    categories,
    groundTruth: annotations.map((row, i) => {
      if (!known.has(row.image_id)) {
        throw new FormatError(`${where}: annotations.${i}: image_id ${row.image_id} is not among the images`);
      }
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
  const classes = new Map(labels.map((label, i) => [plain(label), i]));
  const unknown = categories.filter(({ name }) => !classes.has(plain(name)));
  if (unknown.length && !options.partial) {
    throw new FormatError(
      `categories ${unknown
        .slice(0, 5)
        .map(({ name }) => `"${name}"`)
        .join(
          ", ",
        )}${unknown.length > 5 ? ", …" : ""} are no labels of the model, which has ${brief(labels.slice(0, 5).join(", "))}${labels.length > 5 ? ", …" : ""}`,
    );
  }
  return new Map(
    categories
      .filter((each) => !unknown.includes(each))
      .map(({ id, name }) => [id, classes.get(plain(name))!]),
  );
}

/** What a YOLOv5 dataset yaml says; paths as written, relative ones to be resolved against `path`. */
export interface DatasetYaml {
  path?: string;
  train: string[];
  val: string[];
  test: string[];
  names: string[];
}

/**
 * Reads the part of a dataset yaml that evaluation needs: `path`, `train`, `val`, `test` (a string or a list), `names` (a
 * list or a map by class number, in block or flow form). Other keys are passed over; a form that this does not know
 * (anchors, tags, multi-line strings in these keys) is a FormatError, not a guess.
 */
export function parseDatasetYaml(text: string, where: string): DatasetYaml {
  expectKind("parseDatasetYaml: text", text, "a string");
  const entries = topLevelEntries(text, where);
  const paths = (key: string) => {
    const entry = entries.get(key);
    return entry ? listOf(entry, `${where}: ${key}`) : [];
  };
  const [path] = paths("path");
  const names = entries.get("names");
  if (!names) throw new FormatError(`${where}: no "names": expected a dataset yaml with class names`);
  return {
    path,
    train: paths("train"),
    val: paths("val"),
    test: paths("test"),
    names: namesOf(names, `${where}: names`),
  };
}

interface Entry {
  line: number;
  /** Text behind the colon, flow lists joined to one line. */
  value: string;
  /** Indented or `- ` lines below it, without indentation. */
  block: string[];
}

function topLevelEntries(text: string, where: string): Map<string, Entry> {
  const entries = new Map<string, Entry>();
  let current: Entry | undefined;
  /** Inside a flow list or map that goes on in the next line. */
  let open = false;
  text.split(/\r?\n/).forEach((raw, i) => {
    const line = stripComment(raw).trimEnd();
    if (!line.trim() || line === "---") return;
    const closes = /[\]}]$/.test(line);
    if (current && open) {
      current.value += ` ${line.trim()}`;
      open = !closes;
    } else if (/^(\s|- )/.test(line)) {
      if (!current)
        throw new FormatError(
          `${where}: line ${i + 1}: found ${JSON.stringify(line)}, expected "key: value"`,
        );
      current.block.push(line.trim());
    } else {
      const match = /^(["']?)([\w.-]+)\1\s*:(?:\s+(.*))?$/.exec(line);
      if (!match)
        throw new FormatError(
          `${where}: line ${i + 1}: found ${JSON.stringify(line.slice(0, 80))}, expected "key: value"`,
        );
      current = { line: i + 1, value: (match[3] ?? "").trim(), block: [] };
      open = /^[[{]/.test(current.value) && !closes;
      entries.set(match[2], current);
    }
  });
  return entries;
}

/** The line up to a `#` that begins a comment: at the start or behind a space, outside quotes. */
function stripComment(line: string): string {
  let quote = "";
  for (let i = 0; i < line.length; i++) {
    const char = line[i];
    if (quote) quote = char === quote ? "" : quote;
    else if ((char === '"' || char === "'") && /[\s[{,:-]|^$/.test(line[i - 1] ?? "")) quote = char;
    else if (char === "#" && (i === 0 || /\s/.test(line[i - 1]))) return line.slice(0, i);
  }
  return line;
}

function scalar(text: string, where: string): string {
  const value = text.trim();
  const quoted = /^"((?:[^"\\]|\\.)*)"$/.exec(value) ?? /^'((?:[^']|'')*)'$/.exec(value);
  if (quoted)
    return value[0] === "'" ? quoted[1].replaceAll("''", "'") : quoted[1].replaceAll(/\\(.)/g, "$1");
  if (value === "" || /^[&*!|>%@`"'[{]/.test(value)) {
    throw new FormatError(`${where}: found ${JSON.stringify(value)}, expected a plain or quoted word`);
  }
  return value;
}

/** Items of `[a, b]` or `{0: a}` without the brackets, split at commas outside quotes. */
function flowItems(value: string, where: string): string[] {
  const closing = value[0] === "[" ? "]" : "}";
  if (!value.endsWith(closing)) throw new FormatError(`${where}: "${value[0]}" without "${closing}"`);
  const items: string[] = [];
  let quote = "";
  let start = 1;
  /** A quote opens only at the beginning of an item or of a map's value; elsewhere it is an apostrophe. */
  let mayOpen = true;
  for (let i = 1; i < value.length - 1; i++) {
    const char = value[i];
    if (quote) {
      if (char === "\\" && quote === '"') i++;
      else if (char === quote) quote = "";
    } else if (char === ",") {
      items.push(value.slice(start, i).trim());
      start = i + 1;
      mayOpen = true;
    } else if (mayOpen && (char === '"' || char === "'")) {
      quote = char;
      mayOpen = false;
    } else if (char !== " ") mayOpen = char === ":";
  }
  if (quote) throw new FormatError(`${where}: a ${quote} without its end`);
  items.push(value.slice(start, -1).trim());
  return items.filter((item) => item !== "");
}

function listOf({ value, block }: Entry, where: string): string[] {
  if (value.startsWith("[")) return flowItems(value, where).map((item) => scalar(item, where));
  if (value) return [scalar(value, where)];
  return block.map((line) => {
    if (!line.startsWith("- "))
      throw new FormatError(`${where}: found ${JSON.stringify(line)}, expected "- item"`);
    return scalar(line.slice(2), where);
  });
}

function namesOf(entry: Entry, where: string): string[] {
  const { value, block } = entry;
  const isMap = value.startsWith("{") || (!value && block.length > 0 && !block[0].startsWith("- "));
  if (!isMap) return listOf(entry, where);
  const names: string[] = [];
  for (const item of value ? flowItems(value, where) : block) {
    const match = /^(\d{1,6})\s*:\s*(.+)$/.exec(item);
    if (!match) throw new FormatError(`${where}: found ${JSON.stringify(item)}, expected "number: name"`);
    names[Number(match[1])] = scalar(match[2], where);
  }
  const missing = Array.from<string | undefined>(names).indexOf(undefined);
  if (missing >= 0) throw new FormatError(`${where}: class ${missing} has no name`);
  return names;
}
