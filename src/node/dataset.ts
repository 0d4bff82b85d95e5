/** Labelled pictures on disk: YOLO label folders, dataset yaml files, COCO files, and a folder for each class. */
import path from "node:path";
import { expectKind } from "../base/arguments.ts";
import { spread } from "../base/maths.ts";
import { brief, counted } from "../base/text.ts";
import {
  type EvaluationEntry,
  type EvaluationItem,
  FormatError,
  type GroundTruth,
  type Head,
  InputError,
  type Task,
  UsageError,
} from "../index.ts";
import {
  type CocoInstances,
  type CocoTruth,
  cocoObject,
  type DatasetYaml,
  matchCategories,
  measureOf,
  parseCocoInstances,
  parseDatasetYaml,
  parseYoloLabels,
  pointCountOf,
  taskOf,
  type YoloLabelOptions,
} from "../steps.ts";
import { kindOf, listFolder, readText } from "./files.ts";
import { readList } from "./lists.ts";
import { expandPaths, patternBase } from "./paths.ts";
import { type FilePicture, pictureExtensions, readPicture } from "./picture.ts";

/** Options of `openDataset`. */
export interface DatasetOptions {
  /** Class names of the model: the dataset's classes are matched with them by name. */
  labels: readonly string[];
  /** Heads of the model, which tell what its labels are: boxes, outlines, key points, turned boxes or classes. Default boxes. */
  heads?: readonly Head[];
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
  /** Spread of each key point, where a dataset yaml says it. */
  readonly sigmas?: readonly number[];
  /** A picture's id is its path relative to the dataset with `/` between, or what a COCO file gives. */
  readonly entries: readonly EvaluationEntry[];
}

/**
 * Opens a dataset: a YOLOv5 dataset `.yaml`, a COCO `instances_*.json`, or a folder (or list, or pattern) of pictures with
 * YOLO label files (`…/images/a/b.jpg` ↔ `…/labels/a/b.txt`, else beside the picture); for models that sort pictures a folder with a
 * folder for each class, below one of the split where there is one. A picture whose label file is broken
 * is one that cannot be read: reading it throws InputError.
 * Throws InputError when pictures or labels are missing, FormatError for what is in the files, UsageError for classes that
 * are not the model's, and for labels of another task.
 */
export async function openDataset(data: string, options: DatasetOptions): Promise<Dataset> {
  expectKind("openDataset: data", data, "a string");
  expectKind("openDataset: options", options, "an object");
  const { heads = [] } = options;
  const task = taskOf(heads);
  const told: Telling = {
    ...options,
    task,
    count: pointCountOf(heads),
    onWarning: aFewTimes(options.onWarning),
  };
  if (task === "classify") return openClasses(data, told);
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

type Told = Pick<DatasetOptions, "split"> & { onWarning: (message: string) => void };
/** What is known of the labels: the task, and for poses the number of key points. */
type Telling = DatasetOptions &
  Told & { task: Task; count: number; keypoints?: YoloLabelOptions["keypoints"] };

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

async function openYaml(file: string, options: Telling): Promise<Dataset> {
  const yaml = await readYaml(file);
  const { keypoints, sigmas } = yaml;
  checkKeypoints(keypoints?.count, file, options);
  const sources = options.images === undefined ? splitPaths(yaml, file, options) : [options.images];
  const classes = classesOf(yaml.names, file, options);
  return { ...(await yoloDataset(sources, file, classes, { ...options, keypoints })), sigmas };
}

/** Throws UsageError where a dataset of poses is given to a model of another task, or has other key points. */
function checkKeypoints(count: number | undefined, file: string, { task, count: expected }: Telling): void {
  if (count === undefined || task === "detect") return;
  if (task !== "pose") {
    throw new UsageError(`${file}: a dataset of poses (kpt_shape), but the model ${finds[task]}`);
  }
  if (count === expected) return;
  throw new UsageError(`${file}: objects have ${count} key points, but the model finds ${expected}`);
}

/** For messages. */
const finds: { readonly [T in Task]: string } = {
  detect: "finds boxes",
  segment: "finds masks",
  pose: "finds key points",
  obb: "finds turned boxes",
  classify: "sorts pictures into classes",
};

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
function classesOf(names: readonly string[], file: string, options: Telling): ClassMap {
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
  options: Telling,
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
  const { count, keypoints = { count }, onWarning: onNote } = options;
  const labelling: YoloLabelOptions = {
    ...{ measure: measureOf(options.heads ?? []), onNote },
    keypoints: keypoints.count ? keypoints : undefined,
  };
  const load = async (file: string, labelFile: string): Promise<EvaluationItem> => {
    const item = { id: idOf(file), ...sized(await readPicture(file)) };
    if (!labelled) return item;
    // Without a label file a picture holds no object: YOLO's convention.
    const text = kindOf(labelFile) === "file" ? await readText(labelFile) : "";
    let rows: GroundTruth[];
    try {
      rows = parseYoloLabels(text, labelFile, item.id, item, labelling);
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

async function openCoco(file: string, options: Telling): Promise<Dataset> {
  const { labels, limit, onWarning } = options;
  const instances = parseCocoInstances(await readText(file, "annotations"), file);
  if (instances.leftOut) {
    onWarning(
      `${file}: ${counted(instances.leftOut, "annotation")} left out: of images or categories that are not in the file`,
    );
  }
  // A category without objects may be anything: exports have one for the whole dataset.
  checkObjects(instances.groundTruth, file, options);
  const used = new Set(instances.groundTruth.map(({ category }) => category));
  const categories = instances.categories.filter(({ id }) => used.has(id));
  const classes = inContext(file, () => matchCategories(categories, labels));
  const folder = options.images ?? guessFolder(file, instances);
  const images = instances.images.slice(0, limit);
  if (!images.length) throw new InputError(`${file}: no images in this file`);
  const truths = new Map<GroundTruth["image"], CocoTruth[]>(images.map(({ id }) => [id, []]));
  for (const row of instances.groundTruth) {
    const category = classes.get(row.category);
    if (category !== undefined) truths.get(row.image)?.push({ ...row, category });
  }
  const measure = measureOf(options.heads ?? []);
  const load = async ({ id, fileName, ...size }: CocoInstances["images"][number]) => {
    const name = path.join(folder, fileName);
    const item = { id, ...sized(await readPicture(name)) };
    const [width, height] = [size.width ?? item.width, size.height ?? item.height];
    if (width !== item.width || height !== item.height) {
      throw new InputError(
        `${name}: ${item.width}x${item.height} pixels, but ${file} has boxes for ${width}x${height}`,
      );
    }
    const objectOf = (row: CocoTruth) => inContext(file, () => cocoObject(row, measure, item));
    return { ...item, truth: truths.get(id)?.map(objectOf) };
  };
  const entries = images.map((image) => ({ name: image.fileName, read: () => load(image) }));
  return { labelled: true, labels, entries };
}

/**
 * Throws where objects lack what the model finds: the first that does is named. Objects of a pose model may all be boxes alone, as those of
 * face detectors often are.
 */
function checkObjects(objects: readonly CocoTruth[], file: string, options: Telling): void {
  const { task, count } = options;
  const fail = ({ annotation }: CocoTruth, problem: string): never => {
    throw new UsageError(`${file}: annotations.${annotation}: ${problem}; the model ${finds[task]}`);
  };
  if (task === "segment" || task === "obb") {
    const bare = objects.find(({ segmentation: s }) => !s || (Array.isArray(s) && !s.length));
    if (bare)
      fail(bare, `no segmentation${bare.annotation === objects[0].annotation ? "" : ", as others have it"}`);
  }
  if (task !== "pose" || !objects.some(({ points }) => points)) return;
  for (const object of objects) {
    const found = object.points?.length ?? 0;
    if (found !== count) fail(object, `${found} key points, expected ${count}`);
  }
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

/**
 * Pictures in a folder for each class, as torchvision's `ImageFolder` has it. Classes are matched by name; where no name is one of the
 * model's but there are as many (ImageNet's `n01440764`), they are taken in the order of their names, as they are in training.
 */
async function openClasses(data: string, options: Telling): Promise<Dataset> {
  const { split = "val", limit, images, labelsOptional } = options;
  const given = images ?? data;
  if (kindOf(given) !== "folder") {
    throw new UsageError(
      `${given}: expected a folder with a folder of pictures for each class: the model ${finds.classify}`,
    );
  }
  const root = splitFolder(given, split);
  const files = await distinctPictures([root], options);
  const idOf = idsBelow(root);
  const folderOf = (file: string): string | undefined => /^([^/]+)\//.exec(idOf(file))?.[1];
  const loose = files.find((file) => folderOf(file) === undefined);
  const labelled = files.some((file) => folderOf(file) !== undefined);
  if (loose !== undefined && (labelled || !labelsOptional)) {
    throw new InputError(`${loose}: expected pictures in folders named after their classes, below ${root}`);
  }
  const names = [...new Set(files.flatMap((file) => folderOf(file) ?? []))].sort();
  const classes = labelled ? folderClasses(names, root, options) : identity(options.labels);
  const load = async (file: string): Promise<EvaluationItem> => {
    const item = { id: idOf(file), ...sized(await readPicture(file)) };
    const category = classes.of(names.indexOf(folderOf(file) ?? ""));
    if (!labelled || category === undefined) return item;
    const box = { x: 0, y: 0, width: item.width, height: item.height };
    return { ...item, truth: [{ image: item.id, category, box }] };
  };
  // Of every class, since the first pictures would be of the first one.
  const chosen = spread(files, limit ?? files.length);
  return {
    ...{ labelled, labels: classes.labels },
    entries: chosen.map((name) => ({ name, read: () => load(name) })),
  };
}

/** The folder of the split; or the folder itself, where it has none of any split. */
function splitFolder(folder: string, split: Split): string {
  const spellings = { train: ["train"], val: ["val", "validation", "valid"], test: ["test"] } as const;
  const isThere = (name: string): boolean => kindOf(path.join(folder, name)) === "folder";
  const found = spellings[split].find(isThere);
  if (found !== undefined) return path.join(folder, found);
  const others = Object.values(spellings).flat().filter(isThere);
  if (!others.length) return folder;
  throw new InputError(`${folder}: no "${split}" in this dataset; it has ${others.join(", ")}`);
}

/** Names of folders, in their order, to classes of the model. */
function folderClasses(names: readonly string[], root: string, options: Telling): ClassMap {
  const { labels, labelsKnown = true, onWarning } = options;
  if (!labelsKnown) return classesOf(names, root, options);
  const categories = names.map((name, id) => ({ id, name }));
  const known = matchCategories(categories, labels, { partial: true });
  if (!known.size && names.length === labels.length) {
    onWarning(
      `${root}: no folder is named after a class of the model; its ${names.length} folders are taken in their order: ${brief(`${names[0]} for ${labels[0]}`)}, …`,
    );
    return identity(labels);
  }
  return classesOf(names, root, options);
}
