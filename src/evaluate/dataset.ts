/** Ground truth from COCO `instances_*.json` and `person_keypoints_*.json`, and which class of a model is which of a dataset. */
import * as z from "zod/mini";
import { expectKind } from "../base/arguments.ts";
import { FormatError, inContext } from "../base/errors.ts";
import { parseJson } from "../base/issue.ts";
import { brief, quote } from "../base/text.ts";
import { type Mask, maskArea, maskFromCounts, maskFromOutlines, maskFromString } from "../detect/mask.ts";
import { polygonArea } from "../detect/polygon.ts";
import type { GroundTruth } from "./rows.ts";
import type { Measure } from "./similarity.ts";
import { around } from "./yolo-labels.ts";

/** A picture of a COCO instances file. */
export interface CocoImage {
  id: number;
  /** Below the folder of the pictures, `/` between; never above it. */
  fileName: string;
  /** Size that the boxes are given in; missing where the file does not say it. */
  width?: number;
  height?: number;
}
/** An object of a COCO file, whose mask is yet to be made. */
export interface CocoTruth extends GroundTruth {
  /** As in the file: outlines, or run lengths. */
  segmentation?: unknown;
  /** Number of the annotation in the file. */
  annotation: number;
}
/** A COCO instances file. */
export interface CocoInstances {
  images: CocoImage[];
  /** Categories in the file's order; ids have gaps (COCO's 80 classes go up to 90). */
  categories: { id: number; name: string }[];
  /**
   * `category` is the file's id. Annotations of images or categories that are not in the file are left out. Key points are there where
   * the annotation has some.
   */
  groundTruth: CocoTruth[];
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
      keypoints: z.optional(z.array(z.number())),
      // Looked at where masks are asked for.
      segmentation: z.optional(z.unknown()),
    }),
  ),
});

/**
 * Reads a COCO instances file. Throws FormatError that names the field; also where two images or two categories share an id,
 * and where a `file_name` is absolute or leads out of its folder.
 */
export function parseCocoInstances(text: string, where: string): CocoInstances {
  expectKind("parseCocoInstances: text", text, "a string");
  const result = z.safeParse(instancesSchema, parseJson(text, where));
  if (!result.success) {
    const [issue] = result.error.issues;
    throw new FormatError(
      `${where}: ${issue.path.join(".") || "top level"} is missing or wrong; expected a COCO instances file: { images: [{ id, file_name, width, height }], categories: [{ id, name }], annotations: [{ image_id, category_id, bbox: [x, y, width, height], area, iscrowd }] }`,
    );
  }
  const { images, categories, annotations } = result.data;
  const known = distinctIds(images, `${where}: images`);
  const classes = distinctIds(categories, `${where}: categories`);
  const groundTruth = annotations
    .map((row, annotation) => ({ row, annotation }))
    .filter(({ row }) => known.has(row.image_id) && classes.has(row.category_id))
    .map(({ row, annotation }) => truthOf(row, annotation, where));
  return {
    images: images.map(({ id, file_name, width, height }, i) => ({
      ...{ id, width, height },
      fileName: insidePath(file_name, `${where}: images.${i}.file_name`),
    })),
    categories,
    leftOut: annotations.length - groundTruth.length,
    groundTruth,
  };
}

type Annotation = z.infer<typeof instancesSchema>["annotations"][number];

function truthOf({ bbox, keypoints, ...row }: Annotation, annotation: number, where: string): CocoTruth {
  const [x, y, width, height] = bbox;
  if (keypoints && keypoints.length % 3) {
    throw new FormatError(
      `${where}: annotations.${annotation}.keypoints: found ${keypoints.length} numbers, expected x, y and v of each key point`,
    );
  }
  const truth: CocoTruth = {
    image: row.image_id,
    category: row.category_id,
    box: { x, y, width, height },
    area: row.area,
    crowd: Boolean(row.iscrowd),
    annotation,
  };
  if (row.segmentation !== undefined) truth.segmentation = row.segmentation;
  if (keypoints?.length) {
    truth.points = Array.from({ length: keypoints.length / 3 }, (_, i) => ({
      ...{ x: keypoints[3 * i], y: keypoints[3 * i + 1] },
      labelled: keypoints[3 * i + 2] > 0,
    }));
  }
  return truth;
}

const outlinesSchema = z.array(z.array(z.number())).check(z.minLength(1));
const runsSchema = z.object({
  size: z.tuple([z.int(), z.int()]),
  counts: z.union([z.string(), z.array(z.number())]),
});

/**
 * The object as a measure compares it, in a picture of `size`: with its mask, or with corners (which are the only outline of four
 * points). Throws FormatError that names the annotation where the file does not say them, or says them for another size.
 */
export function cocoObject(
  object: CocoTruth,
  measure: Measure,
  size: { width: number; height: number },
): GroundTruth {
  expectKind("cocoObject: object", object, "an object");
  expectKind("cocoObject: size", size, "an object");
  const { annotation, segmentation, ...truth } = object;
  if (measure === "mask") {
    const mask = inContext(`annotations.${annotation}.segmentation`, () => maskOf(segmentation, size));
    return { ...truth, mask, area: truth.area ?? maskArea(mask) };
  }
  if (measure === "corners") {
    const outlines = z.safeParse(outlinesSchema, segmentation);
    if (!outlines.success || outlines.data.length !== 1 || outlines.data[0].length !== 8) {
      throw new FormatError(
        `annotations.${annotation}.segmentation: expected one outline of four points, the corners of a turned box`,
      );
    }
    const [corners] = outlines.data;
    return { ...truth, corners, box: around(corners), area: polygonArea(corners) };
  }
  return truth;
}

function maskOf(segmentation: unknown, size: { width: number; height: number }): Mask {
  const outlines = z.safeParse(outlinesSchema, segmentation);
  if (outlines.success) return maskFromOutlines(outlines.data, size);
  const runs = z.safeParse(runsSchema, segmentation);
  if (!runs.success) {
    throw new FormatError(
      "is missing or wrong; expected outlines [[x, y, x, y, …], …] or run lengths { size: [height, width], counts }",
    );
  }
  const { counts } = runs.data;
  const [height, width] = runs.data.size;
  if (width !== size.width || height !== size.height) {
    throw new FormatError(
      `run lengths for ${width}x${height} pixels, but the picture has ${size.width}x${size.height}`,
    );
  }
  return typeof counts === "string" ? maskFromString(counts, size) : maskFromCounts(counts, size);
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
