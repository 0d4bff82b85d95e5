/**
 * Opens the exports and checkpoints of a folder made by scripts/ultralytics-sweep.py and prints a table: the kind of head that was recognised, boxes that the
 * export finds itself and how many of them are missing or extra here, the least overlap and the worst score of the others, layers that
 * run, layers with the decoding kept, and layers of pnnx's conversion of the same network.
 *
 *     node scripts/ultralytics-sweep.ts FOLDER [NAME …]
 *
 * A box is found where class, score (within 0.001) and corners (IoU above 0.99) agree; the 60 best of a picture below a score of 0.9999 count,
 * above which the order is one of rounding. Anything else makes the exit status 1.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { isObject, type ObjectDetection, type OpenedModel, open, readPicture } from "../src/node.ts";
import { convert } from "../src/open/convert.ts";
import { type Model, startModel } from "../src/open/model.ts";

/** Class, score, left, top, right, bottom. */
type Row = [number, number, number, number, number, number];
type Boxes = Record<string, Row[]>;
interface Entry {
  network: string;
  way: string;
  width: number;
  height: number;
  problem?: string;
  file: string;
  boxes: Boxes;
  /** At other sizes, by `HEIGHTxWIDTH`. */
  others?: Record<string, Boxes>;
}
interface Comparison {
  boxes: number;
  missing: number;
  extra: number;
  overlap: number;
  score: number;
}

const [folder, ...names] = process.argv.slice(2);
if (!folder) throw new Error("usage: node scripts/ultralytics-sweep.ts FOLDER [NAME …]");
const index = JSON.parse(readFileSync(join(folder, "index.json"), "utf8")) as Entry[];
const confidence = 0.25;
/** Scores this near to the least may pass on one side only. */
const slack = 1e-3;
const mostBoxes = 60;
/** Scores above it may be in any order, and which of two boxes suppresses the other follows the order. */
const surest = 0.9999;

function overlapOf([, , ax, ay, ar, ab]: Row, [, , bx, by, br, bb]: Row): number {
  const common =
    Math.max(0, Math.min(ar, br) - Math.max(ax, bx)) * Math.max(0, Math.min(ab, bb) - Math.max(ay, by));
  return common / ((ar - ax) * (ab - ay) + (br - bx) * (bb - by) - common);
}

const rowOf = ({ classId, score, box: { x, y, width, height } }: ObjectDetection): Row => [
  classId,
  score,
  x,
  y,
  x + width,
  y + height,
];

function compare(expected: readonly Row[], found: readonly Row[]): Comparison {
  const left = [...found];
  // Random distances may turn a box inside out; here these are none.
  const real = expected.filter(([, , x0, y0, x1, y1]) => x1 > x0 && y1 > y0);
  const best = real.filter(([, score]) => score < surest).sort((a, b) => b[1] - a[1]);
  const least = best.at(mostBoxes)?.[1] ?? confidence;
  const counted = best.filter(([, score]) => score > least);
  const result = { boxes: counted.length, missing: 0, extra: 0, overlap: 1, score: 0 };
  for (const row of counted) {
    const same = left.filter((other) => other[0] === row[0] && Math.abs(other[1] - row[1]) <= slack);
    const nearest = same.sort((a, b) => overlapOf(row, b) - overlapOf(row, a)).at(0);
    const overlap = nearest ? overlapOf(row, nearest) : 0;
    if (!nearest || overlap < 0.99) {
      if (row[1] > least + slack) result.missing++;
      continue;
    }
    left.splice(left.indexOf(nearest), 1);
    result.overlap = Math.min(result.overlap, overlap);
    result.score = Math.max(result.score, Math.abs(nearest[1] - row[1]));
  }
  result.extra = left.filter(([, score]) => score > least + slack && score < surest - slack).length;
  return result;
}

async function check(
  model: Model,
  boxes: Boxes,
  size: { width: number; height: number },
): Promise<Comparison> {
  const parts: Comparison[] = [];
  for (const [name, rows] of Object.entries(boxes)) {
    const found = await model.detect(await readPicture(join(folder, name)), {
      confidence,
      iou: 0.7,
      maxDetections: 10000,
      size,
    });
    parts.push(compare(rows, found.filter(isObject).map(rowOf)));
  }
  const sum = (pick: (part: Comparison) => number): number => parts.reduce((a, part) => a + pick(part), 0);
  return {
    boxes: sum((part) => part.boxes),
    missing: sum((part) => part.missing),
    extra: sum((part) => part.extra),
    overlap: Math.min(...parts.map(({ overlap }) => overlap)),
    score: Math.max(...parts.map(({ score }) => score)),
  };
}

function cells({ boxes, missing, extra, overlap, score }: Comparison): (string | number)[] {
  if (missing || extra || boxes === 0) process.exitCode = 1;
  return [boxes, missing, extra, overlap.toFixed(4), score.toExponential(0)];
}

/** Layers that a `.param` of pnnx has without its Splits. */
function pnnxLayers(network: string): number | undefined {
  const file = join(folder, `${network}-ncnn`, "model.ncnn.param");
  if (!existsSync(file)) return undefined;
  const lines = readFileSync(file, "utf8").split("\n").slice(2);
  return lines.filter((line) => line.trim() && !line.startsWith("Split ")).length;
}

const layersOf = (opened: OpenedModel): number => convert(opened).graph.nodes.length;

async function keptLayers(file: string): Promise<string | number> {
  try {
    return layersOf(await open(file, { keepDecode: true }));
  } catch (problem) {
    return String(problem);
  }
}

async function rowsOf(entry: Entry): Promise<(string | number)[][]> {
  const { network, way } = entry;
  if (entry.problem) return [[network, way, `not exported: ${entry.problem}`]];
  const file = join(folder, entry.file);
  const opened = await open(file, { endToEnd: way === "pt-end2end" });
  const kinds = [...new Set(opened.manifest.heads.map(({ kind }) => kind))].join(", ") || "none";
  const pnnx = pnnxLayers(network);
  const layers = layersOf(opened);
  const kept = file.endsWith(".onnx") && !/nms|end2end/.test(way) ? await keptLayers(file) : "";
  if (pnnx && (layers > pnnx || Number(kept) > pnnx)) process.exitCode = 1;
  const model = await startModel(opened, { threads: 1 });
  const rows: (string | number)[][] = [];
  try {
    const first = cells(await check(model, entry.boxes, entry));
    rows.push([network, way, kinds, `${entry.height}x${entry.width}`, ...first, layers, kept, pnnx ?? ""]);
    for (const [name, boxes] of Object.entries(entry.others ?? {})) {
      const [height, width] = name.split("x").map(Number);
      try {
        rows.push([network, way, kinds, name, ...cells(await check(model, boxes, { width, height }))]);
      } catch (problem) {
        rows.push([network, way, kinds, name, String(problem)]);
      }
    }
  } finally {
    model.close();
  }
  if (kinds === "none") process.exitCode = 1;
  return rows;
}

const head =
  "network | way | head | size | boxes | missing | extra | IoU | score | layers | with decoding | pnnx";
console.log(`| ${head} |\n|${"---|".repeat(12)}`);
for (const entry of index) {
  if (names.length && !names.includes(entry.network) && !names.includes(entry.way)) continue;
  try {
    for (const row of await rowsOf(entry)) console.log(`| ${row.join(" | ")} |`);
  } catch (problem) {
    console.log(`| ${entry.network} | ${entry.way} | ${problem} |`);
    process.exitCode = 1;
  }
}
