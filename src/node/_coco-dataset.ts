/** Labelled pictures of a COCO file. */
import path from "node:path";
import { counted } from "../base/text.ts";
import { type GroundTruth, InputError, UsageError } from "../index.ts";
import {
  type CocoInstances,
  type CocoTruth,
  matchCategories,
  measureOf,
  parseCocoInstances,
} from "../steps.ts";
import { inContext } from "./_context.ts";
import { type Dataset, finds, type Telling } from "./_dataset.ts";
import { entryOf } from "./entries.ts";
import { kindOf, readText } from "./files.ts";

export async function openCoco(file: string, options: Telling): Promise<Dataset> {
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
  const entries = images.map(({ id, fileName, width, height }) => {
    const truth = truths.get(id) ?? [];
    const picture = { file: path.join(folder, fileName), id, width, height };
    return entryOf({ kind: "coco", from: file, measure, truth, ...picture }, undefined, fileName);
  });
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
