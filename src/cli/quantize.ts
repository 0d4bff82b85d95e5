/** `ncnnkit quantize`: a float model and its calibration table to an int8 model. */
import path from "node:path";
import { readBytes } from "../node/files.ts";
import { slashed } from "../node/local.ts";
import {
  type Budget,
  type CalibrationTable,
  convert,
  type EvaluationItem,
  type Graph,
  InputError,
  type Manifest,
  modelFiles,
  open,
  openDataset,
  openPictures,
  quantizeModel,
  readEntries,
  type Tensor,
  UsageError,
  writeFiles,
} from "../node.ts";
import {
  type CalibratedNote,
  graphDigest,
  hasOwnLabels,
  keepWithinBudget,
  printedScales,
  quantizableLayers,
  stageTitles,
  toTensor,
} from "../steps.ts";
import { command, flag, list, type OptionsOf, option, required } from "./command.ts";
import { nameOptions, openNamed } from "./names.ts";
import {
  factOptions,
  jsonOption,
  keepOthers,
  keepSource,
  numberIn,
  parsePercent,
  readTable,
  threadsOption,
} from "./options.ts";
import { startProgress } from "./progress.ts";
import { type Terminal, table as textTable, warn } from "./terminal.ts";

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
  budgetTime: option(
    "--budget-time <percent>",
    "time that sensitive layers in float may cost, as in 5%",
    parsePercent,
  ),
  images: option("--images <path>", "pictures for the budget; with YOLO labels for --budget-ap"),
  data: option("--data <path>", "labelled pictures for the budget, as eval takes them"),
  limit: option("--limit <n>", "pictures for the budget at most", numberIn(1, 1e6, true), 128),
  ...threadsOption,
  plain: flag("--plain", "weights as they are, rounded to nearest: the files of ncnn2int8"),
  ...jsonOption,
  ...factOptions,
  ...nameOptions,
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
  await writeFiles(options.out, files);
  const record = int8.manifest.quantization;
  const written = Object.entries(files).map(([each, content]): [string, number] => [
    slashed(path.join(options.out, each)),
    typeof content === "string" ? new TextEncoder().encode(content).length : content.length,
  ]);
  if (options.json) {
    terminal.out(
      `${JSON.stringify({ files: written.map(([each]) => each), quantization: record }, null, 2)}\n`,
    );
    return;
  }
  terminal.err(
    `${name}: ${Object.keys(record.layers).length} layers int8, ${record.keptFloat.length} float\n`,
  );
  for (const kept of record.keptFloat) terminal.err(`  ${kept.name} stays float: ${kept.reason}\n`);
  terminal.out(textTable(written));
}

/** The float model and the table to use: those given, or the better ones that calibrate left beside the table. */
async function partsOf(file: string, options: Options, terminal: Terminal): Promise<Parts> {
  const opened = await openNamed(file, options, terminal);
  for (const text of opened.assumptions) warn(terminal, `${file}: ${text}`);
  const { graph, manifest } = opened.raw ? convert(opened) : opened;
  quantizableLayers(graph);
  const table = await readTable(options.table, terminal);
  const plain: Parts = { graph, manifest, table };
  const { dir, name } = path.parse(options.table);
  const beside = path.join(dir, `${name}-calibrated`);
  if (options.plain) return plain;
  try {
    await readBytes(`${beside}.json`);
  } catch (error) {
    if (error instanceof InputError) return plain;
    throw error;
  }
  const calibrated = await open(`${beside}.json`);
  const note = calibrated.manifest.provenance.calibration as CalibratedNote | undefined;
  const scales = printedScales(table);
  const problem =
    note?.model !== (await graphDigest(graph))
      ? "is of another model"
      : Object.entries(scales).some(([layer, scale]) => note.scales[layer] !== scale)
        ? "does not fit the scales in the table"
        : undefined;
  if (problem || !note) {
    warn(terminal, `${beside}.json ${problem}: only the table is used`);
    return plain;
  }
  terminal.err(`using the corrections in ${beside}.json\n`);
  const whole = await readTable(`${beside}.table`, terminal);
  return {
    graph: calibrated.graph,
    manifest,
    // A layer that was taken out of the table stays float.
    table: withoutLayers(whole, (layer) => layer in scales),
    method: note.method,
    images: note.images,
  };
}

function withoutLayers(table: CalibrationTable, keep: (layer: string) => boolean): CalibrationTable {
  return {
    weights: new Map([...table.weights].filter(([layer]) => keep(layer))),
    activations: new Map([...table.activations].filter(([layer]) => keep(layer))),
  };
}

function budgetOf({ budgetAp, budgetTime }: Options): Budget | undefined {
  if (budgetAp === undefined && budgetTime === undefined) return undefined;
  return { ap: budgetAp === undefined ? undefined : budgetAp / 100, time: budgetTime };
}

/** Pictures on which the sensitivity of layers is measured. */
const sensitivityPictures = 4;

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
  const inputs: Record<string, Tensor>[] = [];
  for await (const { picture } of items()) {
    inputs.push({ [manifest.input.blob]: toTensor(picture, manifest.input, size).tensor });
    if (inputs.length === sensitivityPictures) break;
  }
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
