/** `ncnnkit eval`: accuracy and speed of models on labelled pictures. */
import { counted } from "../base/text.ts";
import {
  type CocoResult,
  type Dataset,
  type Evaluation,
  evaluateModels,
  InputError,
  type ModelEvaluation,
  openDataset,
  readEntries,
  UsageError,
} from "../node.ts";
import {
  hasOwnLabels,
  inputDifferences,
  type Measure,
  type Model,
  pointCountOf,
  trackRules,
  usualSigmas,
} from "../steps.ts";
import { choice, command, flag, type OptionsOf, option } from "./command.ts";
import { evalTracks } from "./eval-tracks.ts";
import { change, figures, percent } from "./figures.ts";
import { loadNamed, modelOptions, warnAssumptions } from "./names.ts";
import { engineOptions, jsonOption, numberIn } from "./options.ts";
import { passesFor, queueOptions } from "./passes.ts";
import { startProgress } from "./progress.ts";
import { printJson, type Terminal, warn } from "./terminal.ts";

const notes = `
What is measured follows from the model: boxes; masks (segment) and their boxes; key points by COCO's OKS (pose) and
their boxes; turned boxes as polygons (obb), with DOTA's task 1 beside; or the right class among the first and the first
five (classify). The labels have to be of that kind: docs/datasets.md.

AP, recall, top-1 and fidelity are printed times 100. Fidelity is the AP of a model when the detections of the first model
(score at least 0.25) are taken for the truth, of classes of pictures how often the two agree; score change is that of the
objects that both find, by size (small < 32² px ≤ medium < 96² px ≤ large). "change, 95 %" is where the difference in AP
lies for 95 of 100 draws of as many pictures (bootstrap): an interval with 0 in it may be chance. Settings are those of
YOLOv5's validation: scores from 0.001, IoU 0.6 suppression, 300 boxes.

With --tracks what is measured are tracks (MOTA, IDF1, HOTA and their parts, as trackeval has them): RESULT.txt … --tracks
GT.txt, lines frame,id,left,top,width,height,…; or folders with a file for each sequence. docs/video.md.

Examples:
  ncnnkit eval yolov5ss.param --data coco/coco.yaml --size 640
  ncnnkit eval fp16/yolov5ss.json int8/yolov5ss.json --data coco/images/val2017 --json
  ncnnkit eval yolov5ss.pt --data annotations/instances_val2017.json --images val2017 --limit 500
  ncnnkit eval yolo11n-seg.pt --data annotations/instances_val2017.json --images val2017 --limit 500
  ncnnkit eval yolo11n-cls.pt --data imagenet --limit 1000
  ncnnkit eval out/clip.mot.txt --tracks gt.txt`;

const options = {
  data: option(
    "--data <path>",
    "dataset .yaml, COCO .json, a folder of pictures with YOLO labels, or with a folder for each class",
  ),
  images: option("--images <dir>", "folder of the pictures, where the data does not lead to it"),
  split: choice(
    "--split <name>",
    "part of a dataset yaml or of a folder of classes",
    ["train", "val", "test"],
    "val",
  ),
  limit: option("--limit <n>", "pictures at most", numberIn(1, 1e7, true)),
  perClass: flag("--per-class", "also the AP (or top-1) of every class"),
  tracks: option(
    "--tracks <gt>",
    "measure tracks in MOTChallenge's text files instead, against these labels",
  ),
  rules: choice(
    "--rules <name>",
    "which boxes count of tracks: all, or as MOTChallenge counts",
    trackRules,
    "all",
  ),
  perSequence: flag("--per-sequence", "also the measures of each sequence of tracks"),
  ...jsonOption,
  ...modelOptions,
  ...engineOptions,
  ...queueOptions,
};
type Options = OptionsOf<typeof options>;

export const evaluate = command({
  name: "eval",
  about: "measure models on labelled pictures: AP or top-1, fidelity to the first model, speed",
  arguments: [
    [
      "<models...>",
      "anything that detect takes; the further ones are compared with the first (or tracks, see below)",
    ],
  ],
  options,
  notes,
  run,
});

async function run([files]: [string[]], options: Options, terminal: Terminal): Promise<void> {
  const { data } = options;
  if (options.tracks !== undefined) {
    if (data !== undefined)
      throw new UsageError("--data is for models and --tracks for tracks; give one of them");
    return evalTracks(options.tracks, files, options, terminal);
  }
  if (data === undefined) {
    throw new UsageError(
      "--data is missing, the labelled pictures to measure models on (of tracks: --tracks)",
    );
  }
  const models: Model[] = [];
  try {
    for (const file of files) {
      const { backend, precision, tune, threads } = options;
      const model = await loadNamed(file, options, terminal, { backend, precision, tune, threads });
      models.push(model);
      warnAssumptions(file, model, terminal);
      model.requireHeads();
      const differences = inputDifferences(models[0].manifest.input, model.manifest.input);
      if (differences.length) {
        warn(terminal, `${file} prepares pictures unlike ${files[0]}: ${differences.join(", ")}`);
      }
    }
    await measure(models, files, { ...options, data }, terminal);
  } finally {
    for (const model of models) model.close();
  }
}

async function measure(
  models: readonly Model[],
  files: readonly string[],
  options: Options & { data: string },
  terminal: Terminal,
): Promise<void> {
  const { images, split, limit } = options;
  const [first] = models;
  const { labels, heads } = first.manifest;
  const progress = startProgress(terminal);
  const dataset = await openDataset(options.data, {
    ...{ labels, heads, images, split, limit },
    labelsKnown: hasOwnLabels(first.manifest, first.assumptions),
    labelsOptional: models.length > 1,
    onWarning: progress.warn,
  });
  if (!dataset.labelled) {
    warn(terminal, `${options.data}: no labels, so there is only fidelity to ${files[0]}`);
  }
  const skipped: string[] = [];
  const skip = (message: string): void => {
    skipped.push(message);
    progress.skip(message);
  };
  let result: Evaluation;
  const passes = await passesFor(options, dataset.entries.length, progress.say);
  let isDone = false;
  try {
    progress.step("evaluating", 0, dataset.entries.length);
    const measured = await evaluateModels(models, readEntries(dataset.entries, skip, progress.warn), {
      size: options.size,
      sigmas: dataset.sigmas,
      runner: passes.runner,
      signal: passes.signal,
      onProgress: (done) => progress.step("evaluating", done + skipped.length, dataset.entries.length),
    });
    result = { ...measured, labels: dataset.labels };
    isDone = true;
  } catch (error) {
    if (skipped.length < dataset.entries.length) throw error;
    throw new InputError(`${options.data}: none of the ${dataset.entries.length} pictures could be read`, {
      cause: error,
    });
  } finally {
    progress.stop();
    await passes.close(isDone);
  }
  warnMeasure(result, first, dataset, options.data, terminal);
  if (options.json) printJson(terminal, toJson(result, files, skipped));
  else {
    const { perClass } = options;
    const shown = { skipped: skipped.length, perClass, threads: passes.count };
    terminal.out(describe(result, names(files, result), shown));
  }
}

/** What was measured otherwise than people may think. */
function warnMeasure(
  { task, objects, models }: Evaluation,
  { manifest }: Model,
  { sigmas }: Dataset,
  data: string,
  terminal: Terminal,
): void {
  if (task !== "pose" || !objects) return;
  const count = pointCountOf(manifest.heads);
  if (models[0].measure === "box") {
    warn(terminal, `${data}: no key points in these labels, so boxes are measured`);
  } else if (!sigmas && usualSigmas(count).every((sigma) => sigma === 1 / count)) {
    warn(
      terminal,
      `nothing says how exactly each of the ${count} key points can be placed: 1/${count} of the object's size is taken, as ultralytics does; kpt_oks_sigmas in the dataset yaml tells otherwise`,
    );
  }
}

/** Short names that tell the models apart. */
function names(files: readonly string[], { models }: Evaluation): string[] {
  const short = models.map(({ model }) => model);
  return new Set(short).size === short.length ? short : [...files];
}

/** `−2.1 to +0.3`, hundredths, or a dash. */
const interval = (range: ModelEvaluation["apChange"]): string =>
  range
    ? [range.low, range.high].map((end) => `${end >= 0 ? "+" : ""}${(100 * end).toFixed(1)}`).join(" to ")
    : "–";

function describe(
  result: Evaluation,
  labels: string[],
  { skipped, perClass, threads }: { skipped: number; perClass: boolean | undefined; threads: number },
): string {
  const { task, models, images, objects, width, height } = result;
  const parts = [`${counted(images, "picture")} at ${width}x${height}`];
  if (objects !== undefined) parts.push(counted(objects, task === "classify" ? "label" : "object"));
  if (skipped) parts.push(`${counted(skipped, "picture")} skipped`);
  const blocks = [`${parts.join(", ")}\n`];
  if (objects !== undefined) blocks.push(...accuracyTables(models, labels));
  if (models.length > 1) blocks.push(fidelityTable(result, labels));
  blocks.push(timeTable(models, labels, threads));
  if (perClass && objects !== undefined) blocks.push(classTable(result, labels));
  return blocks.join("\n");
}

/** What each measure is called, and its columns. */
const accuracyColumns: {
  readonly [M in Measure]: { title: string; columns: readonly (keyof Omit<CocoResult, "perClass">)[] };
} = {
  box: { title: "boxes", columns: ["AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100"] },
  mask: { title: "masks", columns: ["AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100"] },
  points: { title: "key points", columns: ["AP", "AP50", "AP75", "APm", "APl", "AR", "AR50", "AR75"] },
  corners: { title: "turned boxes", columns: ["AP", "AP50", "AP75", "APs", "APm", "APl", "AR"] },
};

function accuracyTables(models: readonly ModelEvaluation[], labels: string[]): string[] {
  const [{ measure, boxes, top }] = models;
  if (top) {
    const rows = models.map(({ top: each }, i) => [labels[i], percent(each?.top1), percent(each?.top5)]);
    return [figures([["classes", "top-1", "top-5"], ...rows])];
  }
  const cocoTable = (of: Measure, result: (model: ModelEvaluation) => CocoResult | undefined): string => {
    const { title, columns } = accuracyColumns[of];
    const dota = of === "corners" ? ["DOTA", "ProbIoU"] : [];
    const rows = models.map((model, i) => [
      labels[i],
      ...(dota.length ? [percent(model.dota?.AP), percent(model.probiou?.AP)] : []),
      ...columns.map((column) => percent(result(model)?.[column])),
    ]);
    return figures([[title, ...dota, ...columns], ...rows]);
  };
  const tables = measure ? [cocoTable(measure, ({ coco }) => coco)] : [];
  return boxes ? [...tables, cocoTable("box", (model) => model.boxes)] : tables;
}

function fidelityTable({ task, models }: Evaluation, labels: string[]): string {
  const sizes = task === "classify" ? [] : (["small", "medium", "large"] as const);
  const objects = task === "classify" ? ["pictures", "other class"] : ["objects", "lost"];
  return figures([
    ["against the first", "change, 95 %", "fidelity", ...objects, "score change", ...sizes],
    ...models.flatMap(({ fidelity: f, apChange }, i) => {
      if (!f) return [];
      const scores = (["all", ...sizes] as const).map((size) => change(f[size].change));
      const counts = [f.objects, f.all.missing].map(String);
      return [[labels[i], interval(apChange), percent(f.fidelity), ...counts, ...scores]];
    }),
  ]);
}

function timeTable(models: readonly ModelEvaluation[], labels: string[], threads: number): string {
  const among = threads > 1 ? `, ${threads} at once` : "";
  return figures([
    [`milliseconds a picture${among}`, "preparing", "inference", "results"],
    ...models.map(({ milliseconds: ms }, i) => [
      labels[i],
      ...[ms.preprocess, ms.inference, ms.postprocess].map((value) => value.toFixed(1)),
    ]),
  ]);
}

function classTable({ models, labels: classes }: Evaluation, labels: string[]): string {
  const isSorting = models[0].top !== undefined;
  const figuresOf = ({ coco, top }: ModelEvaluation) =>
    top
      ? top.perClass.map(({ category, pictures, top1, top5 }) => ({
          category,
          count: pictures,
          two: [top1, top5],
        }))
      : (coco?.perClass ?? []).map(({ category, objects, AP, AP50 }) => ({
          ...{ category, count: objects, two: [AP, AP50] },
        }));
  const all = models.map(figuresOf);
  const rows = all[0]
    .filter(({ count }) => count > 0)
    .map(({ category, count }) => [
      ...[classes[category], String(count)],
      ...all.flatMap((each) => {
        const found = each.find((row) => row.category === category)?.two ?? [undefined, undefined];
        return found.map(percent);
      }),
    ]);
  const names = isSorting ? ["top-1", "top-5"] : ["AP", "AP50"];
  const heads = labels.flatMap((label) => [`${labels.length > 1 ? `${label} ` : ""}${names[0]}`, names[1]]);
  return figures([["class", isSorting ? "pictures" : "objects", ...heads], ...rows]);
}

function toJson(result: Evaluation, files: readonly string[], skipped: readonly string[]): unknown {
  const named = <C extends { category: number }, R extends { perClass: C[] }>(each: R) => ({
    ...each,
    perClass: each.perClass.map((row) => ({ label: result.labels[row.category], ...row })),
  });
  return {
    ...result,
    labels: undefined,
    skipped,
    models: result.models.map(({ detections: _, model: name, fidelity, ...model }, i) => ({
      ...{ model: name, file: files[i], ...model },
      coco: model.coco && named(model.coco),
      boxes: model.boxes && named(model.boxes),
      dota: model.dota && named(model.dota),
      top: model.top && named(model.top),
      // The list of all pairs is long; the report plots it.
      fidelity: fidelity && { ...fidelity, pairs: undefined },
    })),
  };
}
