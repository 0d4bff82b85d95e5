/** `ncnnkit detect`: what is on pictures. */
import path from "node:path";
import { counted, visible } from "../base/text.ts";
import { type FoundPicture, findInPictures } from "../node/found.ts";
import { slashed } from "../node/local.ts";
import {
  checkParts,
  finishParts,
  type PartFormat,
  type PartRow,
  partFormats,
  writePart,
} from "../node/parts.ts";
import { expandPaths, type FoundFile } from "../node/paths.ts";
import { dotaFiles, type ResultNames, resultNames, resultRows } from "../node/results.ts";
import {
  type Detection,
  InputError,
  listPictures,
  pictureExtensions,
  UsageError,
  writeFiles,
} from "../node.ts";
import { type CocoRow, detectionJson, type Model, type ModelDetectOptions, taskOf } from "../steps.ts";
import { choice, command, flag, type OptionsOf, option } from "./command.ts";
import { checkVideoOptions, detectVideos } from "./detect-video.ts";
import { detectionLine } from "./detections.ts";
import { loadNamed, modelOptions, warnAssumptions, warnLetters } from "./names.ts";
import { engineOptions, jsonOption, numberIn } from "./options.ts";
import { passesFor, queueOptions } from "./passes.ts";
import { startProgress } from "./progress.ts";
import { printJson, type Terminal, warn } from "./terminal.ts";
import { videoExamples, videoNotes, videoOptions, videosOf } from "./video-options.ts";

const notes = `
Prints a line per object: label, score, and x, y, width, height in pixels of the picture. Turned boxes are their middle,
width, height and angle in degrees, clockwise. Of a model that sorts pictures a line is a class and its score. Masks,
key points and corners are drawn, and are in --json and --save.
${videoNotes}

Examples:
  ncnnkit detect yolov5ss.pt photo.jpg --out out/
  ncnnkit detect out/yolov5ss.json photos/ --json > boxes.json
  ncnnkit detect yolov5ss.param "photos/**/*.png" --classes person,car --out out/ --save txt
  ncnnkit detect yolo11n-seg.pt photo.jpg --out out/ --save coco
  ncnnkit detect yolov5ss.param scans.txt --out found/ --parts parquet
  ncnnkit detect yolov5ss.param scans.txt --queue redis://queue:6379 --shared /mnt --out /mnt/found --parts ndjson${videoExamples}`;

function parseClasses(text: string): (string | number)[] {
  return text.split(",").map((name) => (/^\d+$/.test(name.trim()) ? Number(name) : name.trim()));
}

const options = {
  out: option("--out <dir>", "write the pictures with what was found here"),
  save: choice(
    "--save <format>",
    "also write it to --out: YOLO text files, COCO results, DOTA's files of turned boxes",
    ["txt", "coco", "dota"],
  ),
  parts: choice(
    "--parts <format>",
    "write what was found to --out as files of many pictures each, instead of pictures",
    partFormats,
  ),
  ...jsonOption,
  confidence: option("--conf <p>", "least score (default: 0.25; for classes of pictures 0)", numberIn(0, 1)),
  iou: option("--iou <p>", "overlap above which the weaker box goes", numberIn(0, 1), 0.45),
  maxDetections: option(
    "--max-det <n>",
    "most objects per picture (default: 300), or classes (default: 5)",
    numberIn(0, 100_000, true),
  ),
  classes: option("--classes <list>", "only these classes: names or numbers, comma between", parseClasses),
  rectangle: flag("--rect", "pad to the next multiple of the stride only: faster on oblong pictures"),
  agnostic: flag("--agnostic", "boxes of different classes suppress each other"),
  ...videoOptions,
  ...modelOptions,
  ...engineOptions,
  ...queueOptions,
};
type Options = OptionsOf<typeof options>;

export const detect = command({
  name: "detect",
  about: "find objects in pictures and videos with a checkpoint, an ncnn model or a model manifest",
  arguments: [
    [
      "<model>",
      "a checkpoint (.pt), .param, manifest (.json), a folder with one of them, or a name of pull --list",
    ],
    ["[images...]", "pictures, folders of them, patterns such as 'photos/*.jpg', or videos"],
  ],
  options,
  notes,
  run,
});

/** What is reported of a picture. */
interface Result {
  file: string;
  width: number;
  height: number;
  /** Of reading nothing: pre-processing, network and decoding. */
  milliseconds: number;
  count: number;
  detections: Detection[];
  written?: string;
}

async function run(
  [modelFile, images]: [string, string[]],
  options: Options,
  terminal: Terminal,
): Promise<void> {
  if (options.save && !options.out) throw new UsageError("--save needs --out, the folder to write to");
  const parts = partsOf(options);
  const videos = videosOf(images, options);
  if (videos) checkVideoOptions(options);
  if (videos && (parts || options.queue !== undefined)) {
    throw new UsageError(
      "--parts and --queue are for pictures; a video is read by one machine, frame by frame",
    );
  }
  const files = videos ? [] : expandPaths(await listed(images), pictureExtensions);
  const targets =
    options.out === undefined || options.parts || videos
      ? undefined
      : resultNames(files, options.out, options.save, (message) => warn(terminal, message));
  const { backend, precision, tune, threads } = options;
  const model = await loadNamed(modelFile, options, terminal, { backend, precision, tune, threads });
  try {
    warnAssumptions(modelFile, model, terminal);
    model.requireHeads();
    checkSave(model, options);
    const { labels } = model.manifest;
    if (targets || (videos && options.out !== undefined)) await warnLetters(labels, terminal);
    if (videos) await detectVideos(model, videos, options, terminal);
    else await detectAll(model, files, { targets, parts }, options, terminal);
  } finally {
    model.close();
  }
}

/** Lists stand for what they list. */
async function listed(images: readonly string[]): Promise<string[]> {
  const all = images.map((name) => (/\.(txt|lst|list)$/i.test(name) ? listPictures(name) : [name]));
  return (await Promise.all(all)).flat();
}

/** What has no form in the format is refused before anything is computed. */
function checkSave({ manifest }: Model, { save }: Options): void {
  const task = taskOf(manifest.heads);
  if (save === "dota" && task !== "obb") {
    throw new UsageError(
      `--save dota is for models of turned boxes; ${manifest.name} is of the task "${task}": use txt${task === "classify" ? "" : " or coco"}`,
    );
  }
  if (save === "coco" && task === "classify") {
    throw new UsageError(`--save coco is for objects; ${manifest.name} sorts whole pictures: use txt`);
  }
}

/** Where parts go; workers know the folder below the shared one. */
function partsOf({ out, parts, save, json, queue, shared }: Options): FindParts | undefined {
  if (!parts) {
    if (queue === undefined || out === undefined) return undefined;
    throw new UsageError("--queue with --out needs --parts ndjson or parquet: workers draw no pictures");
  }
  if (out === undefined) throw new UsageError("--parts needs --out, the folder to write to");
  if (save || json) throw new UsageError(`--parts goes without ${save ? "--save" : "--json"}`);
  checkParts(out);
  if (queue === undefined || shared === undefined) return { out, format: parts };
  const inside = path.relative(path.resolve(shared), path.resolve(out));
  if (inside === "" || inside.startsWith("..") || path.isAbsolute(inside)) {
    throw new UsageError(
      `--out ${out}: expected a folder below the shared one, ${shared}, which workers write to`,
    );
  }
  return { out: slashed(inside), format: parts };
}
type FindParts = { readonly out: string; readonly format: PartFormat };

async function detectAll(
  model: Model,
  files: readonly FoundFile[],
  { targets, parts }: { targets?: readonly ResultNames[]; parts?: FindParts },
  options: Options,
  terminal: Terminal,
): Promise<void> {
  const all = new Results(model, files, targets, options, terminal);
  const progress = startProgress(terminal);
  const passes = await passesFor(options, files.length, progress.say);
  let isDone = false;
  try {
    progress.step("detect", 0, files.length);
    const { out, save: format } = options;
    const write = out === undefined || !targets ? undefined : { out, names: targets, format };
    const paths = files.map(({ path }) => path);
    const byWorkers = options.queue === undefined ? undefined : parts;
    const settings = { options: detectOptions(options), write, parts: byWorkers };
    await findInPictures(model, paths, settings, {
      runner: passes.runner,
      signal: passes.signal,
      onFound: (found) => all.take(found),
      onSkip: (message, index) => {
        if (files.length === 1) throw new InputError(message);
        all.skip(index, message);
        progress.skip(message);
      },
      onWarning: progress.warn,
      onProgress: (done) => progress.step("detect", done + all.skipped, files.length),
    });
    isDone = true;
  } finally {
    progress.stop();
    await passes.close(isDone);
  }
  await all.finish();
}

function detectOptions(options: Options): ModelDetectOptions {
  const { confidence, iou, maxDetections, classes, size, rectangle, agnostic } = options;
  return { confidence, iou, maxDetections, classes, size, rectangle, agnostic };
}

/** In a part that is written here. */
const picturesOfPart = 4096;

/** Results as they come, told in the order of the pictures. */
class Results {
  private readonly errors = new Map<number, string>();
  private readonly model: Model;
  private readonly files: readonly FoundFile[];
  private readonly targets: readonly ResultNames[] | undefined;
  private readonly options: Options;
  private readonly terminal: Terminal;
  /** By number: those that wait for one before them; undefined for pictures that were skipped. */
  private readonly waiting = new Map<number, Result | undefined>();
  private next = 0;
  private readonly results: Result[] = [];
  private readonly rows: CocoRow[] = [];
  private readonly named: { name: string | number; detections: Detection[] }[] = [];
  private part: PartRow[] = [];
  private written = 0;
  private writing = Promise.resolve();
  readonly sums = { pictures: 0, found: 0, milliseconds: 0 };

  constructor(
    model: Model,
    files: readonly FoundFile[],
    targets: readonly ResultNames[] | undefined,
    options: Options,
    terminal: Terminal,
  ) {
    this.model = model;
    this.files = files;
    this.targets = targets;
    this.options = options;
    this.terminal = terminal;
  }

  get skipped(): number {
    return this.errors.size;
  }

  /** Pictures that could not be read, in their order. */
  get failed(): { file: string; error: string }[] {
    const sorted = [...this.errors].sort(([a], [b]) => a - b);
    return sorted.map(([index, error]) => ({ file: this.files[index].path, error }));
  }

  take({ index, ...found }: FoundPicture): void {
    this.tell(index, { file: this.files[index].path, ...found });
  }

  skip(index: number, error: string): void {
    this.errors.set(index, error);
    this.tell(index, undefined);
  }

  private tell(index: number, result: Result | undefined): void {
    this.waiting.set(index, result);
    for (; this.waiting.has(this.next); this.next++) {
      const ready = this.waiting.get(this.next);
      this.waiting.delete(this.next);
      if (ready) this.tellNext(this.next, ready);
    }
  }

  private tellNext(index: number, result: Result): void {
    const { options, terminal, targets, sums } = this;
    const { detections } = result;
    sums.pictures++;
    sums.found += result.count;
    sums.milliseconds += result.milliseconds;
    if (targets && options.save === "coco")
      this.rows.push(...resultRows(detections, targets[index], this.model.manifest.labels));
    if (targets && options.save === "dota") this.named.push({ name: targets[index].imageId, detections });
    if (options.parts) this.keep(result);
    else if (options.json) this.results.push(result);
    else terminal.out(boxLines(result, this.files.length > 1));
  }

  /** Without a queue parts are written here, a number of pictures each. */
  private keep({ file, width, height, detections }: Result): void {
    if (this.options.queue !== undefined) return;
    this.part.push({ file, width, height, detections });
    if (this.part.length === picturesOfPart) this.writing = this.writePart();
  }

  private writePart(): Promise<void> {
    const { out = ".", parts = "ndjson" } = this.options;
    const [rows, number] = [this.part, this.written++];
    this.part = [];
    const writing = this.writing.then(() => writePart(out, number, rows, parts));
    writing.catch(() => {}); // told of at the end, where it is waited for
    return writing;
  }

  /** What is said and written when all is done. Throws InputError where no picture could be read. */
  async finish(): Promise<void> {
    const { options, terminal, model, files, failed } = this;
    if (!this.sums.pictures) throw new InputError(`none of the ${files.length} pictures could be read`);
    if (options.out && options.parts) {
      if (this.part.length) this.writing = this.writePart();
      await this.writing;
      const { pictures, found: objects } = this.sums;
      await finishParts(options.out, { pictures, objects }, failed);
    }
    if (options.out && options.save === "coco") {
      await writeFiles(options.out, { "detections.json": JSON.stringify(this.rows) });
    }
    if (options.out && options.save === "dota") {
      await writeFiles(options.out, dotaFiles(this.named, model.manifest.labels));
    }
    if (options.json) printJson(terminal, toJson(model, this.results, failed));
    else terminal.err(`${closing(this.sums, failed.length, model, options)}\n`);
  }
}

/** `label score` and where it is, a line each, with the file in front where there are several. */
function boxLines({ file, detections }: Result, several: boolean): string {
  return detections
    .map((found) => `${several ? `${visible(file)}: ` : ""}${detectionLine(found)}\n`)
    .join("");
}

function toJson(model: Model, results: readonly Result[], failed: readonly unknown[]): unknown {
  const images = results.map(({ count: _, ...result }) => ({
    ...result,
    detections: result.detections.map(detectionJson),
  }));
  return {
    model: model.manifest.name,
    task: taskOf(model.manifest.heads),
    backend: model.backend,
    images,
    failed,
    assumptions: model.assumptions,
  };
}

function closing(
  { pictures, found, milliseconds }: Results["sums"],
  failed: number,
  { manifest }: Model,
  { out }: Options,
): string {
  const isSorted = taskOf(manifest.heads) === "classify";
  return [
    `${counted(found, isSorted ? "class" : "box")} on ${counted(pictures, "picture")}`,
    `${Math.round(milliseconds / pictures)} ms each`,
    ...(failed ? [`${counted(failed, "picture")} skipped`] : []),
    ...(out ? [`written to ${out}`] : []),
  ].join(", ");
}
