/**
 * Prints the table of docs/detectors.md: every model is opened, converted, opened again, deployed with 16 pictures, and measured on pictures.
 *
 *     node scripts/detector-matrix.ts [--only PART-OF-NAME] [--float] [EXPORTS …]
 *
 * Models: those of the data folder (NCNNKIT_DATA, default ../shared), against decoding in numpy (test/heads/goldens.json); of folders
 * EXPORTS that scripts/ultralytics-sweep.py filled, against the boxes in their index.json; and the detectors of ncnn's benchmark with weights
 * out of a seed, for which there is no reference. Needs Node 24. A step that fails stands in the table. --float leaves int8 out.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import {
  convert,
  deploy,
  type EvaluationEntry,
  evaluateModels,
  isObject,
  load,
  type Model,
  modelFiles,
  type ObjectDetection,
  type OpenedModel,
  open,
  openDataset,
  openPictures,
  readEntries,
  readPicture,
  writeFiles,
} from "../src/node.ts";
import { cocoLabels, printParam, writeWeights } from "../src/steps.ts";
import { zoo } from "../src/zoo/index.ts";
import { synthesize } from "../src/zoo/weights.ts";

/** Class, score, left, top, right, bottom; in pixels of the picture. */
type Row = readonly number[];
interface Subject {
  readonly name: string;
  readonly file: string;
  /** Where the file says none, or one that nobody uses. */
  readonly size?: { width: number; height: number };
  /** By path of the picture. */
  readonly reference?: Readonly<Record<string, readonly Row[]>>;
  /** Least score and greatest overlap that the reference was made with. */
  readonly confidence: number;
  readonly iou: number;
  /** Weights are no trained ones: pictures tell nothing of average precision. */
  readonly isRandom?: boolean;
}

const { values, positionals } = parseArgs({
  options: { only: { type: "string" }, float: { type: "boolean" } },
  allowPositionals: true,
});
const data = path.resolve(process.env.NCNNKIT_DATA ?? "../shared");
const pictures = path.join(data, "coco/images");
const calibrationPictures = 16;
/** Scores this near to the least may pass on one side only. */
const slack = 1e-3;

function realModels(): Subject[] {
  const goldens = JSON.parse(readFileSync("test/heads/goldens.json", "utf8")) as Record<
    string,
    Record<string, Row[]>
  >;
  return ["models", "models/real"].flatMap((folder) =>
    readdirSync(path.join(data, folder))
      .filter((file) => /\.(pt|onnx|param)$/.test(file))
      .map((file) => {
        const golden = goldens[`${folder}/${file}`];
        const reference =
          golden &&
          Object.fromEntries(
            Object.entries(golden).map(([number, rows]) => [
              path.join(pictures, "val2017", `${number}.jpg`),
              rows,
            ]),
          );
        return {
          ...{ name: file, file: path.join(data, folder, file), reference, confidence: 0.3, iou: 0.45 },
        };
      }),
  );
}

/** What scripts/ultralytics-sweep.py writes. */
interface Export {
  readonly file: string;
  readonly network: string;
  readonly way: string;
  readonly width: number;
  readonly height: number;
  readonly problem?: string;
  readonly boxes?: Record<string, Row[]>;
}

function exportsIn(folder: string): Subject[] {
  const index = JSON.parse(readFileSync(path.join(folder, "index.json"), "utf8")) as Export[];
  return index
    .filter(({ problem }) => !problem)
    .map(({ file, network, way, width, height, boxes = {} }) => ({
      ...{ name: `${network}, ${way}`, file: path.join(folder, file), size: { width, height } },
      reference: Object.fromEntries(
        Object.entries(boxes).map(([picture, rows]) => [path.join(folder, picture), rows]),
      ),
      ...{ confidence: 0.25, iou: 0.7, isRandom: true },
    }));
}

/** The detectors of ncnn's benchmark, written into a folder. */
async function benchmarkModels(folder: string): Promise<Subject[]> {
  const detectors = zoo.filter(
    ({ name }) => /ssd|yolo(?!v5)|nanodet|fastestdet/i.test(name) && !/int8/.test(name),
  );
  return Promise.all(
    detectors.map(async ({ name, build }) => {
      const graph = build();
      synthesize(graph);
      await writeFiles(folder, {
        [`${name}.param`]: printParam(graph),
        [`${name}.bin`]: writeWeights(graph),
      });
      const file = path.join(folder, `${name}.param`);
      return { name: `${name}, weights of a seed`, file, confidence: 0.25, iou: 0.45, isRandom: true };
    }),
  );
}

const cornersOf = ({ classId, score, box: { x, y, width, height } }: ObjectDetection): Row => [
  ...[classId, score, x, y, x + width, y + height],
];

function overlap([, , ax, ay, ar, ab]: Row, [, , bx, by, br, bb]: Row): number {
  const common =
    Math.max(0, Math.min(ar, br) - Math.max(ax, bx)) * Math.max(0, Math.min(ab, bb) - Math.max(ay, by));
  return common / ((ar - ax) * (ab - ay) + (br - bx) * (bb - by) - common);
}

/** Boxes of `expected` that are found, with the least overlap and the greatest difference of scores among them. */
class Comparison {
  expected = 0;
  found = 0;
  extra = 0;
  overlap = 1;
  score = 0;
  add(expected: readonly Row[], found: readonly Row[], confidence: number): void {
    const left = [...found];
    // Random weights make boxes that are inside out, which are none here.
    for (const row of expected.filter(([, , x0, y0, x1, y1]) => x1 > x0 && y1 > y0)) {
      const [best] = left
        .filter((other) => other[0] === row[0])
        .sort((a, b) => overlap(row, b) - overlap(row, a));
      const isSame = best && overlap(row, best) > 0.9 && Math.abs(best[1] - row[1]) < 0.05;
      if (!isSame && row[1] < confidence + slack) continue;
      this.expected++;
      if (!isSame) continue;
      left.splice(left.indexOf(best), 1);
      this.found++;
      this.overlap = Math.min(this.overlap, overlap(row, best));
      this.score = Math.max(this.score, Math.abs(best[1] - row[1]));
    }
    this.extra += left.filter(([, score]) => score > confidence + slack).length;
  }
  toString(): string {
    const extra = this.extra ? `, ${this.extra} more` : "";
    if (!this.expected) return `0${extra}`;
    return `${this.found} of ${this.expected}${extra}; ${this.overlap.toFixed(3)}; ${this.score.toFixed(4)}`;
  }
}

async function boxesOf(model: Model, file: string, { confidence, iou, size }: Subject): Promise<Row[]> {
  const options = { confidence: confidence - slack, iou, maxDetections: 10_000, size };
  return (await model.detect(await readPicture(file), options)).filter(isObject).map(cornersOf);
}

/** Boxes of `model` against the reference of the subject, or against those of another model. */
async function compared(model: Model, subject: Subject, other?: Model): Promise<string> {
  const result = new Comparison();
  const files = subject.reference ? Object.keys(subject.reference) : examples;
  for (const file of files) {
    const expected = other ? await boxesOf(other, file, subject) : (subject.reference?.[file] ?? []);
    result.add(expected, await boxesOf(model, file, subject), subject.confidence);
  }
  return String(result);
}

const examples = readdirSync(path.join(pictures, "val2017"))
  .sort()
  .slice(0, 3)
  .map((file) => path.join(pictures, "val2017", file));

const longest = 120;
const short = (cell: string): string =>
  cell.length > longest ? `${cell.slice(0, longest).replace(/\s\S*$/, "")} …` : cell;

const percent = (value: number | undefined): string =>
  value === undefined || value < 0 ? "–" : (100 * value).toFixed(1);

/** Every step that works fills its column; the first that fails says why in its own. */
async function rowOf(subject: Subject, folder: string): Promise<string[]> {
  const cells: string[] = [];
  const models: Model[] = [];
  const started = async (file: string): Promise<Model> => {
    const model = await load(file, { size: subject.size, threads: 1 });
    models.push(model);
    return model;
  };
  try {
    const opened = await open(subject.file, { size: subject.size });
    const { heads, input } = opened.manifest;
    const { width, height } = subject.size ?? input;
    cells.push([...new Set(heads.map(({ kind }) => kind))].join(", ") || "none", `${width}x${height}`);
    if (!heads.length) return [...cells, opened.whyNoHeads ?? ""];
    const first = await started(subject.file);
    cells.push(subject.reference ? await compared(first, subject) : "–");
    const { graph, manifest } = convert(opened);
    await writeFiles(folder, modelFiles(graph, manifest));
    const again = await started(path.join(folder, `${manifest.name}.json`));
    cells.push(`${graph.nodes.length} layers; ${await compared(again, subject, first)}`);
    if (graph.nodes.some(({ params }) => params.int8_scale_term)) return [...cells, "is int8"];
    if (values.float) return cells;
    cells.push(...(await quantized(opened, again, subject, folder, started)));
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    cells.push(`fails: ${message.replaceAll(`${path.dirname(subject.file)}/`, "")}`);
  } finally {
    for (const model of models) model.close();
  }
  return cells;
}

/** The int8 model that deploy makes, against the float one. */
async function quantized(
  opened: OpenedModel,
  model: Model,
  { size, isRandom }: Subject,
  folder: string,
  started: (file: string) => Promise<Model>,
): Promise<string[]> {
  const { labels, name } = opened.manifest;
  const quiet = (message: string): void => void process.stderr.write(`${message}\n`);
  const calibration = (await openPictures(path.join(pictures, "train2017"))).slice(0, calibrationPictures);
  const { files, record } = await deploy(
    opened,
    { calibration },
    {
      ...{ size, threads: 1, onSkip: quiet },
      force: isRandom, // int8 of random weights keeps few boxes of thousands
    },
  );
  const int8 = Object.entries(files).flatMap(([file, content]) =>
    file.startsWith("int8/") ? [[path.basename(file), content] as const] : [],
  );
  await writeFiles(folder, Object.fromEntries(int8));
  const isCoco = !isRandom && labels.join() === cocoLabels.join();
  const dataset = await openDataset(path.join(data, "coco/coco.yaml"), {
    labels: isCoco ? labels : cocoLabels,
  });
  const used: readonly EvaluationEntry[] = isCoco
    ? dataset.entries
    : dataset.entries.slice(0, calibrationPictures).map(({ name: picture, read }) => ({
        name: picture,
        read: async () => ({ ...(await read()), truth: undefined }),
      }));
  const both = [model, await started(path.join(folder, `${name}-int8.json`))];
  const { models } = await evaluateModels(both, readEntries(used, quiet), { size });
  const [before, after] = models;
  const [layers, kept] = [Object.keys(record.layers).length, record.keptFloat.length];
  return [
    `${layers} layers${kept ? `, ${kept} float` : ""}; ${percent(after.fidelity?.fidelity)}`,
    isCoco ? `${percent(before.coco?.AP)} → ${percent(after.coco?.AP)}` : "–",
  ];
}

const folder = mkdtempSync(path.join(os.tmpdir(), "detector-matrix-"));
try {
  const subjects = [
    ...realModels(),
    ...positionals.flatMap(exportsIn),
    ...(await benchmarkModels(path.join(folder, "benchmark"))),
  ].filter(({ name }) => name.includes(values.only ?? ""));
  const heads = ["model", "boxes as", "size", "reference", "converted", "int8", "AP"];
  const line = (cells: readonly string[]): void =>
    void process.stdout.write(`| ${cells.map((cell) => short(cell).replaceAll("|", "/")).join(" | ")} |\n`);
  line(heads);
  line(heads.map(() => "---"));
  for (const subject of subjects) {
    const cells = await rowOf(subject, folder);
    line([subject.name, ...heads.slice(1).map((_, i) => cells[i] ?? "")]);
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
