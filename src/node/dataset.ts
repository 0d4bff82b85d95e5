/** Labelled pictures on disk: YOLO label folders, dataset yaml files, COCO files, and a folder for each class. */
import path from "node:path";
import { expectKind } from "../base/arguments.ts";
import { type EvaluationEntry, FormatError, InputError, UsageError } from "../index.ts";
import {
  type DatasetYaml,
  measureOf,
  parseDatasetYaml,
  parseYoloLabels,
  pointCountOf,
  taskOf,
  type YoloLabelOptions,
} from "../steps.ts";
import { openClasses } from "./_class-folders.ts";
import { openCoco } from "./_coco-dataset.ts";
import {
  type ClassMap,
  classesOf,
  type Dataset,
  type DatasetOptions,
  distinctPictures,
  finds,
  identity,
  idsBelow,
  type Telling,
  type Told,
} from "./_dataset.ts";
import { entryOf } from "./entries.ts";
import { kindOf, listFolder, readText } from "./files.ts";
import { patternBase } from "./paths.ts";
import { pictureExtensions } from "./picture.ts";

export { type Dataset, type DatasetOptions, listPictures } from "./_dataset.ts";

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
  expectKind("openDataset: options.labels", options.labels, "a list of strings");
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
  return files.map((file) => entryOf({ kind: "picture", file, id: idOf(file) }));
}

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

/** The only yaml file of a folder that holds no pictures itself. */
function yamlIn(folder: string): string | undefined {
  const names = listFolder(folder);
  const yamls = names.filter((name) => /\.ya?ml$/i.test(name));
  const holdsPictures = names.some((name) => isPicture(name));
  return yamls.length === 1 && !holdsPictures ? path.join(folder, yamls[0]) : undefined;
}

const isPicture = (name: string): boolean =>
  pictureExtensions.includes(path.extname(name).slice(1).toLowerCase());

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
  const { count, keypoints = { count }, onWarning } = options;
  const labelling = {
    measure: measureOf(options.heads ?? []),
    keypoints: keypoints.count ? keypoints : undefined,
  };
  await checkLabels(labelFiles, where, labelling, options);
  const entry = (file: string, i: number): EvaluationEntry => {
    const picture = { file, id: idOf(file) };
    if (!labelled) return entryOf({ kind: "picture", ...picture });
    const { of, labels } = classes;
    const yolo = { labelFile: labelFiles[i], labelling, classes: of, count: labels.length };
    return entryOf({ kind: "yolo", ...picture, ...yolo }, onWarning);
  };
  return { labelled, labels: classes.labels, entries: pictures.map(entry) };
}

/** Label files that are looked at before anything is measured. */
const lookedAt = 8;

/**
 * Throws UsageError where the first label files are all of another task. (One that is broken only costs its picture.) Outlines of four points
 * each may be turned boxes, which is said.
 */
async function checkLabels(
  files: readonly string[],
  where: string,
  labelling: YoloLabelOptions,
  { task, onWarning }: Telling,
): Promise<void> {
  if (labelling.measure === "box") return;
  const texts: [file: string, text: string][] = [];
  for (const file of files) {
    const text = kindOf(file) === "file" ? await readText(file) : "";
    if (text.trim()) texts.push([file, text]);
    if (texts.length === lookedAt) break;
  }
  const problems = texts.flatMap(([file, text]) => {
    try {
      parseYoloLabels(text, file, 0, { width: 64, height: 64 }, labelling);
      return [];
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      return [error.message];
    }
  });
  if (problems.length && problems.length === texts.length) {
    throw new UsageError(`${problems[0]}; the model ${finds[task]}`);
  }
  const lines = texts.flatMap(([, text]) => text.trim().split(/\s*[\r\n]+\s*/));
  if (labelling.measure === "mask" && lines.length && lines.every((line) => line.split(/\s+/).length === 9)) {
    onWarning(
      `${where}: all outlines have four points; if they are turned boxes, masks are not what these labels are for`,
    );
  }
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
