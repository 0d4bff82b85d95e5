/** Labelled pictures on disk: YOLO label folders, dataset yaml files, COCO instances files. */
import path from "node:path";
import { expectKind } from "../base/arguments.ts";
import { counted } from "../base/text.ts";
import {
  type EvaluationEntry,
  type EvaluationItem,
  FormatError,
  type GroundTruth,
  InputError,
  UsageError,
} from "../index.ts";
import {
  type CocoInstances,
  type DatasetYaml,
  matchCategories,
  parseCocoInstances,
  parseDatasetYaml,
  parseYoloLabels,
} from "../steps.ts";
import { kindOf, listFolder, readText } from "./files.ts";
import { readList } from "./lists.ts";
import { expandPaths, patternBase } from "./paths.ts";
import { type FilePicture, pictureExtensions, readPicture } from "./picture.ts";

/** Options of `openDataset`. */
export interface DatasetOptions {
  /** Class names of the model: the dataset's classes are matched with them by name. */
  labels: readonly string[];
  /**
   * False when the model's names are not its own but assumed (`hasOwnLabels`): a dataset yaml with as many names then tells
   * them. Default true.
   */
  labelsKnown?: boolean;
  /** Folder of the pictures, where the dataset does not say it or they are elsewhere. */
  images?: string;
  /** Which part of a dataset yaml: `train`, `val` (default) or `test`. */
  split?: Split;
  /** The first so many pictures only. */
  limit?: number;
  /** Pictures without any label file are fine: they are evaluated by fidelity only. Default false. */
  labelsOptional?: boolean;
  /** Told of what was read otherwise than it is written, now or while pictures are read; each message once, a few at most. */
  onWarning?: (message: string) => void;
}

type Split = "train" | "val" | "test";

/** Pictures with their objects. */
export interface Dataset {
  /** Whether there is a ground truth. */
  readonly labelled: boolean;
  /** Class names by the class numbers of the truth: the model's, or where it has none the dataset's. */
  readonly labels: readonly string[];
  /** A picture's id is its path relative to the dataset with `/` between, or what a COCO file gives. */
  readonly entries: readonly EvaluationEntry[];
}

/**
 * Opens a dataset: a YOLOv5 dataset `.yaml`, a COCO `instances_*.json`, or a folder (or list, or pattern) of pictures with
 * YOLO label files (`…/images/a/b.jpg` ↔ `…/labels/a/b.txt`, else beside the picture). A picture whose label file is broken
 * is one that cannot be read: reading it throws InputError.
 * Throws InputError when pictures or labels are missing, FormatError for what is in the files, UsageError for classes that
 * are not the model's.
 */
export async function openDataset(data: string, options: DatasetOptions): Promise<Dataset> {
  expectKind("openDataset: data", data, "a string");
  expectKind("openDataset: options", options, "an object");
  const told = { ...options, onWarning: aFewTimes(options.onWarning) };
  const extension = path.extname(data).toLowerCase();
  if (extension === ".json") return openCoco(data, told);
  if (extension === ".yaml" || extension === ".yml") return openYaml(data, told);
  const inside = kindOf(data) === "folder" ? yamlIn(data) : undefined;
  if (inside && options.images === undefined) return openYaml(inside, told);
  return yoloDataset([options.images ?? data], data, identity(options.labels), told);
}

/**
 * Pictures without their objects: of a folder, a pattern, a list, or a dataset `.yaml` (its `train` part). Throws InputError.
 */
export async function openPictures(
  source: string,
  options: Pick<DatasetOptions, "onWarning"> = {},
): Promise<EvaluationEntry[]> {
  expectKind("openPictures: source", source, "a string");
  expectKind("openPictures: options", options, "an object of options");
  const told = { split: "train", onWarning: aFewTimes(options.onWarning) } as const;
  const isYaml = /\.ya?ml$/i.test(source);
  const sources = isYaml ? splitPaths(await readYaml(source), source, told) : [source];
  const files = await distinctPictures(sources, told);
  const idOf = idsBelow(source);
  return files.map((name) => ({
    name,
    read: async () => ({ id: idOf(name), ...sized(await readPicture(name)) }),
  }));
}

const sized = (picture: FilePicture): { picture: FilePicture; width: number; height: number } => ({
  ...{ picture, width: picture.fileWidth, height: picture.fileHeight },
});

const mostWarnings = 10;

/** Pictures are read several times, and a habit of the labels is in all of them. */
function aFewTimes(say: DatasetOptions["onWarning"]): (message: string) => void {
  const told = new Set<string>();
  return (message) => {
    if (told.has(message) || told.size > mostWarnings) return;
    told.add(message);
    say?.(told.size > mostWarnings ? "further warnings of this dataset are not shown" : message);
  };
}

type Told = Pick<DatasetOptions, "split"> & { keypointValues?: number; onWarning: (message: string) => void };

/** The only yaml file of a folder that holds no pictures itself. */
function yamlIn(folder: string): string | undefined {
  const names = listFolder(folder);
  const yamls = names.filter((name) => /\.ya?ml$/i.test(name));
  const holdsPictures = names.some((name) => isPicture(name));
  return yamls.length === 1 && !holdsPictures ? path.join(folder, yamls[0]) : undefined;
}

const isPicture = (name: string): boolean =>
  pictureExtensions.includes(path.extname(name).slice(1).toLowerCase());

/** Class numbers of the dataset to those of the model, with the model's names; nothing for a class that it does not have. */
interface ClassMap {
  labels: readonly string[];
  of: (category: number) => number | undefined;
}

const identity = (labels: readonly string[]): ClassMap => ({
  labels,
  of: (category) => (category < labels.length ? category : undefined),
});

async function readYaml(file: string): Promise<DatasetYaml> {
  return parseDatasetYaml(await readText(file), file);
}

async function openYaml(file: string, options: DatasetOptions & Told): Promise<Dataset> {
  const yaml = await readYaml(file);
  const sources = options.images === undefined ? splitPaths(yaml, file, options) : [options.images];
  return yoloDataset(sources, file, classesOf(yaml.names, file, options), {
    ...options,
    keypointValues: yaml.keypointValues,
  });
}

/**
 * Where the pictures of a split are. Paths are relative to `path`, itself relative to the yaml; but exports and repositories
 * mean other folders too, so what is not there is looked for as YOLOv5 does (Roboflow writes `../train/images` and means
 * `train/images`), in the current folder, and in the one above the yaml (YOLOv5's `data/x.yaml` counts from the repository).
 */
function splitPaths(yaml: DatasetYaml, file: string, { split = "val", onWarning }: Told): string[] {
  if (!yaml[split].length) {
    const there = (["train", "val", "test"] as const).filter((name) => yaml[name].length);
    throw new InputError(
      `${file}: no "${split}" in this dataset; it has ${there.join(", ") || "no pictures"}`,
    );
  }
  const folders = [path.dirname(file), ".", path.dirname(path.resolve(path.dirname(file)))];
  const bases = folders.flatMap((folder) => [path.resolve(folder, yaml.path ?? ""), path.resolve(folder)]);
  return yaml[split].map((written) => {
    const name = written.replaceAll("\\", "/");
    const names = [written, name, name.replace(/^\.\.\//, "")];
    const candidates = [...new Set(bases.flatMap((base) => names.map((each) => path.resolve(base, each))))];
    const found = candidates.find(isThere);
    if (found === undefined) {
      throw new InputError(
        `${file}: ${split}: ${written}: there is no such folder, list or picture; looked for ${candidates.slice(0, 3).join(", ")} and in the current folder`,
      );
    }
    if (!bases.slice(0, 2).some((base) => path.resolve(base, name) === found)) {
      onWarning(`${file}: ${split}: ${written} is taken for ${found}`);
    }
    return found;
  });
}

const isThere = (name: string): boolean =>
  kindOf(name) !== undefined ||
  (patternBase(name).rest !== "" && kindOf(patternBase(name).base) === "folder");

/** By name; datasets whose names are all unknown to the model are of another task, which is an error. */
function classesOf(names: readonly string[], file: string, options: DatasetOptions & Told): ClassMap {
  const { labels, labelsKnown = true, onWarning } = options;
  if (!names.length) throw new FormatError(`${file}: no "names": expected a dataset yaml with class names`);
  if (names.length === labels.length && names.every((name, i) => name === labels[i])) return identity(labels);
  if (!labelsKnown) {
    if (names.length === labels.length) {
      onWarning(
        `${file}: its ${names.length} class names are taken for the model, which has none of its own`,
      );
      return identity(names);
    }
    throw new UsageError(
      `${file}: found ${names.length} class names, but the model has ${labels.length} classes and no names of its own; give them with --labels`,
    );
  }
  const categories = names.map((name, id) => ({ id, name }));
  const map = inContext(file, () => matchCategories(categories, labels));
  return { labels, of: (category) => map.get(category) };
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
  if (/\.(txt|lst|list)$/i.test(source) && kindOf(source) === "file") return readList(source);
  return expandPaths([source], pictureExtensions).map((file) => file.path);
}

/** Every picture once: in a list, or in several parts of a dataset, one may be named again. */
async function distinctPictures(sources: readonly string[], { onWarning }: Told): Promise<string[]> {
  const files = (await Promise.all(sources.map(listPictures))).flat();
  const distinct = [...new Map(files.map((file) => [path.resolve(file), file])).values()];
  const again = files.length - distinct.length;
  if (again) onWarning(`${sources.join(", ")}: ${counted(again, "picture")} named again, and counted once`);
  return distinct;
}

/** Names pictures relative to what the user gave: a folder, a pattern, or a file that leads to the pictures. */
function idsBelow(source: string): (file: string) => string {
  const { base, rest } = patternBase(source);
  const root = kindOf(source) === "folder" ? source : rest ? base : path.dirname(source);
  return (file) => path.relative(root, file).replaceAll(path.sep, "/");
}

async function yoloDataset(
  sources: readonly string[],
  where: string,
  classes: ClassMap,
  options: DatasetOptions & Told,
): Promise<Dataset> {
  const pictures = (await distinctPictures(sources, options)).slice(0, options.limit);
  const labelFiles = pictures.map(labelFileOf);
  const labelled = labelFiles.some((file) => kindOf(file) === "file");
  if (!labelled && !options.labelsOptional) {
    throw new InputError(
      `${where}: none of the ${pictures.length} pictures has a label file; expected ${labelFiles[0]} for ${pictures[0]}`,
    );
  }
  const idOf = idsBelow(where);
  const load = async (file: string, labelFile: string): Promise<EvaluationItem> => {
    const item = { id: idOf(file), ...sized(await readPicture(file)) };
    if (!labelled) return item;
    // Without a label file a picture holds no object: YOLO's convention.
    const text = kindOf(labelFile) === "file" ? await readText(labelFile) : "";
    let rows: GroundTruth[];
    try {
      const { keypointValues, onWarning: onNote } = options;
      rows = parseYoloLabels(text, labelFile, item.id, item, { keypointValues, onNote });
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      throw new InputError(`${file}: ${error.message}`, { cause: error });
    }
    return { ...item, truth: mapClasses(rows, classes, labelFile) };
  };
  return {
    labelled,
    labels: classes.labels,
    entries: pictures.map((name, i) => ({ name, read: () => load(name, labelFiles[i]) })),
  };
}

function mapClasses(rows: GroundTruth[], { of, labels }: ClassMap, where: string): GroundTruth[] {
  return rows.map((row) => {
    const category = of(row.category);
    if (category !== undefined) return { ...row, category };
    throw new FormatError(
      `${where}: class ${row.category}: the model has classes 0 to ${labels.length - 1}; the labels are of another model`,
    );
  });
}

/** `…/images/a/b.jpg` → `…/labels/a/b.txt`; the file beside the picture where that is the one that is there. */
export function labelFileOf(picture: string): string {
  expectKind("labelFileOf: picture", picture, "a string");
  const { dir, name } = path.parse(path.resolve(picture));
  const parts = dir.split(path.sep);
  const at = parts.lastIndexOf("images");
  const beside = path.join(dir, `${name}.txt`);
  if (at < 0) return beside;
  parts[at] = "labels";
  const apart = path.join(parts.join(path.sep), `${name}.txt`);
  return kindOf(apart) === undefined && kindOf(beside) === "file" ? beside : apart;
}

async function openCoco(file: string, options: DatasetOptions & Told): Promise<Dataset> {
  const { labels, limit, onWarning } = options;
  const instances = parseCocoInstances(await readText(file, "annotations"), file);
  if (instances.leftOut) {
    onWarning(
      `${file}: ${counted(instances.leftOut, "annotation")} left out: of images or categories that are not in the file`,
    );
  }
  // A category without objects may be anything: exports have one for the whole dataset.
  const used = new Set(instances.groundTruth.map(({ category }) => category));
  const categories = instances.categories.filter(({ id }) => used.has(id));
  const classes = inContext(file, () => matchCategories(categories, labels));
  const folder = options.images ?? guessFolder(file, instances);
  const images = instances.images.slice(0, limit);
  if (!images.length) throw new InputError(`${file}: no images in this file`);
  const truths = new Map<GroundTruth["image"], GroundTruth[]>(images.map(({ id }) => [id, []]));
  for (const row of instances.groundTruth) {
    const category = classes.get(row.category);
    if (category !== undefined) truths.get(row.image)?.push({ ...row, category });
  }
  const load = async ({ id, fileName, ...size }: CocoInstances["images"][number]) => {
    const name = path.join(folder, fileName);
    const item = { id, ...sized(await readPicture(name)), truth: truths.get(id) };
    const [width, height] = [size.width ?? item.width, size.height ?? item.height];
    if (width !== item.width || height !== item.height) {
      throw new InputError(
        `${name}: ${item.width}x${item.height} pixels, but ${file} has boxes for ${width}x${height}`,
      );
    }
    return item;
  };
  const entries = images.map((image) => ({ name: image.fileName, read: () => load(image) }));
  return { labelled: true, labels, entries };
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
