/** `ncnnkit ncnn2table`: the official tool's command line. */
import { availableParallelism } from "node:os";
import { readBytes } from "../node/files.ts";
import { readList } from "../node/lists.ts";
import { writePaths } from "../node/write.ts";
import {
  type CalibrationSource,
  calibrateModel,
  type Graph,
  InputError,
  type LayerReport,
  type Method,
  readPicture,
  type Tensor,
  UsageError,
} from "../node.ts";
import {
  pixelChannels,
  readNpy,
  type TableInput,
  type TablePixel,
  tablePixels,
  tableTensor,
  weightOnlyLines,
} from "../official.ts";
import { stageTitles } from "../steps.ts";
import { officialCommand, readPair } from "./official.ts";
import { stageProgress } from "./progress.ts";
import { type Terminal, warn, warner } from "./terminal.ts";

const usage = `Usage: ncnn2table [ncnnparam] [ncnnbin] [list,...] [ncnntable] [(key=value)...]
  mean=[104.0,117.0,123.0],...
  norm=[1.0,1.0,1.0],...
  shape=[224,224,3],...[w,h,c] or [w,h] **[0,0] will not resize
  pixel=RAW/RGB/BGR/GRAY/RGBA/BGRA,...
  thread=8
  method=kl/aciq/eq
  type=0/1 (0: pictures, 1: .npy files)
Sample usage: ncnn2table squeezenet.param squeezenet.bin imagelist.txt squeezenet.table mean=[104.0,117.0,123.0] norm=[1.0,1.0,1.0] shape=[227,227,3] pixel=BGR method=kl`;

const notes = `
Pictures are stretched to the shape, without letterbox, as the official tool does it: give the mean, norm and pixel order that
the model is run with. "ncnnkit calibrate" takes them from the model manifest. Without [list,...] only layers whose weights
alone are quantized get lines.

Example:
  ncnnkit ncnn2table yolov5ss-opt.param yolov5ss-opt.bin imagelist.txt yolov5ss.table mean=[0,0,0] norm=[0.0039,0.0039,0.0039] shape=[640,640,3] pixel=RGB thread=2 method=kl`;

const officialMethods = ["kl", "aciq", "eq"] as const satisfies readonly Method[];

interface Settings {
  mean: number[][];
  norm: number[][];
  shape: number[][];
  pixel: TablePixel[];
  thread: number;
  method: (typeof officialMethods)[number];
  arrays: boolean;
}

export const ncnn2table = officialCommand({
  name: "ncnn2table",
  about: "find the int8 scales of a float model from pictures or arrays",
  usage,
  notes,
  accepts: (count) => count >= 3,
  run: async ([param, bin, ...rest], terminal) => {
    const withoutData = rest.length === 1 || rest[1].includes("=");
    const lists = withoutData ? undefined : rest[0];
    const [tableFile, ...pairs] = withoutData ? rest : rest.slice(1);
    const settings = parseSettings(pairs, terminal);
    const graph = await readPair(param, bin, terminal);
    const others = weightOnlyLines(graph);
    if (lists === undefined) {
      await writePaths([[tableFile, others]]);
      if (!others)
        warn(terminal, "without pictures the table is empty: no layer is quantized by its weights alone");
      return;
    }
    checkCounts(graph, lists, settings);
    terminal.err(describeSettings(settings));
    const files = await readLists(lists.split(","));
    const table = await calibrate(
      graph,
      sourceOf(graph, files, settings, warner(terminal)),
      files[0].length,
      settings,
      terminal,
    );
    await writePaths([[tableFile, table + others]]);
  },
});

async function calibrate(
  graph: Graph,
  source: CalibrationSource,
  count: number,
  { method, thread }: Settings,
  terminal: Terminal,
): Promise<string> {
  const told = stageProgress(terminal);
  try {
    const result = await calibrateModel(graph, source, {
      method,
      threads: thread,
      onProgress: ({ phase, images }) => told.step(stageTitles[phase], images, count),
    });
    told.stop();
    for (const layer of result.layers) terminal.err(describeLayer(layer));
    return result.plainTable;
  } finally {
    told.stop();
  }
}

const six = (value: number): string => value.toFixed(6).padEnd(15);

function describeLayer({ name, min, max, threshold }: LayerReport): string {
  const absmax = Math.max(Math.abs(min), Math.abs(max));
  return `${name.padEnd(40)} : max = ${six(absmax)} threshold = ${six(threshold)} scale = ${six(127 / threshold)}\n`;
}

// ---- arguments

function parseSettings(pairs: readonly string[], terminal: Terminal): Settings {
  const settings: Settings = {
    ...{ mean: [], norm: [], shape: [], pixel: [] },
    ...{ thread: availableParallelism(), method: "kl", arrays: false },
  };
  for (const pair of pairs) {
    const at = pair.indexOf("=");
    if (at < 0) {
      warn(terminal, `unrecognized arg ${pair}`);
      continue;
    }
    const [key, value] = [pair.slice(0, at), pair.slice(at + 1)];
    // The original compares the beginning of the key only.
    const handler = Object.entries(handlers).find(([name]) => key.startsWith(name));
    if (handler) handler[1](settings, value);
    else warn(terminal, `unknown key ${key} is ignored`);
  }
  return settings;
}

const handlers: Record<string, (settings: Settings, value: string) => void> = {
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
  thread: (settings, value) => {
    settings.thread = Math.min(wholeNumber("thread", value, 0, 4096) || availableParallelism(), 64);
  },
  method: (settings, value) => {
    const method = officialMethods.find((name) => name === value);
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

/** Every input needs its list and shape, and for pictures its mean, norm and pixel order. */
function checkCounts({ inputs }: Graph, lists: string, settings: Settings): void {
  const counts: [string, number][] = [
    ["lists", lists.split(",").length],
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

function describeSettings({ mean, norm, shape, pixel, thread, method, arrays }: Settings): string {
  const list = (values: number[][], digits: number): string =>
    values.map((group) => `[${group.map((value) => value.toFixed(digits)).join(",")}]`).join(",");
  return `mean = ${list(mean, 6)}
norm = ${list(norm, 6)}
shape = ${list(shape, 0)}
pixel = ${pixel.join(",")}
thread = ${thread}
method = ${method}
type = ${arrays ? 1 : 0}
---------------------------------------
`;
}

// ---- data

/** The files of each list; all lists are equally long. */
async function readLists(lists: readonly string[]): Promise<string[][]> {
  const files = await Promise.all(lists.map((list) => readList(list, { currentFirst: true })));
  const uneven = files.findIndex((each) => each.length !== files[0].length);
  if (uneven > 0) {
    throw new InputError(
      `${lists[uneven]} has ${files[uneven].length} files, ${lists[0]} has ${files[0].length}; inputs go in step`,
    );
  }
  return files;
}

function sourceOf(
  graph: Graph,
  files: readonly string[][],
  settings: Settings,
  warned: (message: string) => void,
): CalibrationSource {
  return async function* tensors() {
    for (let i = 0; i < files[0].length; i++) {
      const entries = graph.inputs.map(async (blob, k): Promise<[string, Tensor]> => {
        const file = files[k][i];
        return [
          blob,
          settings.arrays
            ? await arrayTensor(file, settings.shape[k])
            : await pictureTensor(file, settings, k, warned),
        ];
      });
      yield Object.fromEntries(await Promise.all(entries));
    }
  };
}

async function pictureTensor(
  file: string,
  { mean, norm, shape, pixel }: Settings,
  k: number,
  warned: (message: string) => void,
): Promise<Tensor> {
  const [width, height] = shape[k];
  const input: TableInput = { pixel: pixel[k], mean: mean[k], norm: norm[k], width, height };
  const picture = await readPicture(file);
  if (picture.warning !== undefined) warned(picture.warning);
  return tableTensor(picture, input);
}

/** `shape` is w, h, c: numpy's the other way round. */
async function arrayTensor(file: string, shape: readonly number[]): Promise<Tensor> {
  const tensor = readNpy(await readBytes(file), file);
  const found = tensor.shape.toReversed();
  if (found.join() !== shape.join()) {
    throw new InputError(`${file}: an array of shape=[${found.join(",")}], expected [${shape.join(",")}]`);
  }
  return tensor;
}
