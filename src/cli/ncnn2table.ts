/** `ncnnkit ncnn2table`: the official tool's command line. */
import { availableParallelism } from "node:os";
import { readBytes } from "../node/files.ts";
import { readListsInStep } from "../node/lists.ts";
import { writePaths } from "../node/write.ts";
import { type FilePicture, type LayerRange, readPicture } from "../node.ts";
import {
  checkTableSettings,
  ncnn2table,
  parseTableSettings,
  type TableSettings,
  weightOnlyLines,
} from "../official.ts";
import { stageTitles } from "../steps.ts";
import { officialCommand, readPair } from "./official.ts";
import { startProgress } from "./progress.ts";
import { warn } from "./terminal.ts";
import { chooseWideVectors } from "./wide-vectors.ts";

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

export const ncnn2tableCommand = officialCommand({
  name: "ncnn2table",
  about: "find the int8 scales of a float model from pictures or arrays",
  usage,
  notes,
  accepts: (count) => count >= 3,
  run: async ([param, bin, ...rest], terminal) => {
    const withoutData = rest.length === 1 || rest[1].includes("=");
    const lists = withoutData ? undefined : rest[0].split(",");
    const [tableFile, ...words] = withoutData ? rest : rest.slice(1);
    const settings = parseTableSettings(words, {
      threads: availableParallelism(),
      onWarning: (message) => warn(terminal, message),
    });
    const graph = await readPair(param, bin, terminal);
    if (lists === undefined) {
      const table = weightOnlyLines(graph);
      await writePaths([[tableFile, table]]);
      if (!table)
        warn(terminal, "without pictures the table is empty: no layer is quantized by its weights alone");
      return;
    }
    checkTableSettings(graph, lists.length, settings);
    // The original has no option for it.
    await chooseWideVectors(process.env.NCNNKIT_WIDE_VECTORS ?? "auto", terminal);
    terminal.err(describeSettings(settings));
    const files = await readListsInStep(lists, { currentFirst: true });
    const told = startProgress(terminal, { stages: true });
    const picture = async (file: string): Promise<FilePicture> => {
      const read = await readPicture(file);
      if (read.warning !== undefined) told.warn(read.warning);
      return read;
    };
    try {
      const { table, layers } = await ncnn2table(graph, { files, picture, bytes: readBytes }, settings, {
        onProgress: ({ phase, images }) => told.step(stageTitles[phase], images, files[0].length),
      });
      told.stop();
      for (const layer of layers) terminal.err(describeLayer(layer));
      await writePaths([[tableFile, table]]);
    } finally {
      told.stop();
    }
  },
});

const six = (value: number): string => value.toFixed(6).padEnd(15);

function describeLayer({ name, min, max, threshold }: LayerRange): string {
  const absmax = Math.max(Math.abs(min), Math.abs(max));
  return `${name.padEnd(40)} : max = ${six(absmax)} threshold = ${six(threshold)} scale = ${six(127 / threshold)}\n`;
}

function describeSettings({ mean, norm, shape, pixel, threads, method, arrays }: TableSettings): string {
  const list = (values: number[][], digits: number): string =>
    values.map((group) => `[${group.map((value) => value.toFixed(digits)).join(",")}]`).join(",");
  return `mean = ${list(mean, 6)}
norm = ${list(norm, 6)}
shape = ${list(shape, 0)}
pixel = ${pixel.join(",")}
thread = ${threads}
method = ${method}
type = ${arrays ? 1 : 0}
---------------------------------------
`;
}
