/** Labelled pictures on disk: YOLO label folders, dataset yaml files, COCO instances files. */

import path from "node:path";
import { expectKind } from "../base/arguments.ts";
import {
  type CocoInstances,
  type DatasetYaml,
  type EvaluationEntry,
  type EvaluationItem,
  FormatError,
  type GroundTruth,
  InputError,
  imageId,
  matchCategories,
  parseCocoInstances,
  parseDatasetYaml,
  parseYoloLabels,
  UsageError,
} from "../index.ts";
import { kindOf, listFolder, readBytes } from "./files.ts";
import { expandPaths } from "./paths.ts";
import { pictureExtensions, readPicture } from "./picture.ts";

export interface DatasetOptions {
  /** Class names of the model: the dataset's classes are matched with them by name. */
  labels: readonly string[];
  /** Folder of the pictures, where the dataset does not say it or they are elsewhere. */
  images?: string;
  /** Which part of a dataset yaml: `train`, `val` (default) or `test`. */
  split?: "train" | "val" | "test";
  /** The first so many pictures only. */
  limit?: number;
  /** Pictures without any label file are fine: they are evaluated by fidelity only. Default false. */
  labelsOptional?: boolean;
}

export interface Dataset {
  /** Whether there is a ground truth. */
  readonly labelled: boolean;
  readonly entries: readonly EvaluationEntry[];
}

/**
 * Opens a dataset: a YOLOv5 dataset `.yaml`, a COCO `instances_*.json`, or a folder (or list, or pattern) of pictures with
 * YOLO label files (`…/images/a/b.jpg` ↔ `…/labels/a/b.txt`, else beside the picture).
 * Throws InputError when pictures or labels are missing, FormatError for what is in the files, UsageError for classes that
 * are not the model's.
 */
export async function openDataset(data: string, options: DatasetOptions): Promise<Dataset> {
  expectKind("openDataset: data", data, "a string");
  expectKind("openDataset: options", options, "an object");
  const extension = path.extname(data).toLowerCase();
  if (extension === ".json") return openCoco(data, options);
  if (extension === ".yaml" || extension === ".yml") return openYaml(data, options);
  const inside = kindOf(data) === "folder" ? yamlIn(data) : undefined;
  if (inside && options.images === undefined) return openYaml(inside, options);
  return yoloDataset(await listPictures(options.images ?? data), data, identity(options.labels), options);
}

/**
 * Pictures without their objects: of a folder, a pattern, a list, or a dataset `.yaml` (its `train` part). Throws InputError.
 */
export async function openPictures(source: string): Promise<EvaluationEntry[]> {
  expectKind("openPictures: source", source, "a string");
  const isYaml = /\.ya?ml$/i.test(source);
  const sources = isYaml
    ? splitPaths(parseDatasetYaml(new TextDecoder().decode(await readBytes(source)), source), source, "train")
    : [source];
  const files = (await Promise.all(sources.map(listPictures))).flat();
  return files.map((name) => ({
    name,
    read: async () => {
      const picture = await readPicture(name);
      return { id: idOf(name), picture, width: picture.fileWidth, height: picture.fileHeight };
    },
  }));
}

/** The only yaml file of a folder that holds no pictures itself. */
function yamlIn(folder: string): string | undefined {
  const names = listFolder(folder);
  const yamls = names.filter((name) => /\.ya?ml$/i.test(name));
  const holdsPictures = names.some((name) => isPicture(name));
  return yamls.length === 1 && !holdsPictures ? path.join(folder, yamls[0]) : undefined;
}

const isPicture = (name: string): boolean =>
  pictureExtensions.includes(path.extname(name).slice(1).toLowerCase());

/** Class number of the dataset to class number of the model; nothing for a class that the model does not have. */
type ClassMap = (category: number) => number | undefined;

const identity =
  (labels: readonly string[]): ClassMap =>
  (category) =>
    category < labels.length ? category : undefined;

async function openYaml(file: string, options: DatasetOptions): Promise<Dataset> {
  const yaml = parseDatasetYaml(new TextDecoder().decode(await readBytes(file)), file);
  const sources = options.images === undefined ? splitPaths(yaml, file, options.split) : [options.images];
  const lists = await Promise.all(sources.map(listPictures));
  const map = matchNames(yaml.names, options.labels, file);
  return yoloDataset(lists.flat(), file, map, options);
}

function splitPaths(yaml: DatasetYaml, file: string, split: DatasetOptions["split"] = "val"): string[] {
  if (!yaml[split].length) {
    const there = (["train", "val", "test"] as const).filter((name) => yaml[name].length);
    throw new InputError(
      `${file}: no "${split}" in this dataset; it has ${there.join(", ") || "no pictures"}`,
    );
  }
  const folder = path.dirname(file);
  return yaml[split].map((name) => {
    const candidates = [path.resolve(folder, yaml.path ?? "", name), path.resolve(folder, name)];
    return candidates.find((candidate) => kindOf(candidate)) ?? candidates[0];
  });
}

/** By name; datasets whose names are all unknown to the model are of another task, which is an error. */
function matchNames(names: readonly string[], labels: readonly string[], file: string): ClassMap {
  if (names.length === labels.length && names.every((name, i) => name === labels[i])) return identity(labels);
  const categories = names.map((name, id) => ({ id, name }));
  const map = inContext(file, () => matchCategories(categories, labels));
  return (category) => map.get(category);
}

function inContext<T>(file: string, run: () => T): T {
  try {
    return run();
  } catch (error) {
    if (error instanceof FormatError) throw new UsageError(`${file}: ${error.message}`, { cause: error });
    throw error;
  }
}

/** Pictures of a folder, a pattern, or a text file with one path a line (relative to the list or to the current folder). */
export async function listPictures(source: string): Promise<string[]> {
  expectKind("listPictures: source", source, "a string");
  if (/\.(txt|lst|list)$/i.test(source) && kindOf(source) === "file") {
    const lines = new TextDecoder().decode(await readBytes(source)).split(/\r?\n/);
    const names = lines.map((line) => line.trim()).filter((line) => line && !line.startsWith("#"));
    if (!names.length) throw new InputError(`${source}: the list is empty; expected a picture's path a line`);
    return names.map((name) => {
      const beside = path.resolve(path.dirname(source), name);
      return kindOf(beside) ? beside : name;
    });
  }
  return expandPaths([source], pictureExtensions).map((file) => file.path);
}

function yoloDataset(
  files: readonly string[],
  where: string,
  classOf: ClassMap,
  options: DatasetOptions,
): Dataset {
  const pictures = files.slice(0, options.limit);
  const labelFiles = pictures.map(labelFileOf);
  const labelled = labelFiles.some((file) => kindOf(file) === "file");
  if (!labelled && !options.labelsOptional) {
    throw new InputError(
      `${where}: none of the ${pictures.length} pictures has a label file; expected ${labelFiles[0]} for ${pictures[0]}`,
    );
  }
  const load = async (file: string, i: number): Promise<EvaluationItem> => {
    const picture = await readPicture(file);
    const size = { width: picture.fileWidth, height: picture.fileHeight };
    const id = idOf(file);
    if (!labelled) return { id, picture, ...size };
    // Without a label file a picture holds no object: YOLO's convention.
    const text = kindOf(labelFiles[i]) === "file" ? await readBytes(labelFiles[i]) : new Uint8Array();
    const rows = parseYoloLabels(new TextDecoder().decode(text), labelFiles[i], id, size);
    return { id, picture, ...size, truth: mapClasses(rows, classOf, labelFiles[i], options.labels.length) };
  };
  return { labelled, entries: pictures.map((name, i) => ({ name, read: () => load(name, i) })) };
}

function mapClasses(rows: GroundTruth[], classOf: ClassMap, where: string, count: number): GroundTruth[] {
  return rows.map((row) => {
    const category = classOf(row.category);
    if (category !== undefined) return { ...row, category };
    throw new FormatError(
      `${where}: class ${row.category}: the model has classes 0 to ${count - 1}; the labels are of another model`,
    );
  });
}

/** `…/images/a/b.jpg` → `…/labels/a/b.txt`; otherwise beside the picture. */
function labelFileOf(picture: string): string {
  const { dir, name } = path.parse(path.resolve(picture));
  const parts = dir.split(path.sep);
  const at = parts.lastIndexOf("images");
  if (at >= 0) parts[at] = "labels";
  return path.join(parts.join(path.sep), `${name}.txt`);
}

const idOf = (file: string): number | string => imageId(path.parse(file).name);

async function openCoco(file: string, options: DatasetOptions): Promise<Dataset> {
  const instances = parseCocoInstances(new TextDecoder().decode(await readBytes(file)), file);
  const classes = inContext(file, () => matchCategories(instances.categories, options.labels));
  const folder = options.images ?? guessFolder(file, instances);
  const images = instances.images.slice(0, options.limit);
  if (!images.length) throw new InputError(`${file}: no images in this file`);
  const truths = new Map<GroundTruth["image"], GroundTruth[]>(images.map(({ id }) => [id, []]));
  for (const row of instances.groundTruth) {
    const category = classes.get(row.category);
    if (category !== undefined) truths.get(row.image)?.push({ ...row, category });
  }
  const load = async ({ id, fileName, width, height }: CocoInstances["images"][number]) => {
    const picture = await readPicture(path.join(folder, fileName));
    return { id, picture, width, height, truth: truths.get(id) };
  };
  return {
    labelled: true,
    entries: images.map((image) => ({ name: image.fileName, read: () => load(image) })),
  };
}

/** Where the pictures of `annotations/instances_val2017.json` usually are. Throws InputError when they are not there. */
function guessFolder(file: string, { images }: CocoInstances): string {
  const folder = path.dirname(file);
  const split = path.parse(file).name.replace(/^instances_/, "");
  const candidates = [folder, path.dirname(folder)].flatMap((base) => [
    base,
    path.join(base, split),
    path.join(base, "images"),
    path.join(base, "images", split),
  ]);
  const found = candidates.find((each) => images.length && kindOf(path.join(each, images[0].fileName)));
  if (found !== undefined) return found;
  throw new InputError(
    `${file}: its pictures (${images[0]?.fileName ?? "none listed"}, …) are in none of the usual folders; give theirs with --images`,
  );
}
