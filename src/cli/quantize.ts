/** `ncnnkit quantize`: a float model and its calibration table to an int8 model. */
import path from "node:path";
import { diskFolder } from "../node/files.ts";
import {
  type Budget,
  type CalibrationTable,
  convert,
  type EvaluationItem,
  type Graph,
  InputError,
  type Manifest,
  modelFiles,
  openDataset,
  openPictures,
  quantizeModel,
  readEntries,
  UsageError,
} from "../node.ts";
import {
  hasOwnLabels,
  inputDifferences,
  keepWithinBudget,
  openCalibrated,
  quantizableLayers,
  sensitivityInputs,
  stageTitles,
} from "../steps.ts";
import { command, flag, list, type OptionsOf, option, required } from "./command.ts";
import { keepOthers, keepSource, readTable, writeInto } from "./files.ts";
import { modelOptions, openNamed, warnAssumptions } from "./names.ts";
import { budgetOf, budgetTimeOption, jsonOption, numberIn, threadsOption } from "./options.ts";
import { startProgress } from "./progress.ts";
import { printJson, type Terminal, table as textTable, warn } from "./terminal.ts";

const notes = `
Writes NAME.param and NAME.bin for ncnn, the manifest NAME.json with the record of the quantization, and the C++ header.
Layers that the table does not have stay float. When "ncnnkit calibrate" left corrections beside the table
(TABLE-calibrated.json), they are used; --plain does what ncnn2int8 does.

Examples:
  ncnnkit quantize fp32/yolov5ss.json --table yolov5ss.table -o int8/
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
  images: option("--images <path>", "pictures for the budget; with YOLO labels for --budget-ap"),
  data: option("--data <path>", "labelled pictures for the budget, as eval takes them"),
  limit: option("--limit <n>", "pictures for the budget at most", numberIn(1, 1e6, true), 128),
  ...threadsOption,
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
  graph: Graph;
  manifest: Manifest;
  table: CalibrationTable;
  method?: string;
  images?: number;
}

async function run([file]: [string], options: Options, terminal: Terminal): Promise<void> {
  const { graph, manifest, table, ...known } = await partsOf(file, options, terminal);
  const reasons = new Map((options.keepFloat ?? []).map((name) => [name, "asked for"]));
  const name = options.name ?? `${manifest.name}-int8`;
  const make = () =>
    quantizeModel({ graph, manifest }, table, {
      ...{ ...known, name, keepFloat: [...reasons.keys()], reasons, tableName: options.table },
    });
  const outputs = ["param", "bin", "json", "h"].map((each) => path.join(options.out, `${name}.${each}`));
  keepSource(file, outputs, "choose another folder or --name");
  await keepOthers(outputs);
  make(); // a wrong table is found before the pictures are looked at
  const budget = budgetOf(options);
  if (budget) {
    for (const [layer, reason] of await spend(budget, { graph, manifest, table }, options, terminal)) {
      reasons.set(layer, reason);
    }
  }
  const int8 = make();
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
  const { graph, manifest } = opened.raw ? convert(opened) : opened;
  quantizableLayers(graph);
  const table = await readTable(options.table, terminal);
  if (options.plain) return { graph, manifest, table };
  const { dir, name } = path.parse(options.table);
  const beside = `${name}-calibrated`;
  const calibrated = await openCalibrated(diskFolder(dir), beside, { graph, table }, (message) =>
    warn(terminal, message),
  );
  if (!calibrated) return { graph, manifest, table };
  terminal.err(`using the corrections in ${path.join(dir, `${beside}.json`)}\n`);
  const { preprocessing, ...parts } = calibrated;
  const input = { ...manifest.input, ...preprocessing };
  const differences = inputDifferences(manifest.input, input);
  if (differences.length) {
    warn(
      terminal,
      `${file}: calibrated with other pictures than it is to be run with: ${differences.join("; ")}. The int8 model takes them as they were calibrated; to have it otherwise, calibrate anew`,
    );
  }
  return { manifest: { ...manifest, input }, ...parts };
}

async function spend(
  budget: Budget,
  { graph, manifest, table }: Parts,
  options: Options,
  terminal: Terminal,
): Promise<Map<string, string>> {
  const source = options.data ?? options.images;
  if (source === undefined)
    throw new UsageError("a budget needs pictures: give them with --images or --data");
  const { labels } = manifest;
  const { images, limit, keepFloat, threads, size } = options;
  const told = startProgress(terminal, { stages: true });
  const onWarning = told.warn;
  const dataset =
    budget.ap === undefined
      ? { entries: (await openPictures(options.images ?? source, { onWarning })).slice(0, limit) }
      : await openDataset(source, {
          ...{ labels, limit, onWarning, labelsKnown: hasOwnLabels(manifest) },
          ...(options.data !== undefined && { images }),
        });
  const items = (): AsyncIterable<EvaluationItem> => readEntries(dataset.entries, told.skip, told.warn);
  const inputs = await sensitivityInputs(items(), manifest.input, size);
  if (!inputs.length) throw new InputError(`${source}: none of the pictures could be read`);
  try {
    const result = await keepWithinBudget({
      ...{ graph, manifest, budget, inputs, keepFloat, threads, size },
      table,
      items: budget.ap === undefined ? undefined : items,
      onProgress: (what, done, total = done) => told.step(stageTitles[what], done, total),
    });
    if (result.apLoss !== undefined) {
      terminal.err(`AP lost on these pictures: ${(100 * result.apLoss).toFixed(2)}\n`);
    }
    if (!result.met) {
      warn(
        terminal,
        `the budget of ${options.budgetAp} AP cannot be kept with any number of layers in float; use a better table`,
      );
    }
    return result.reasons;
  } finally {
    told.stop();
  }
}
