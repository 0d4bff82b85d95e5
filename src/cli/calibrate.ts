/** `ncnnkit calibrate`: scales for int8 from pictures. */
import path from "node:path";
import { InvalidArgumentError } from "commander";
import { counted } from "../base/text.ts";
import { readBytes } from "../node/files.ts";
import {
  type CalibrateProgress,
  calibrateModel,
  calibrationSource,
  convert,
  type Graph,
  InputError,
  type Manifest,
  type ModelCalibration,
  type NamedBytes,
  openPictures,
  readEntries,
  UsageError,
} from "../node.ts";
import {
  calibratedFiles,
  checkCalibration,
  detectionFocus,
  detectionImportance,
  guardEntries,
  mergePartials,
  observeSource,
  partialNote,
  quantizableLayers,
  stageTitles,
  writePartial,
} from "../steps.ts";
import { command, list, type OptionsOf, option, required } from "./command.ts";
import { keepOthers, writeInto } from "./files.ts";
import { modelOptions, openNamed, warnAssumptions } from "./names.ts";
import {
  effortOption,
  jsonOption,
  methodOption,
  numberIn,
  threadsOption,
  wideVectorsOption,
} from "./options.ts";
import { passesFor, queueOptions } from "./passes.ts";
import { startProgress } from "./progress.ts";
import { printJson, type Terminal, table, warn } from "./terminal.ts";

const notes = `
Pictures are prepared as the model manifest says, or as told. The table has the format of ncnn2table and belongs to the model as it is.
With --method auto, NAME-calibrated.param/.bin/.json/.table are written beside it: the same function with weights that
quantize better. "ncnnkit quantize" uses them by itself.

Examples:
  ncnnkit calibrate fp32/yolov5ss.json --images photos/ -o yolov5ss.table
  ncnnkit calibrate yolov5ss.param --images list.txt --method kl --size 320 -o yolov5ss.table
  ncnnkit calibrate yolov5ss.param --images photos/ --shard 1/2 -o part1      (and 2/2 elsewhere)
  ncnnkit calibrate yolov5ss.param --merge part1 part2 --method kl -o yolov5ss.table`;

function parseShard(text: string): { part: number; of: number } {
  const match = /^(\d{1,6})\/(\d{1,6})$/.exec(text.trim());
  const [part, of] = [Number(match?.[1]), Number(match?.[2])];
  if (part >= 1 && part <= of) return { part, of };
  throw new InvalidArgumentError("Expected a part and the number of parts, as in 1/4.");
}

const options = {
  images: option(
    "--images <path>",
    "pictures: a folder, a list with one path a line, a pattern, or a dataset yaml",
  ),
  out: required("-o, --out <file>", "table to write, or with --shard the partial result"),
  ...methodOption,
  ...effortOption,
  percentile: option(
    "--percentile <p>",
    "share of values to keep, for --method percentile",
    numberIn(50, 100),
    99.99,
  ),
  limit: option("--limit <n>", "pictures at most", numberIn(1, 1e7, true)),
  shard: option(
    "--shard <i/n>",
    "observe only every n-th picture, from the i-th, to be merged later",
    parseShard,
  ),
  merge: list("--merge <files...>", "make the table of partial results"),
  ...threadsOption,
  ...wideVectorsOption,
  ...jsonOption,
  ...modelOptions,
  ...queueOptions,
};
type Options = OptionsOf<typeof options>;

export const calibrate = command({
  name: "calibrate",
  about: "find the int8 scales of a float model from pictures, and write the calibration table",
  arguments: [["<model>", "anything that detect takes; float, not int8"]],
  options,
  notes,
  run,
});

async function run([file]: [string], options: Options, terminal: Terminal): Promise<void> {
  if (!options.images && !options.merge) throw new UsageError("give pictures with --images");
  if (options.shard && options.merge)
    throw new UsageError("--shard makes parts and --merge joins them: give one");
  const opened = await openNamed(file, options, terminal);
  warnAssumptions(file, opened, terminal);
  const { dir, name: stem } = path.parse(options.out);
  await keepOthers(["json", "h"].map((extension) => path.join(dir, `${stem}-calibrated.${extension}`)));
  const { graph, manifest } = opened.raw ? convert(opened) : opened;
  quantizableLayers(graph); // says now what is wrong with the model, not after the pictures
  const { input } = manifest;
  const told = startProgress(terminal, { stages: true });
  const entries =
    options.images === undefined
      ? undefined
      : await picturesOf(options, (message) => warn(terminal, message));
  const source = entries && calibrationSource(entries, input, told.skip, undefined, told.warn);
  const step = ({ phase, images }: CalibrateProgress): void =>
    told.step(stageTitles[phase], images, entries?.length ?? 0);
  const note = await partialNote(graph, input);
  const passes = await passesFor(options, entries?.length ?? 1, told.say);
  const { runner, signal } = passes;
  let isDone = false;
  try {
    if (options.shard) {
      const observations = await observeSource(graph, source ?? none, {
        ...{ threads: options.threads, shard: options.shard, runner, signal },
        onProgress: step,
      });
      const part = { [path.basename(options.out)]: writePartial({ note, observations }) };
      for (const written of await writeInto(path.dirname(options.out), part)) {
        terminal.out(`${written.file}\n`);
      }
      isDone = true;
      return;
    }
    const observations = options.merge && mergePartials(await readAll(options.merge), note);
    if (!source && options.method === "auto") {
      warn(
        terminal,
        "without --images only ranges can be merged: no equalization and no corrections of auto",
      );
    }
    if (!source && options.method === "eq")
      throw new UsageError("--method eq needs the pictures too: give --images");
    const { method, effort, percentile, threads } = options;
    const result = await calibrateModel(graph, source, {
      importance: detectionImportance(manifest),
      focus: detectionFocus(manifest),
      ...{ method, effort, percentile, threads, observations, runner, signal },
      onProgress: step,
    });
    const float = { graph, manifest };
    let checked = result;
    if (entries && result.corrections.size) {
      const items = readEntries(guardEntries(entries, options.effort), told.skip, told.warn);
      const { calibration, isDestroyed } = await checkCalibration(result, float, items, { threads, effort });
      checked = calibration;
      if (isDestroyed) told.warn(destroyed);
    }
    told.stop();
    await finish(checked, float, options, terminal);
    isDone = true;
  } finally {
    told.stop();
    await passes.close(isDone);
  }
}

const destroyed =
  "with all layers in int8 the model does not do what it does in float; quantize it with --calib, which keeps layers in float";

const readAll = (files: readonly string[]): Promise<NamedBytes[]> =>
  Promise.all(files.map(async (name) => ({ name, bytes: await readBytes(name) })));

async function* none(): AsyncGenerator<never> {}

async function picturesOf(
  { images = "", limit, shard }: Options,
  onWarning: (message: string) => void,
): ReturnType<typeof openPictures> {
  const all = (await openPictures(images, { onWarning })).slice(0, limit);
  if (shard && shard.part > all.length)
    throw new InputError(`${images}: ${all.length} pictures are too few for ${shard.of} parts`);
  return all;
}

async function finish(
  result: ModelCalibration,
  original: { graph: Graph; manifest: Manifest },
  options: Options,
  terminal: Terminal,
): Promise<void> {
  const { layers, images, method } = result;
  const files: Record<string, Uint8Array | string> = { [path.basename(options.out)]: result.plainTable };
  Object.assign(files, await calibratedFiles(result, original, `${path.parse(options.out).name}-calibrated`));
  for (const layer of layers) {
    if (layer.min === 0 && layer.max === 0) {
      warn(
        terminal,
        `layer ${layer.name}: its input ${layer.input} is all zero in every picture; is the model broken?`,
      );
    }
  }
  if (options.json) {
    await writeInto(path.dirname(options.out), files);
    const rows = layers.map(({ histogram: _, ...layer }) => layer);
    printJson(terminal, { method, images, files: Object.keys(files), layers: rows });
    return;
  }
  const worst = layers.toSorted((a, b) => a.inputSqnr - b.inputSqnr).slice(0, 5);
  terminal.err(
    `${layers.length} layers, ${counted(images, "picture")}, ${method}; the inputs that are hardest to round:\n`,
  );
  terminal.err(
    table([
      ["layer", "range", "127 at", "clipped", "SQNR of the input", "of the weights"],
      ...worst.map(({ name, min, max, threshold, clipped, inputSqnr, weightSqnr }) => [
        name,
        `${min.toPrecision(3)} to ${max.toPrecision(3)}`,
        threshold.toPrecision(4),
        `${(100 * clipped).toFixed(3)} %`,
        `${inputSqnr.toFixed(1)} dB`,
        `${weightSqnr.toFixed(1)} dB`,
      ]),
    ]),
  );
  for (const { file } of await writeInto(path.dirname(options.out), files)) terminal.out(`${file}\n`);
}
