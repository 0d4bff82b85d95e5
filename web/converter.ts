/** Convert and quantize in the worker: files in, a zip and a report out. Nothing is sent anywhere. */
import { zipSync } from "fflate";
import {
  convert,
  type DeployProgress,
  type DeployStage,
  deploy,
  type EvaluationEntry,
  InputError,
  modelFiles,
  type OpenedModel,
  open,
  UnsupportedError,
} from "../src/index.ts";
import { stageTitles } from "../src/steps.ts";
import { decodePicture, encodeForReport } from "./pixels.ts";
import type { ConvertProgress, ConvertReply, ConvertRequest } from "./protocol.ts";
import { later } from "./words.ts";

const packing: ConvertProgress = { title: later("Pack the files"), done: 0, overall: 0.99 };

/** How much of the time the stages take, of 100, in their order: of three detectors with 30 pictures. */
const shares: readonly (readonly [DeployStage, number])[] = [
  ["observe", 27],
  ["equalize", 13],
  ["correct", 23],
  ["outputs", 11],
  ["sensitivity", 5],
  ["accuracy", 4],
  ["evaluate", 3],
  ["compare", 9],
  ["time", 3],
  ["draw", 1],
];

/** Never goes back, though a stage may come again. */
function overallProgress(): (progress: DeployProgress) => number {
  let most = 0;
  return ({ stage, done, total }) => {
    const at = shares.findIndex(([name]) => name === stage);
    const before = shares.slice(0, at).reduce((sum, [, share]) => sum + share, 0);
    const part = total ? Math.min(done / total, 1) * shares[at][1] : 0;
    most = Math.max(most, (before + part) / 100);
    return most;
  };
}

type Files = Record<string, Uint8Array | string>;

export async function convertFiles(
  request: ConvertRequest,
  progress: (value: ConvertProgress) => void,
): Promise<ConvertReply> {
  progress({ title: later("Read the model"), done: 0, overall: 0 });
  const opened = await open(request.model, request.told);
  return request.calibration.length
    ? quantized(opened, request, progress)
    : converted(opened, request, progress);
}

/** Without pictures there are no scales: the float model alone. */
async function converted(
  opened: OpenedModel,
  { size }: ConvertRequest,
  progress: (value: ConvertProgress) => void,
): Promise<ConvertReply> {
  const input = { ...opened.manifest.input, ...(size && { width: size, height: size }) };
  const sized = { ...opened, manifest: { ...opened.manifest, input } };
  const { graph, manifest } = convert(sized, { fp16: true });
  const files = Object.fromEntries(
    Object.entries(modelFiles(graph, manifest)).map(([name, content]) => [`fp16/${name}`, content]),
  );
  progress(packing);
  return {
    name: manifest.name,
    ...packed(files, manifest.name),
    variants: [],
    width: input.width,
    height: input.height,
    skipped: [],
    assumptions: opened.assumptions,
  };
}

async function quantized(
  opened: OpenedModel,
  { calibration, size, method, threads, machine }: ConvertRequest,
  progress: (value: ConvertProgress) => void,
): Promise<ConvertReply> {
  if (!opened.manifest.heads.length) {
    throw new UnsupportedError(
      `${opened.manifest.name}: no boxes can be read from this model (${opened.whyNoHeads ?? "it has no heads"}), so int8 could not be checked; convert it without pictures`,
    );
  }
  const skipped: string[] = [];
  const overall = overallProgress();
  const { name, files, report } = await deploy(
    opened,
    { calibration: calibration.map(entryOf) },
    {
      ...{ size, method, threads, machine },
      encode: encodeForReport,
      onProgress: (each) => {
        const { stage, done, total } = each;
        progress({ title: stageTitles[stage], done, total, overall: overall(each) });
      },
      onSkip: (message) => skipped.push(message),
    },
  );
  progress(packing);
  return {
    name,
    ...packed(files, name),
    report: String(files["report.html"]),
    variants: report.variants.map(({ name: variant, bytes, milliseconds, fidelity }) => ({
      ...{ name: variant, bytes, milliseconds, fidelity },
    })),
    measuredOn: report.measuredOn,
    width: report.size.width,
    height: report.size.height,
    skipped,
    assumptions: opened.assumptions,
  };
}

/** A picture is decoded each time that it is read, so that memory does not grow with their number. */
function entryOf(file: File, i: number): EvaluationEntry {
  const name = file.name || `picture ${i + 1}`;
  return {
    name,
    read: async () => {
      if (file.size === 0) throw new InputError(`${name}: the file is empty`);
      return { id: `${i + 1}-${name}`, picture: await decodePicture(file, name) };
    },
  };
}

/** All files below a folder of the model's name in one zip; weights hardly compress, so they are only stored. */
function packed(files: Files, name: string): Pick<ConvertReply, "zip" | "files"> {
  const encoder = new TextEncoder();
  const bytes = Object.entries(files).map(([path, content]) => ({
    path,
    content: (typeof content === "string" ? encoder.encode(content) : content) as Uint8Array<ArrayBuffer>,
  }));
  const entries = Object.fromEntries(
    bytes.map(({ path, content }) => {
      const level = /\.(bin|webp|png)$/.test(path) ? 0 : 6;
      return [`${name}/${path}`, [content, { level }] as [Uint8Array, { level: 0 | 6 }]];
    }),
  );
  return {
    zip: new Blob([zipSync(entries) as Uint8Array<ArrayBuffer>], { type: "application/zip" }),
    files: bytes.map(({ path, content }) => ({ path, blob: new Blob([content]) })),
  };
}
