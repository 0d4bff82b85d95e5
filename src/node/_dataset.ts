/** What all kinds of datasets on disk share: their options, their pictures, and which class of a model is which of theirs. */
import path from "node:path";
import { expectKind } from "../base/arguments.ts";
import { counted } from "../base/text.ts";
import { type EvaluationEntry, FormatError, type Head, type Task, UsageError } from "../index.ts";
import { matchCategories, type YoloLabelOptions } from "../steps.ts";
import { inContext } from "./_context.ts";
import { isAddress } from "./addresses.ts";
import type { ClassNumbers } from "./entries.ts";
import { kindOf } from "./files.ts";
import { readList } from "./lists.ts";
import { expandPaths, patternBase } from "./paths.ts";
import { pictureExtensions } from "./picture.ts";

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

export type Split = "train" | "val" | "test";

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

export type Told = Pick<DatasetOptions, "split"> & { onWarning: (message: string) => void };
/** What is known of the labels: the task, and for poses the number of key points. */
export type Telling = DatasetOptions &
  Told & { task: Task; count: number; keypoints?: YoloLabelOptions["keypoints"] };

/** Class numbers of the dataset to those of the model, with the model's names; nothing for a class that it does not have. */
export interface ClassMap {
  labels: readonly string[];
  of: ClassNumbers;
}

export const identity = (labels: readonly string[]): ClassMap => ({ labels, of: labels.map((_, i) => i) });

/** For messages. */
export const finds: { readonly [T in Task]: string } = {
  detect: "finds boxes",
  segment: "finds masks",
  pose: "finds key points",
  obb: "finds turned boxes",
  classify: "sorts pictures into classes",
};

/** By name; datasets whose names are all unknown to the model are of another task, which is an error. */
export function classesOf(names: readonly string[], file: string, options: Telling): ClassMap {
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
  return { labels, of: names.map((_, category) => map.get(category)) };
}

/** Pictures of a folder, a pattern, or a text file with one path a line (relative to the list or to the current folder). */
export async function listPictures(source: string): Promise<string[]> {
  expectKind("listPictures: source", source, "a string");
  if (/\.(txt|lst|list)$/i.test(source) && kindOf(source) === "file") return readList(source);
  return expandPaths([source], pictureExtensions).map((file) => file.path);
}

/** Every picture once: in a list, or in several parts of a dataset, one may be named again. */
export async function distinctPictures(sources: readonly string[], { onWarning }: Told): Promise<string[]> {
  const files = (await Promise.all(sources.map(listPictures))).flat();
  const distinct = [
    ...new Map(files.map((file) => [isAddress(file) ? file : path.resolve(file), file])).values(),
  ];
  const again = files.length - distinct.length;
  if (again) onWarning(`${sources.join(", ")}: ${counted(again, "picture")} named again, and counted once`);
  return distinct;
}

/** Names pictures relative to what the user gave: a folder, a pattern, or a file that leads to the pictures. */
export function idsBelow(source: string): (file: string) => string {
  const { base, rest } = patternBase(source);
  const root = kindOf(source) === "folder" ? source : rest ? base : path.dirname(source);
  return (file) => (isAddress(file) ? file : path.relative(root, file).replaceAll(path.sep, "/"));
}
