/**
 * ncnn2table: its settings, `key=value` words; the inputs as it makes them; and the table of a float model.
 * Source: ncnn tools/quantize/ncnn2table.cpp.
 */
import { ahead } from "../base/ahead.ts";
import { expectKind } from "../base/arguments.ts";
import { InputError, UsageError } from "../base/errors.ts";
import { type CalibrateOptions, calibrateScales } from "../deploy/calibrate.ts";
import type { Picture } from "../detect/picture.ts";
import { printTable } from "../formats/table.ts";
import { type Graph, match, type Node } from "../ir/graph.ts";
import type { Tensor } from "../ir/tensor.ts";
import { weightToFloat32 } from "../ir/weight.ts";
import { embed } from "../ops/embed.ts";
import { multiHeadAttention } from "../ops/multi-head-attention.ts";
import type { LayerRange, Method } from "../quantize/index.ts";
import { pixelChannels, readNpy, type TablePixel, tablePixels, tableTensor } from "./table-inputs.ts";

const tableMethods = ["kl", "aciq", "eq"] as const satisfies readonly Method[];

/** What the words `key=value` say; the lists hold an entry for each input of the model. */
export interface TableSettings {
  /** A number a channel: `value = (level − mean)·norm`. */
  mean: number[][];
  norm: number[][];
  /** Width, height and channels of each input; 0 as width or height keeps the picture's own. */
  shape: number[][];
  pixel: TablePixel[];
  /** 1 to 64. */
  threads: number;
  method: (typeof tableMethods)[number];
  /** The files are `.npy` arrays, not pictures. */
  arrays: boolean;
}

/** Options of reading the settings. */
export interface TableSettingsOptions {
  /** Threads where the words do not say it, or say 0. */
  threads?: number;
  /** Told of words that mean nothing. */
  onWarning?: (message: string) => void;
}

/** The files of the inputs, and how they are read. */
export interface TableFiles {
  /** For each input of the model its files; all lists are equally long. */
  readonly files: readonly (readonly string[])[];
  /** Reads a picture. Throws InputError. */
  picture(file: string): Promise<Picture>;
  /** The bytes of a `.npy` file. */
  bytes(file: string): Promise<Uint8Array>;
}

/**
 * The text of the calibration table of a float model, and what is said of each layer. Throws UsageError for settings that do not fit the model, InputError
 * for arrays of another shape, and as `calibrateModel`.
 */
export async function ncnn2table(
  graph: Graph,
  inputs: TableFiles,
  settings: TableSettings,
  options: Pick<CalibrateOptions, "onProgress" | "signal"> = {},
): Promise<{ table: string; layers: LayerRange[] }> {
  expectKind("ncnn2table: graph", graph, "a graph");
  expectKind("ncnn2table: inputs", inputs, "an object");
  expectKind("ncnn2table: inputs.files", inputs.files, "a list");
  checkTableSettings(graph, inputs.files.length, settings);
  const { method, threads } = settings;
  const source = (): AsyncGenerator<Record<string, Tensor>> => tensors(graph, inputs, settings);
  const { table, layers } = await calibrateScales(graph, source, { ...options, method, threads });
  return { table: printTable(table) + weightOnlyLines(graph), layers };
}

async function* tensors(
  { inputs: blobs }: Graph,
  inputs: TableFiles,
  settings: TableSettings,
): AsyncGenerator<Record<string, Tensor>> {
  const read = (i: number): Promise<[string, Picture | Uint8Array][]> =>
    Promise.all(
      blobs.map(async (blob, k) => {
        const file = inputs.files[k][i];
        return [blob, await (settings.arrays ? inputs.bytes(file) : inputs.picture(file))];
      }),
    );
  for (const [i, reading] of ahead([...inputs.files[0].keys()], read)) {
    const entries = (await reading).map(([blob, found], k) => [
      blob,
      tensor(found, inputs.files[k][i], settings, k),
    ]);
    yield Object.fromEntries(entries);
  }
}

/** What input `k` is given of a file. */
function tensor(found: Picture | Uint8Array, file: string, settings: TableSettings, k: number): Tensor {
  const { mean, norm, shape, pixel } = settings;
  if (found instanceof Uint8Array) return shaped(readNpy(found, file), shape[k], file);
  const [width, height] = shape[k];
  return tableTensor(found, { pixel: pixel[k], mean: mean[k], norm: norm[k], width, height });
}

/** `shape` is w, h, c: numpy's the other way round. */
function shaped(tensor: Tensor, shape: readonly number[], file: string): Tensor {
  const found = tensor.shape.toReversed();
  if (found.join() === shape.join()) return tensor;
  throw new InputError(`${file}: an array of shape=[${found.join(",")}], expected [${shape.join(",")}]`);
}

/** The settings of words such as `mean=[0,0,0]`, `shape=[640,640,3]`, `method=kl`. Throws UsageError for a value that means nothing. */
export function parseTableSettings(
  words: readonly string[],
  options: TableSettingsOptions = {},
): TableSettings {
  expectKind("parseTableSettings: words", words, "a list of strings");
  expectKind("parseTableSettings: options", options, "an object of options");
  const { threads = 1, onWarning } = options;
  const settings: TableSettings = {
    ...{ mean: [], norm: [], shape: [], pixel: [] },
    ...{ threads, method: "kl", arrays: false },
  };
  for (const pair of words) {
    const at = pair.indexOf("=");
    if (at < 0) {
      onWarning?.(`unrecognized arg ${pair}`);
      continue;
    }
    const [key, value] = [pair.slice(0, at), pair.slice(at + 1)];
    // The original compares the beginning of the key only.
    const handler = Object.entries(handlers).find(([name]) => key.startsWith(name));
    if (handler) handler[1](settings, value, threads);
    else onWarning?.(`unknown key ${key} is ignored`);
  }
  return settings;
}

const handlers: Record<string, (settings: TableSettings, value: string, threads: number) => void> = {
  mean: (settings, value) => {
    settings.mean = groups("mean", value);
  },
  norm: (settings, value) => {
    settings.norm = groups("norm", value);
  },
  shape: (settings, value) => {
    settings.shape = groups("shape", value);
  },
  pixel: (settings, value) => {
    settings.pixel = value.split(",").map(pixelOf);
  },
  thread: (settings, value, threads) => {
    settings.threads = Math.min(wholeNumber("thread", value, 0, 4096) || threads, 64);
  },
  method: (settings, value) => {
    const method = tableMethods.find((name) => name === value);
    if (!method) throw new UsageError(`unknown method ${value}, expect kl / aciq / eq`);
    settings.method = method;
  },
  type: (settings, value) => {
    settings.arrays = wholeNumber("type", value, 0, 1) === 1;
  },
};

function wholeNumber(key: string, text: string, least: number, most: number): number {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= least && value <= most) return value;
  throw new UsageError(`malformed ${key} ${text}: expected a whole number from ${least} to ${most}`);
}

/** `[a,b,c],[d,e,f]`, one group for each input; brackets around a single group may be left out. */
function groups(key: string, text: string): number[][] {
  const lists = text
    .split(/[[\]]/)
    .map((part) => part.replace(/^,|,$/g, ""))
    .filter((part) => part.trim() !== "")
    .map((part) => part.split(",").map((word) => (word.trim() === "" ? Number.NaN : Number(word))));
  if (lists.flat().every(Number.isFinite)) return lists;
  throw new UsageError(`malformed ${key} ${text}: expected [a,b,c],… with numbers`);
}

function pixelOf(text: string): TablePixel {
  const pixel = tablePixels.find((name) => name === text);
  if (pixel) return pixel;
  throw new UsageError(
    text === "RAW"
      ? "pixel=RAW: pictures have colours; give RGB, BGR, GRAY, RGBA or BGRA (or type=1 with .npy files)"
      : `unknown pixel ${text}, expect ${tablePixels.join(" / ")}`,
  );
}

/**
 * Throws UsageError unless every input of the graph has its list and shape, and for pictures its mean, norm and pixel order. `lists` is
 * how many lists of files there are.
 */
export function checkTableSettings(graph: Graph, lists: number, settings: TableSettings): void {
  expectKind("checkTableSettings: graph", graph, "a graph");
  expectKind("checkTableSettings: lists", lists, "a number");
  expectKind("checkTableSettings: settings", settings, "an object");
  const { inputs } = graph;
  const counts: [string, number][] = [
    ["lists", lists],
    ["shapes", settings.shape.length],
  ];
  if (!settings.arrays) {
    counts.push(
      ["means", settings.mean.length],
      ["norms", settings.norm.length],
      ["pixels", settings.pixel.length],
    );
  }
  for (const [what, count] of counts) {
    if (count !== inputs.length) {
      throw new UsageError(
        `expect ${inputs.length} ${what}, but got ${count}: one for each Input layer (${inputs.join(", ")})`,
      );
    }
  }
  if (settings.arrays) return;
  for (const [i, input] of inputs.entries()) {
    const channels = pixelChannels(settings.pixel[i]);
    for (const key of ["mean", "norm"] as const) {
      const found = settings[key][i].length;
      if (found !== channels) {
        throw new UsageError(
          `${key} of ${input}: found ${found} numbers, expected ${channels} for ${settings.pixel[i]}`,
        );
      }
    }
    if (settings.shape[i].length < 2) throw new UsageError(`shape of ${input}: expected [w,h,c] or [w,h]`);
  }
}

/**
 * Table lines of layers whose weights alone are quantized, with inputs scaled as they come: Embed and MultiHeadAttention.
 * ncnn2table writes them with and without pictures.
 */
export function weightOnlyLines(graph: Graph): string {
  expectKind("weightOnlyLines: graph", graph, "a graph");
  const lines = graph.nodes.flatMap((node) =>
    weightOnlyScales(node).map((scales, i) => {
      const values = scales.map((scale) => scale.toFixed(6));
      return `${node.name}_param_${i} ${values.join(" ")} \n`;
    }),
  );
  return lines.join("");
}

/** The list of scales of each weight: `127/absmax` of each row, or of the whole. */
function weightOnlyScales(node: Node): number[][] {
  const { weights } = node;
  const rows = (name: string, count: number): number[] => {
    const data = weightToFloat32(weights[name]);
    const width = data.length / count;
    return Array.from({ length: count }, (_, row) => {
      const absmax = data
        .subarray(row * width, (row + 1) * width)
        .reduce((most, x) => Math.max(most, Math.abs(x)), 0);
      return absmax === 0 ? 1 : Math.fround(127 / absmax);
    });
  };
  if (match(node, embed)) return [rows("weight", 1)];
  if (!match(node, multiHeadAttention)) return [];
  const perRow = ["q", "k", "v"].map((name) => rows(`${name}_weight`, weights[`${name}_bias`].data.length));
  return [...perRow, rows("out_weight", 1)];
}
