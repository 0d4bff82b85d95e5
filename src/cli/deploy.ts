/** `ncnnkit deploy`: from a checkpoint to a checked INT8 model, one command. */
import os from "node:os";
import path from "node:path";
import { spread } from "../base/maths.ts";
import { checkReplaceable } from "../node/folder.ts";
import { slashed } from "../node/local.ts";
import {
  type Deployment,
  deploy,
  encodePicture,
  fontLetterer,
  openDataset,
  openPictures,
  type Picture,
  type ReportImage,
  replaceFolder,
} from "../node.ts";
import { hasOwnLabels, requireHeads, stageTitles } from "../steps.ts";
import { command, list, type OptionsOf, option, required } from "./command.ts";
import { change, figures, percent } from "./figures.ts";
import { modelOptions, openNamed, warnAssumptions, warnLetters } from "./names.ts";
import {
  budgetOf,
  budgetTimeOption,
  effortOption,
  forceOption,
  jsonOption,
  methodOption,
  numberIn,
  threadsOption,
  wideVectorsOption,
} from "./options.ts";
import { passesFor, queueOptions } from "./passes.ts";
import { startProgress } from "./progress.ts";
import { printJson, type Terminal, warn } from "./terminal.ts";

const notes = `
Writes OUT/fp16 and OUT/int8, each with NAME.param and NAME.bin for ncnn, the model manifest and a C++ header, NAME.table, and
OUT/report.html: accuracy, speed, and where loss comes from. All of OUT appears at the end, or nothing.
Where int8 is not near the float model, the most sensitive layers stay float, at most 10 % of the work; --budget-time sets a limit of
time instead, 0% for none. Where that is not enough, nothing is written, unless --force is given. Without --eval, a fifth of the calibration pictures is kept out and int8 is compared with float on those.

Examples:
  ncnnkit deploy yolov5ss.pt --calib images/ --eval coco/coco.yaml
  ncnnkit deploy yolov5ss.pt --calib images/ --size 320 --budget-time 5% -o out/`;

const options = {
  calib: required("--calib <path>", "pictures to calibrate with: a folder, a list or a pattern"),
  eval: option("--eval <data>", "labelled pictures: dataset .yaml, COCO .json, or a folder with YOLO labels"),
  images: option("--images <dir>", "folder of the pictures of --eval, where the data does not lead to it"),
  out: option("-o, --out <dir>", "folder to write (default: NAME-deploy)"),
  name: option("--name <name>", "name of the model and its files (default: that of the checkpoint)"),
  ...methodOption,
  ...effortOption,
  limit: option("--limit <n>", "calibration pictures at most, spread over all", numberIn(1, 1e6, true), 256),
  evalLimit: option("--eval-limit <n>", "evaluation pictures at most", numberIn(1, 1e7, true)),
  ...threadsOption,
  ...wideVectorsOption,
  keepFloat: list("--keep-float <names...>", "layers that stay float"),
  budgetAp: option(
    "--budget-ap <n>",
    "most AP that may be lost, as in 0.3; needs --eval with labels",
    numberIn(0, 100),
  ),
  ...budgetTimeOption,
  ...forceOption,
  ...jsonOption,
  ...modelOptions,
  ...queueOptions,
};
type Options = OptionsOf<typeof options>;

export const deployCommand = command({
  name: "deploy",
  about: "convert, calibrate, quantize and check: a checkpoint to a verified INT8 model with a report",
  arguments: [["<checkpoint>", "a checkpoint (.pt), ONNX export, .param or manifest; float, not int8"]],
  options,
  notes,
  run,
});

async function run([file]: [string], options: Options, terminal: Terminal): Promise<void> {
  let opened = await openNamed(file, options, terminal);
  const name = options.name ?? opened.manifest.name;
  const out = options.out ?? `${name}-deploy`;
  checkReplaceable(out);
  warnAssumptions(file, opened, terminal);
  requireHeads(opened);
  const { labels, heads } = opened.manifest;
  const told = startProgress(terminal, { stages: true });
  const onWarning = told.warn;
  const all = await openPictures(options.calib, { onWarning });
  const calibration = spread(all, options.limit);
  if (calibration.length < all.length) {
    terminal.err(`calibrating on ${calibration.length} of ${all.length} pictures (--limit)\n`);
  }
  const evaluation =
    options.eval === undefined
      ? undefined
      : await openDataset(options.eval, {
          ...{ labels, heads, labelsKnown: hasOwnLabels(opened.manifest, opened.assumptions), onWarning },
          images: options.images,
          limit: options.evalLimit,
          labelsOptional: true,
        });
  if (evaluation) opened = { ...opened, manifest: { ...opened.manifest, labels: [...evaluation.labels] } };
  await warnLetters(opened.manifest.labels, terminal);
  if (evaluation && !evaluation.labelled) {
    warn(terminal, `${options.eval}: no labels, so there is only fidelity`);
  }
  if (calibration.length < 32) {
    warn(
      terminal,
      `${calibration.length} calibration pictures are few: ranges of rare activations may be missed; give a hundred`,
    );
  }
  let result: Deployment;
  const passes = await passesFor(options, calibration.length, told.say);
  let isDone = false;
  try {
    result = await deploy(
      opened,
      { calibration, evaluation: evaluation?.entries },
      {
        name: options.name,
        size: options.size,
        sigmas: evaluation?.sigmas,
        method: options.method,
        effort: options.effort,
        threads: options.threads,
        runner: passes.runner,
        signal: passes.signal,
        keepFloat: options.keepFloat,
        budget: budgetOf(options),
        force: options.force,
        encode,
        letterer: fontLetterer,
        machine: `${os.cpus()[0]?.model ?? "unknown processor"}, Node ${process.versions.node}`,
        onProgress: ({ stage, done, total = 1 }) => told.step(stageTitles[stage], done, total),
        onSkip: told.skip,
        onWarning,
      },
    );
    isDone = true;
  } finally {
    told.stop();
    await passes.close(isDone);
  }
  const written = await replaceFolder(out, result.files);
  if (written !== out) {
    warn(terminal, `${out} holds files of yours where new ones would be; all is in ${written} instead`);
  }
  report(result, written, options, terminal);
}

async function encode(picture: Picture): Promise<ReportImage> {
  return { type: "image/webp", bytes: await encodePicture(picture, "picture.webp") };
}

function report(
  { report: data, files, record }: Deployment,
  out: string,
  options: Options,
  terminal: Terminal,
): void {
  const where = slashed(path.join(out, "report.html"));
  if (options.json) {
    const { variants, layers, examples: _, pairs: __, ...facts } = data;
    const slim = layers.map(({ histogram: ___, ...layer }) => layer);
    const json = { ...facts, variants, quantization: record, layers: slim, files: Object.keys(files), out };
    printJson(terminal, json);
    return;
  }
  const isSorting = data.task === "classify";
  const accuracy = isSorting ? ["top-1", "top-5"] : ["AP", "AP50"];
  const sizes = isSorting ? (["all"] as const) : (["small", "medium", "large"] as const);
  const rows = data.variants.map(({ coco, top, fidelity, scoreChange, milliseconds, bytes, name }) => [
    name,
    ...(isSorting ? [top?.top1, top?.top5] : [coco?.AP, coco?.AP50]).map(percent),
    fidelity === undefined ? "" : percent(fidelity),
    ...sizes.map((size) => (scoreChange ? change(scoreChange[size].change) : "")),
    `${milliseconds.toFixed(1)} ms`,
    `${(data.variants[0].milliseconds / milliseconds).toFixed(2)}×`,
    `${(bytes / 2 ** 20).toFixed(2)} MiB`,
  ]);
  const scores = isSorting ? ["score"] : sizes;
  terminal.out(figures([["", ...accuracy, "fidelity", ...scores, "time", "speed", "size"], ...rows]));
  const kept = record.keptFloat.length;
  terminal.err(
    `${data.measuredOn} ${Object.keys(record.layers).length} layers int8, ${kept} float. ${isSorting ? "score: mean change of that of the class." : "small, medium, large: mean score change of objects of that size."}\n`,
  );
  for (const note of data.notes) warn(terminal, note);
  terminal.err(`written to ${out}, report: ${where}\n`);
}
