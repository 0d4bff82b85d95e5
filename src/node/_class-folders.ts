/** Pictures in a folder for each class, for models that sort pictures. */
import path from "node:path";
import { spread } from "../base/maths.ts";
import { brief } from "../base/text.ts";
import { type EvaluationEntry, InputError, UsageError } from "../index.ts";
import { matchCategories } from "../steps.ts";
import {
  type ClassMap,
  classesOf,
  type Dataset,
  distinctPictures,
  finds,
  identity,
  idsBelow,
  type Split,
  type Telling,
} from "./_dataset.ts";
import { entryOf } from "./entries.ts";
import { kindOf } from "./files.ts";

/**
 * Pictures in a folder for each class, as torchvision's `ImageFolder` has it. Classes are matched by name; where no name is one of the
 * model's but there are as many (ImageNet's `n01440764`), they are taken in the order of their names, as they are in training.
 */
export async function openClasses(data: string, options: Telling): Promise<Dataset> {
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
  const entry = (file: string): EvaluationEntry => {
    const category = labelled ? classes.of[names.indexOf(folderOf(file) ?? "")] : undefined;
    const picture = { file, id: idOf(file) };
    return entryOf(
      category === undefined ? { kind: "picture", ...picture } : { kind: "sorted", category, ...picture },
    );
  };
  // Of every class, since the first pictures would be of the first one.
  const chosen = spread(files, limit ?? files.length);
  return {
    ...{ labelled, labels: classes.labels },
    entries: chosen.map(entry),
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
