/** `ncnnkit quantize`: a float model and its calibration table to an int8 model. */
import path from "node:path";
import { spread } from "../base/maths.ts";
import { diskFolder } from "../node/files.ts";
import {
  type CalibrationTable,
  convert,
  type Dataset,
  type EvaluationEntry,
  type EvaluationItem,
  type Graph,
  type Manifest,
  modelFiles,
  openDataset,
  openPictures,
  quantizeModel,
  readEntries,
  UnsupportedError,
  UsageError,
} from "../node.ts";
import {
  type Corrections,
  Guard,
  guardEntries,
  hasOwnLabels,
  inputDifferences,
  judge,
  openCalibrated,
  type ProtectInput,
  type Protection,
  protect,
  quantizableLayers,
  stageTitles,
  withContext,
} from "../steps.ts";
import { command, flag, list, type OptionsOf, option, required } from "./command.ts";
import { keepOthers, keepSource, readTable, writeInto } from "./files.ts";
import { modelOptions, openNamed, warnAssumptions } from "./names.ts";
import {
  budgetOf,
  budgetTimeOption,
  effortOption,
  forceOption,
  jsonOption,
  numberIn,
  threadsOption,
  wideVectorsOption,
} from "./options.ts";
import { startProgress } from "./progress.ts";
import { printJson, type Terminal, table as textTable, warn } from "./terminal.ts";

const notes = `
Writes NAME.param and NAME.bin for ncnn, the manifest NAME.json with the record of the quantization, and the C++ header.
Layers that the table does not have stay float. When "ncnnkit calibrate" left corrections beside the table
(TABLE-calibrated.json), they are used; --plain does what ncnn2int8 does.
With --calib, int8 is compared with the float model on some of the pictures. Where it is not near, the most sensitive layers stay float,
at most 10 % of the work (or what --budget-time allows); where that is not enough, nothing is written, unless --force is given.

Examples:
  ncnnkit quantize fp32/yolov5ss.json --table yolov5ss.table -o int8/ --calib photos/
  ncnnkit quantize yolov5ss.param --table yolov5ss.table -o int8/ --budget-ap 0.3 --images coco/images/train2017
  ncnnkit quantize yolov5ss.param --table yolov5ss.table -o int8/ --budget-time 5% --images photos/`;

const options = {
  table: required("--table <file>", "calibration table, from calibrate or ncnn2table"),
  out: required("-o, --out <dir>", "folder to write to"),
  name: option("--name <name>", "name of the model and its files (default: NAME-int8)"),
  keepFloat: list("--keep-float <names...>", "layers that stay float"),
  budgetAp: option(
    "--budget-ap <n>",
    "most AP that may be lost, as in 0.3: sensitive layers stay float until it is kept",
    numberIn(0, 100),
  ),
  ...budgetTimeOption,
  ...effortOption,
  images: option(
    "--calib, --images <path>",
    "pictures to check int8 against float on, and for the budget; with YOLO labels for --budget-ap",
  ),
  data: option("--data <path>", "labelled pictures for the budget, as eval takes them"),
  limit: option("--limit <n>", "pictures at most", numberIn(1, 1e6, true), 128),
  ...forceOption,
  ...threadsOption,
  ...wideVectorsOption,
  plain: flag("--plain", "weights as they are, rounded to nearest: the files of ncnn2int8"),
  ...jsonOption,
  ...modelOptions,
};
type Options = OptionsOf<typeof options>;

export const quantize = command({
  name: "quantize",
  about: "make an int8 model of a float model and its calibration table",
  arguments: [["<model>", "the float model that the table was made for"]],
  options,
  notes,
  run,
});

interface Parts {
  /** The model as it was opened: what int8 is compared with. */
  float: { graph: Graph; manifest: Manifest };
  /** The graph that the table belongs to. */
  graph: Graph;
  table: CalibrationTable;
  corrections?: Corrections;
  method?: string;
  images?: number;
}

async function run([file]: [string], options: Options, terminal: Terminal): Promise<void> {
  const { float, graph, table, ...known } = await partsOf(file, options, terminal);
  const { manifest } = float;
  const reasons = new Map((options.keepFloat ?? []).map((name) => [name, "asked for"]));
  const name = options.name ?? `${manifest.name}-int8`;
  const make = () =>
    quantizeModel({ graph, manifest }, table, {
      ...{ ...known, name, keepFloat: [...reasons.keys()], reasons, tableName: options.table },
    });
  const outputs = ["param", "bin", "json", "h"].map((each) => path.join(options.out, `${name}.${each}`));
  keepSource(file, outputs, "choose another folder or --name");
  await keepOthers(outputs);
  let int8 = make(); // a wrong table is found before the pictures are looked at
  const guarded = await startGuard(float, options, terminal);
  if (guarded) {
    const input = { ...guarded, graph, manifest, table, ...known };
    const found = await protect(input).finally(guarded.stop);
    for (const [layer, reason] of found.reasons) reasons.set(layer, reason);
    int8 = make();
    sayBudget(found, options, terminal);
    const kept = int8.manifest.quantization.keptFloat.map((each) => each.name);
    const { record, problem, note } = await judge(input, found, int8.graph, kept).finally(guarded.stop);
    if (problem && !options.force) throw new UnsupportedError(`${file}: ${problem}`);
    int8.manifest.quantization.guard = record;
    if (problem ?? note) warn(terminal, problem ?? note ?? "");
  } else terminal.err("nothing was checked: give pictures with --calib to compare int8 with float\n");
  const files = modelFiles(int8.graph, int8.manifest);
  const written = await writeInto(options.out, files);
  const record = int8.manifest.quantization;
  if (options.json) {
    const paths = written.map((each) => each.file);
    printJson(terminal, { files: paths, quantization: record });
    return;
  }
  terminal.err(
    `${name}: ${Object.keys(record.layers).length} layers int8, ${record.keptFloat.length} float\n`,
  );
  for (const kept of record.keptFloat) terminal.err(`  ${kept.name} stays float: ${kept.reason}\n`);
  terminal.out(textTable(written.map((each) => [each.file, each.bytes])));
}

/** The float model and the table to use: those given, or the better ones that calibrate left beside the table. */
async function partsOf(file: string, options: Options, terminal: Terminal): Promise<Parts> {
  const opened = await openNamed(file, options, terminal);
  warnAssumptions(file, opened, terminal);
  const float = opened.raw ? convert(opened) : opened;
  const { graph } = float;
  quantizableLayers(graph);
  const table = await readTable(options.table, terminal);
  if (options.plain) return { float, graph, table };
  const { dir, name } = path.parse(options.table);
  const beside = `${name}-calibrated`;
  const calibrated = await openCalibrated(diskFolder(dir), beside, { graph, table }, (message) =>
    warn(terminal, message),
  );
  if (!calibrated) return { float, graph, table };
  terminal.err(`using the corrections in ${path.join(dir, `${beside}.json`)}\n`);
  const { preprocessing, ...parts } = calibrated;
  const input = { ...float.manifest.input, ...preprocessing };
  const differences = inputDifferences(float.manifest.input, input);
  if (differences.length) {
    warn(
      terminal,
      `${file}: calibrated with other pictures than it is to be run with: ${differences.join("; ")}. The int8 model takes them as they were calibrated; to have it otherwise, calibrate anew`,
    );
  }
  return { float: { ...float, manifest: { ...float.manifest, input } }, ...parts };
}

/** What the guard needs of the pictures that were given; nothing without pictures. */
async function startGuard(
  float: Parts["float"],
  options: Options,
  terminal: Terminal,
): Promise<(Omit<ProtectInput, "graph" | "manifest" | "table"> & { stop: () => void }) | undefined> {
  const given = budgetOf(options);
  const source = options.data ?? options.images;
  if (source === undefined) {
    if (given) throw new UsageError("a budget needs pictures: give them with --calib or --data");
    return undefined;
  }
  const { manifest } = float;
  const { images, limit, keepFloat, threads, size, effort } = options;
  const told = startProgress(terminal, { stages: true });
  const onWarning = told.warn;
  const dataset: Pick<Dataset, "entries" | "sigmas"> =
    given?.ap === undefined
      ? { entries: spread(await openPictures(images ?? source, { onWarning }), limit) }
      : await openDataset(source, {
          ...{
            labels: manifest.labels,
            heads: manifest.heads,
            limit,
            onWarning,
            labelsKnown: hasOwnLabels(manifest),
          },
          ...(options.data !== undefined && { images }),
        });
  const items = (entries: readonly EvaluationEntry[]): AsyncIterable<EvaluationItem> =>
    readEntries(entries, told.skip, told.warn);
  try {
    const guard = await Guard.start(float, items(guardEntries(dataset.entries, effort)), {
      threads,
      size,
      effort,
    });
    return {
      // The files of ncnn2int8 have no layers in float that its table has.
      ...{ guard, keepFloat, threads, size, budget: given ?? (options.plain ? { work: 0 } : undefined) },
      sigmas: dataset.sigmas,
      items: given?.ap === undefined ? undefined : () => items(dataset.entries),
      onProgress: (what, done, total = done) => told.step(stageTitles[what], done, total),
      stop: () => told.stop(),
    };
  } catch (error) {
    told.stop();
    throw withContext(source, error);
  }
}

function sayBudget({ apLoss, met }: Protection, { budgetAp }: Options, terminal: Terminal): void {
  if (budgetAp === undefined) return;
  terminal.err(`AP lost on these pictures: ${(100 * (apLoss ?? 0)).toFixed(2)}\n`);
  if (met) return;
  warn(
    terminal,
    `the budget of ${budgetAp} AP cannot be kept with any number of layers in float; use a better table`,
  );
}
