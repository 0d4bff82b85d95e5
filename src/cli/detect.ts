/** `ncnnkit detect`: boxes on pictures. */
import path from "node:path";
import { counted, fileSafe, visible } from "../base/text.ts";
import { labelFileOf } from "../node/dataset.ts";
import { realPath } from "../node/files.ts";
import { expandPaths, type FoundFile } from "../node/paths.ts";
import { encodable } from "../node/picture.ts";
import {
  type Detection,
  drawDetections,
  encodePicture,
  type FilePicture,
  InputError,
  pictureExtensions,
  readPicture,
  UsageError,
  writeFiles,
} from "../node.ts";
import {
  type CocoRow,
  cocoLabels,
  cocoRows,
  distinctNames,
  imageId,
  type Model,
  sameName,
  yoloText,
} from "../steps.ts";
import { choice, command, flag, type OptionsOf, option } from "./command.ts";
import { loadNamed, nameOptions } from "./names.ts";
import { engineOptions, factOptions, jsonOption, knownFacts, numberIn } from "./options.ts";
import { startProgress } from "./progress.ts";
import { type Terminal, warn } from "./terminal.ts";

const notes = `
Prints a line per box: label, score, and x, y, width, height in pixels of the picture.

Examples:
  ncnnkit detect yolov5ss.pt photo.jpg --out out/
  ncnnkit detect out/yolov5ss.json photos/ --json > boxes.json
  ncnnkit detect yolov5ss.param "photos/**/*.png" --classes person,car --out out/ --save txt`;

const options = {
  out: option("--out <dir>", "write the pictures with their boxes here"),
  save: choice("--save <format>", "also write boxes to --out: YOLO text files, or COCO results", [
    "txt",
    "coco",
  ]),
  ...jsonOption,
  conf: option("--conf <p>", "least score", numberIn(0, 1), 0.25),
  iou: option("--iou <p>", "overlap above which the weaker box goes", numberIn(0, 1), 0.45),
  maxDet: option("--max-det <n>", "most boxes per picture", numberIn(0, 100_000, true), 300),
  classes: option("--classes <list>", "only these classes: names or numbers, comma between"),
  rect: flag("--rect", "pad to the next multiple of the stride only: faster on oblong pictures"),
  agnostic: flag("--agnostic", "boxes of different classes suppress each other"),
  ...factOptions,
  ...engineOptions,
  ...nameOptions,
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

/** What belongs to a picture below `--out`, `/` between folders. */
interface Target {
  /** The picture's own, for other files. */
  name: string;
  /** The picture with its boxes. */
  picture: string;
  /** YOLO text of `--save txt`. */
  text: string;
  /** Of `--save coco`. */
  imageId: number | string;
}

async function run(
  [modelFile, images]: [string, string[]],
  options: Options,
  terminal: Terminal,
): Promise<void> {
  if (options.save && !options.out) throw new UsageError("--save needs --out, the folder to write to");
  const files = expandPaths(images, pictureExtensions);
  const targets = options.out === undefined ? undefined : outputNames(files, options, terminal);
  const model = await loadNamed(modelFile, terminal, {
    ...(await knownFacts(options)),
    offline: options.offline,
    backend: options.backend,
    threads: options.threads,
    wideVectors: options.wideVectors,
  });
  try {
    for (const text of model.assumptions) warn(terminal, `${modelFile}: ${text}`);
    model.requireHeads();
    await detectAll(model, files, targets, options, terminal);
  } finally {
    model.close();
  }
}

async function detectAll(
  model: Model,
  files: readonly FoundFile[],
  targets: readonly Target[] | undefined,
  options: Options,
  terminal: Terminal,
): Promise<void> {
  const results: Result[] = [];
  const rows: CocoRow[] = [];
  const failed: { file: string; error: string }[] = [];
  const progress = startProgress(terminal);
  try {
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
          result.written = await writeOne(result, picture, options, targets[i]);
          rows.push(...rowsOf(result, targets[i], model.manifest.labels));
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
  if (options.json) terminal.out(`${JSON.stringify(toJson(model, results, failed), null, 2)}\n`);
  else terminal.err(`${closing(results, failed.length, options)}\n`);
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
  const detections = await model.detect(picture, {
    confidence: options.conf,
    iou: options.iou,
    maxDetections: options.maxDet,
    classes: options.classes
      ?.split(",")
      .map((name) => (/^\d+$/.test(name.trim()) ? Number(name) : name.trim())),
    size: options.size,
    rectangle: options.rect,
    agnostic: options.agnostic,
  });
  const milliseconds = Math.round(performance.now() - started);
  // A large picture was shrunk while it was read; boxes are told in pixels of the file.
  const { fileWidth: width, fileHeight: height } = picture;
  const inFile = rescale(detections, width / picture.width, height / picture.height);
  return { file: file.path, width, height, milliseconds, detections: inFile };
}

function rescale(detections: readonly Detection[], sx: number, sy: number): Detection[] {
  return detections.map(({ box, ...rest }) => ({
    ...rest,
    box: { x: box.x * sx, y: box.y * sy, width: box.width * sx, height: box.height * sy },
  }));
}

/**
 * Where each picture goes, below `--out`: under its own name, with a number added where two would meet. What is named after a
 * picture without its extension gets the extension too where two pictures would share the name.
 * Throws UsageError when a picture or its labels would be overwritten.
 */
function outputNames(files: readonly FoundFile[], { out = "", save }: Options, terminal: Terminal): Target[] {
  const used = new Set<string>();
  const targets = files.map(({ name }) => {
    const slashed = fileSafe(name).replaceAll(path.sep, "/");
    const extension = path.extname(slashed);
    const stem = slashed.slice(0, slashed.length - extension.length);
    const numbered = (i: number): { name: string; picture: string } => {
      const each = i === 1 ? slashed : `${stem}-${i}${extension}`;
      return { name: each, picture: encodable(each) ? each : `${each}.png` };
    };
    let i = 1;
    while (Object.values(numbered(i)).some((each) => used.has(sameName(each)))) i++;
    const target = numbered(i);
    for (const each of Object.values(target)) used.add(sameName(each));
    return target;
  });
  const names = targets.map(({ name }) => name);
  const stemOf = (name: string): string => name.slice(0, name.length - path.extname(name).length);
  const stems = names.map(stemOf);
  // As the files are called: of two 1.png none is image 1.
  const shortIds = files.map(({ name }) => imageId(stemOf(path.basename(name))));
  const texts = distinctNames(stems, names);
  const ids = distinctNames(shortIds, names);
  const [given, wanted] = save === "coco" ? [ids, shortIds] : [texts, stems];
  const shared = given.filter((name, i) => name !== wanted[i]).length;
  if (save && shared) {
    const instead =
      save === "coco" ? "the image_id of those is their path" : "theirs are called like a.jpg.txt";
    warn(terminal, `${counted(shared, "picture")} would share a name with another; ${instead}`);
  }
  const complete = targets.map((target, i) => ({ ...target, text: `${texts[i]}.txt`, imageId: ids[i] }));
  keepInputs(files, complete, out, save === "txt");
  return complete;
}

/** Throws UsageError when a picture that is read, or the labels of one, would be overwritten. */
function keepInputs(
  files: readonly FoundFile[],
  targets: readonly Target[],
  out: string,
  texts: boolean,
): void {
  const inputs = new Set(
    files.flatMap((file) => [realPath(file.path), texts && realPath(labelFileOf(file.path))]),
  );
  for (const { picture, text } of targets) {
    for (const each of texts ? [picture, text] : [picture]) {
      const there = realPath(path.join(out, each));
      if (there === undefined || !inputs.has(there)) continue;
      throw new UsageError(`--out ${out} would overwrite ${there}; choose another folder`);
    }
  }
}

/** Writes the picture with its boxes, and the YOLO text file if asked for; gives the picture's path. */
async function writeOne(
  { detections, ...result }: Result,
  picture: FilePicture,
  { out = "", save }: Options,
  names: Target,
): Promise<string> {
  const target = path.join(out, names.picture);
  const drawn = drawDetections(
    picture,
    rescale(detections, picture.width / result.width, picture.height / result.height),
  );
  const files: Record<string, Uint8Array | string> = {
    [path.basename(target)]: await encodePicture(drawn, target),
  };
  if (save === "txt") {
    files[path.posix.basename(names.text)] = yoloText(detections, result.width, result.height);
  }
  await writeFiles(path.dirname(target), files);
  return target;
}

/** `label score x y width height` a line, with the file in front where there are several. */
function boxLines({ file, detections }: Result, several: boolean): string {
  return detections
    .map(({ label, score, box }) => {
      const numbers = [box.x, box.y, box.width, box.height].map((value) => value.toFixed(1));
      return `${several ? `${visible(file)}: ` : ""}${visible(label)} ${score.toFixed(3)} ${numbers.join(" ")}\n`;
    })
    .join("");
}

/** Rows of a COCO results file; with COCO's own category ids when the classes are COCO's. */
function rowsOf({ detections }: Result, target: Target, labels: readonly string[]): CocoRow[] {
  const isCoco = labels.length === cocoLabels.length && labels.every((label, i) => label === cocoLabels[i]);
  return cocoRows(detections, target.imageId, { coco91: isCoco, fileName: target.name });
}

const round = (value: number, digits: number): number => Number(value.toFixed(digits));

function toJson(model: Model, results: readonly Result[], failed: readonly unknown[]): unknown {
  const images = results.map((result) => ({
    ...result,
    detections: result.detections.map(({ label, classId, score, box }) => ({
      label,
      classId,
      score: round(score, 5),
      box: Object.fromEntries(Object.entries(box).map(([side, value]) => [side, round(value, 2)])),
    })),
  }));
  return {
    model: model.manifest.name,
    backend: model.backend,
    images,
    failed,
    assumptions: model.assumptions,
  };
}

function closing(results: readonly Result[], failed: number, { out }: Options): string {
  const boxes = results.reduce((sum, { detections }) => sum + detections.length, 0);
  const time = results.reduce((sum, { milliseconds }) => sum + milliseconds, 0);
  return [
    `${counted(boxes, "box")} on ${counted(results.length, "picture")}`,
    `${Math.round(time / results.length)} ms each`,
    ...(failed ? [`${counted(failed, "picture")} skipped`] : []),
    ...(out ? [`written to ${out}`] : []),
  ].join(", ");
}
