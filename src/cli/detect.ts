/** `ncnnkit detect`: what is on pictures. */
import { counted, visible } from "../base/text.ts";
import { detectionJson } from "../node/detection-json.ts";
import { expandPaths, type FoundFile } from "../node/paths.ts";
import {
  dotaFiles,
  inFilePixels,
  type ResultNames,
  resultNames,
  resultRows,
  writeResult,
} from "../node/results.ts";
import {
  type Detection,
  type FilePicture,
  InputError,
  pictureExtensions,
  readPicture,
  UsageError,
  writeFiles,
} from "../node.ts";
import { type CocoRow, type Model, taskOf } from "../steps.ts";
import { choice, command, flag, type OptionsOf, option } from "./command.ts";
import { loadNamed, modelOptions, warnAssumptions } from "./names.ts";
import { engineOptions, jsonOption, numberIn } from "./options.ts";
import { startProgress } from "./progress.ts";
import { printJson, type Terminal, warn } from "./terminal.ts";

const notes = `
Prints a line per object: label, score, and x, y, width, height in pixels of the picture. Turned boxes are their middle,
width, height and angle in degrees, clockwise. Of a model that sorts pictures a line is a class and its score. Masks,
key points and corners are drawn, and are in --json and --save.

Examples:
  ncnnkit detect yolov5ss.pt photo.jpg --out out/
  ncnnkit detect out/yolov5ss.json photos/ --json > boxes.json
  ncnnkit detect yolov5ss.param "photos/**/*.png" --classes person,car --out out/ --save txt
  ncnnkit detect yolo11n-seg.pt photo.jpg --out out/ --save coco`;

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
  ...modelOptions,
  ...engineOptions,
};
type Options = OptionsOf<typeof options>;

export const detect = command({
  name: "detect",
  about: "find objects in pictures with a checkpoint, an ncnn model or a model manifest",
  arguments: [
    [
      "<model>",
      "a checkpoint (.pt), .param, manifest (.json), a folder with one of them, or a name of pull --list",
    ],
    ["<images...>", "pictures, folders of pictures, or patterns such as 'photos/*.jpg'"],
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
  detections: Detection[];
  written?: string;
}

async function run(
  [modelFile, images]: [string, string[]],
  options: Options,
  terminal: Terminal,
): Promise<void> {
  if (options.save && !options.out) throw new UsageError("--save needs --out, the folder to write to");
  const files = expandPaths(images, pictureExtensions);
  const targets =
    options.out === undefined
      ? undefined
      : resultNames(files, options.out, options.save, (message) => warn(terminal, message));
  const { backend, threads } = options;
  const model = await loadNamed(modelFile, options, terminal, { backend, threads });
  try {
    warnAssumptions(modelFile, model, terminal);
    model.requireHeads();
    checkSave(model, options);
    await detectAll(model, files, targets, options, terminal);
  } finally {
    model.close();
  }
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

async function detectAll(
  model: Model,
  files: readonly FoundFile[],
  targets: readonly ResultNames[] | undefined,
  options: Options,
  terminal: Terminal,
): Promise<void> {
  const results: Result[] = [];
  const rows: CocoRow[] = [];
  const named: { name: string | number; detections: Detection[] }[] = [];
  const failed: { file: string; error: string }[] = [];
  const progress = startProgress(terminal);
  try {
    progress.step("detect", 0, files.length);
    for (const [i, file] of files.entries()) {
      const picture = await readOrSkip(file, files.length === 1, (error) => {
        failed.push({ file: file.path, error });
        progress.skip(error);
      });
      if (picture) {
        if (picture.warning !== undefined) progress.warn(picture.warning);
        const result = await detectOne(model, file, picture, options);
        results.push(result);
        if (options.out && targets) {
          const { detections } = result;
          result.written = await writeResult(detections, picture, options.out, targets[i], options.save);
          if (options.save === "coco")
            rows.push(...resultRows(detections, targets[i], model.manifest.labels));
          named.push({ name: targets[i].imageId, detections });
        }
        if (!options.json) terminal.out(boxLines(result, files.length > 1));
      }
      progress.step("detect", i + 1, files.length);
    }
  } finally {
    progress.stop();
  }
  if (!results.length) throw new InputError(`none of the ${files.length} pictures could be read`);
  if (options.out && options.save === "coco") {
    await writeFiles(options.out, { "detections.json": JSON.stringify(rows) });
  }
  if (options.out && options.save === "dota") {
    await writeFiles(options.out, dotaFiles(named, model.manifest.labels));
  }
  if (options.json) printJson(terminal, toJson(model, results, failed));
  else terminal.err(`${closing(results, failed.length, model, options)}\n`);
}

/** A picture, or nothing after `skip` was told why; the only picture is not skipped but an error. */
async function readOrSkip(
  file: FoundFile,
  only: boolean,
  skip: (error: string) => void,
): Promise<FilePicture | undefined> {
  try {
    return await readPicture(file.path);
  } catch (error) {
    if (only || !(error instanceof InputError)) throw error;
    skip(error.message);
    return undefined;
  }
}

async function detectOne(
  model: Model,
  file: FoundFile,
  picture: FilePicture,
  options: Options,
): Promise<Result> {
  const started = performance.now();
  const { confidence, iou, maxDetections, classes, size, rectangle, agnostic } = options;
  const detections = await model.detect(picture, {
    ...{ confidence, iou, maxDetections, classes, size, rectangle, agnostic },
  });
  const milliseconds = Math.round(performance.now() - started);
  const { fileWidth: width, fileHeight: height } = picture;
  const inFile = inFilePixels(detections, picture);
  return { file: file.path, width, height, milliseconds, detections: inFile };
}

/** `label score` and where it is, a line each, with the file in front where there are several. */
function boxLines({ file, detections }: Result, several: boolean): string {
  return detections
    .map((found) => {
      const numbers = placeOf(found).map((value) => ` ${value.toFixed(1)}`);
      const name = several ? `${visible(file)}: ` : "";
      return `${name}${visible(found.label)} ${found.score.toFixed(3)}${numbers.join("")}\n`;
    })
    .join("");
}

function placeOf(found: Detection): number[] {
  if (found.task === "classify") return [];
  const { x, y, width, height } = found.task === "obb" ? found.rotated : found.box;
  return [x, y, width, height, ...(found.task === "obb" ? [(found.rotated.angle * 180) / Math.PI] : [])];
}

function toJson(model: Model, results: readonly Result[], failed: readonly unknown[]): unknown {
  const images = results.map((result) => ({
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

function closing(results: readonly Result[], failed: number, { manifest }: Model, { out }: Options): string {
  const found = results.reduce((sum, { detections }) => sum + detections.length, 0);
  const isSorted = taskOf(manifest.heads) === "classify";
  const time = results.reduce((sum, { milliseconds }) => sum + milliseconds, 0);
  return [
    `${counted(found, isSorted ? "class" : "box")} on ${counted(results.length, "picture")}`,
    `${Math.round(time / results.length)} ms each`,
    ...(failed ? [`${counted(failed, "picture")} skipped`] : []),
    ...(out ? [`written to ${out}`] : []),
  ].join(", ");
}
