/**
 * The measurements behind docs/quantization.md. Nothing here sees the evaluation images: `ablation` calibrates on the first
 * half of coco/images/train2017 and measures on the second. `final` is the one look at val2017 that the document reports.
 *
 *   node scripts/quantize-experiments.ts agreement
 *   node scripts/quantize-experiments.ts ablation [network] [variant …]
 *   node scripts/quantize-experiments.ts final [network] [variant …]
 *   node scripts/quantize-experiments.ts focus FOLDER      (networks of scripts/focus-model.py)
 *
 * Needs Node 24 (types are stripped) and the data folder (NCNNKIT_DATA, default ../shared).
 */
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import {
  type CalibrateOptions,
  type CalibrationSource,
  calibrate,
  observeSource,
  shiftOutputs,
} from "../src/deploy/calibrate.ts";
import { calibrationSource } from "../src/deploy/calibration.ts";
import { compareModels } from "../src/deploy/compare.ts";
import { evaluateModels } from "../src/deploy/evaluate.ts";
import { Guard, guardEntries } from "../src/deploy/guard.ts";
import { protect } from "../src/deploy/protect.ts";
import { readNcnn } from "../src/formats/ncnn/index.ts";
import { type CalibrationTable, parseTable } from "../src/formats/table.ts";
import { preprocessingOf } from "../src/heads/families.ts";
import { blobsOf } from "../src/heads/index.ts";
import type { Manifest } from "../src/heads/manifest.ts";
import type { Graph } from "../src/ir/graph.ts";
import type { Tensor } from "../src/ir/tensor.ts";
import { openDataset, openPictures } from "../src/node/dataset.ts";
import { open } from "../src/node.ts";
import { cocoLabels } from "../src/open/coco-labels.ts";
import { convert } from "../src/open/convert.ts";
import type { KnownFacts } from "../src/open/facts.ts";
import { startModel } from "../src/open/model.ts";
import { copyCorrections, quantize } from "../src/quantize/index.ts";
import { detectionFocus, detectionImportance } from "../src/tally/importance.ts";
import { type EvaluationEntry, readEntries } from "../src/tally/pictures.ts";

const data = path.resolve(process.env.NCNNKIT_DATA ?? "../shared");
const say = (line: string): void => void process.stdout.write(`${line}\n`);
const skip = (message: string): void => say(`skipped: ${message}`);

function readModel(name: string): Graph {
  const file = (extension: string) => readFileSync(path.join(data, "models", `${name}.${extension}`));
  return readNcnn(file("param"), file("bin"));
}

/** How far our kl and aciq scales are from the official tables: same pictures, same pre-processing. */
async function agreement(): Promise<void> {
  const graph = readModel("yolov5ss");
  const input = {
    ...{ blob: "images", width: 320, height: 320, stride: 32, channels: 3 as const },
    ...preprocessingOf("yolov5", 3),
    resize: "stretch" as const,
  };
  const entries = await openPictures(path.join(data, "coco/images/train2017"));
  const started = performance.now();
  const observations = await observeSource(graph, calibrationSource(entries, input, skip));
  say(`${entries.length} pictures observed in ${seconds(started)} s, decoding included`);
  for (const method of ["kl", "aciq"] as const) {
    const from = performance.now();
    const none: CalibrationSource = async function* () {};
    const { table } = await calibrate(graph, none, { method, observations });
    say(`${method}: ${seconds(from)} s`);
    compareTables(table, parseTable(readFileSync(path.join(data, `golden/off-${method}-320.table`), "utf8")));
  }
}

const seconds = (since: number): string => ((performance.now() - since) / 1000).toFixed(1);

function compareTables(ours: CalibrationTable, official: CalibrationTable): void {
  let near = 0;
  let equal = 0;
  for (const [name, expected] of official.activations) {
    const found = ours.activations.get(name) ?? Number.NaN;
    const error = Math.abs(found / expected - 1);
    if (error <= 0.01) near++;
    if (error < 1e-5) equal++;
    else if (error > 0.01) say(`  ${name}: ${found} for ${expected}`);
  }
  const weights = [...official.weights].filter(([name, scales]) => {
    const found = ours.weights.get(name);
    return scales.every((scale, i) => found?.[i] === scale);
  }).length;
  const { size } = official.activations;
  say(
    `  activations: ${near} of ${size} within 1 %, ${equal} equal; weight lines: ${weights} of ${size} equal`,
  );
}

/**
 * Variants of calibration: the official methods, then the parts of `auto` one after the other. `auto-16` has 16 calibration
 * pictures; `guard` is `auto` with the layers in float that the guard chooses.
 */
const variants: Record<string, CalibrateOptions> = {
  kl: { method: "kl" },
  aciq: { method: "aciq" },
  minmax: { method: "minmax" },
  percentile: { method: "percentile" },
  eq: { method: "eq" },
  mse: { method: "mse" },
  scales: { method: "auto", without: ["equalize", "center", "round"] },
  equalize: { method: "auto", without: ["center", "round"] },
  center: { method: "auto", without: ["round"] },
  round: { method: "auto" },
  auto: { method: "auto" },
  guard: { method: "auto" },
  "auto-16": { method: "auto" },
};
/** Those whose results docs/quantization.md has. */
const inTable = ["minmax", "kl", "scales", "equalize", "center", "round", "auto", "guard", "auto-16"];

interface Subject {
  readonly file: string;
  readonly size: number;
  /** The file does not say. */
  readonly known?: KnownFacts;
}
/** The networks of the ablation. */
const subjects: Record<string, Subject> = {
  yolov5ss: { file: "yolov5ss.pt", size: 640 },
  "v5lite-s": { file: "v5lite-s.param", size: 640 },
  "v5lite-e": { file: "v5lite-e.param", size: 640 },
  yolox_nano: { file: "real/yolox_nano.onnx", size: 416, known: { family: "yolox" } },
  nanodet_m: { file: "real/nanodet_m.onnx", size: 416, known: { family: "nanodet" } },
  "nanodet-plus": { file: "real/nanodet-plus-coco-416.param", size: 416, known: { family: "nanodet" } },
  picodet_s: { file: "real/picodet_s_320.onnx", size: 320, known: { family: "picodet" } },
};

async function accuracy(
  name: string,
  chosen: readonly string[],
  calibration: readonly EvaluationEntry[],
  evaluation: readonly EvaluationEntry[],
): Promise<void> {
  const subject = subjects[name];
  if (!subject) throw new Error(`no network ${name}: ${Object.keys(subjects).join(", ")}`);
  const { size } = subject;
  const opened = await open(path.join(data, "models", subject.file), {
    ...(!subject.file.endsWith(".pt") && { labels: cocoLabels }),
    ...subject.known,
    size,
  });
  const { graph, manifest } = convert(opened);
  const float = await start(graph, manifest);
  say(`${name} at ${size}, ${calibration.length} pictures to calibrate, ${evaluation.length} to evaluate`);
  for (const variant of chosen.length ? chosen : inTable) {
    const started = performance.now();
    const seen = variant === "auto-16" ? calibration.slice(0, 16) : calibration;
    const source = calibrationSource(seen, manifest.input, skip, size);
    const isWhole = ["auto", "guard", "auto-16"].includes(variant);
    const options: CalibrateOptions = {
      ...variants[variant],
      ...(variants[variant].method === "auto" && { focus: detectionFocus(manifest) }),
      ...(isWhole && { importance: detectionImportance(manifest) }),
    };
    const calibrated = await calibrate(graph, source, options);
    const took = seconds(started);
    const { table } = calibrated;
    let { corrections } = calibrated;
    let keepFloat: string[] = [];
    if (variant === "guard") {
      const guard = await Guard.start({ graph, manifest }, readEntries(guardEntries(seen), skip), { size });
      const { reasons } = await protect({ ...calibrated, guard, manifest });
      keepFloat = [...reasons.keys()];
      if (keepFloat.length) {
        corrections = copyCorrections(calibrated.unshifted);
        await shiftOutputs(calibrated.graph, source, { table, corrections, keepFloat }, options);
      }
    }
    const int8 = await start(quantize(calibrated.graph, table, { corrections, keepFloat }).graph, manifest);
    const { models } = await evaluateModels([float, int8], readEntries(evaluation, skip), { size });
    int8.close();
    const kept = keepFloat.length ? `  ${keepFloat.length} layers in float` : "";
    say(`${name} ${variant.padEnd(10)} ${describe(models)}  calibrated in ${took} s${kept}`);
  }
  float.close();
}

async function start(graph: Graph, manifest: Manifest) {
  const opened = { format: "ncnn", graph, manifest, assumptions: [], raw: false, hasWeights: true };
  return startModel(opened, {});
}

type Evaluated = Awaited<ReturnType<typeof evaluateModels>>["models"];

function describe([float, int8]: Evaluated): string {
  const points = (fraction: number | null | undefined, digits = 1) =>
    fraction === undefined || fraction === null ? "–" : (100 * fraction).toFixed(digits);
  const { fidelity } = int8;
  const changes = (["small", "medium", "large"] as const).map((key) => `${points(fidelity?.[key].change)} %`);
  return [
    `AP ${points(int8.coco?.AP, 2)} (float ${points(float.coco?.AP, 2)})`,
    `fidelity ${points(fidelity?.fidelity)}`,
    `score change ${changes.join(" / ")}`,
  ].join("  ");
}

/** What int8 costs a network with a Focus stem: its slices and concatenation kept, or as one 6×6 convolution; and by method. */
async function focus(folder: string): Promise<void> {
  const pictures = await openPictures(path.join(data, "coco/images/train2017"));
  for (const name of readdirSync(folder).filter((file) => file.endsWith(".onnx"))) {
    const opened = await open(path.join(folder, name));
    for (const keepFocus of [true, false]) {
      const { graph, manifest } = convert(opened, { keepFocus });
      const source = calibrationSource(pictures.slice(0, 32), manifest.input, skip);
      const others = calibrationSource(pictures.slice(64, 72), manifest.input, skip);
      const float = await start(graph, manifest);
      for (const method of ["kl", "minmax", "auto"] as const) {
        const calibrated = await calibrate(graph, source, {
          method,
          importance: detectionImportance(manifest),
          focus: detectionFocus(manifest),
        });
        const { table, corrections } = calibrated;
        const int8 = await start(quantize(calibrated.graph, table, { corrections }).graph, manifest);
        const inputs: Tensor[] = [];
        for await (const blobs of others()) inputs.push(Object.values(blobs)[0]);
        // Blobs of an equalized graph differ by factors; layers without such factors behind them do not.
        const reference = method === "auto" ? await start(calibrated.graph, manifest) : float;
        const rows = await compareModels(reference, int8, inputs);
        const convolutions = rows.filter(({ type }) => type === "Convolution");
        const heads = rows.filter(({ blob }) => blobsOf(manifest.heads).includes(blob));
        const decibels = (list: typeof rows): string =>
          (list.reduce((sum, { sqnr }) => sum + sqnr, 0) / list.length).toFixed(1);
        const worst = [...convolutions].sort((a, b) => a.sqnr - b.sqnr)[0];
        say(
          `${name} ${keepFocus ? "Focus kept" : "6x6"} ${method}: first layer ${convolutions[0].sqnr.toFixed(1)} dB, mean of ${convolutions.length} layers ${decibels(convolutions)}, worst ${worst.sqnr.toFixed(1)} (${worst.node}), heads ${decibels(heads)}`,
        );
        int8.close();
        if (reference !== float) reference.close();
      }
      float.close();
    }
  }
}

async function labelled(split: "train" | "val"): Promise<readonly EvaluationEntry[]> {
  const dataset = await openDataset(path.join(data, "coco/coco.yaml"), {
    labels: cocoLabels,
    split,
    labelsOptional: true,
  });
  return dataset.entries;
}

const [what, name = "yolov5ss", ...chosen] = process.argv.slice(2);
const train = what !== "ablation" && what !== "final" ? [] : await labelled("train");
if (what === "agreement") await agreement();
else if (what === "focus") await focus(name);
else if (what === "ablation") await accuracy(name, chosen, train.slice(0, 64), train.slice(64));
else if (what === "final") await accuracy(name, chosen, train, await labelled("val"));
else say("agreement | ablation [network] [variant …] | final [network] [variant …] | focus FOLDER");
