/** Options that several commands share, and how their values are read. */
import os from "node:os";
import { InvalidArgumentError, Option } from "commander";
import { readText } from "../node/files.ts";
import { Threads } from "../node/threads.ts";
import { type Backend, type Budget, type OpenOptions, UsageError } from "../node.ts";
import { backendChoices, backendNames, efforts, familyNames, methods } from "../steps.ts";
import { choice, flag, type OptionOf, type OptionsOf, option } from "./command.ts";

/** A parser for a number in a range, for commander. */
export function numberIn(least: number, most: number, whole = false): (text: string) => number {
  return (text) => {
    const value = text.trim() === "" ? Number.NaN : Number(text);
    if (value >= least && value <= most && (!whole || Number.isInteger(value))) return value;
    throw new InvalidArgumentError(`Expected a ${whole ? "whole " : ""}number from ${least} to ${most}.`);
  };
}

/** `5%` or `0.05`, as a fraction from 0 to 1. */
function parsePercent(text: string): number {
  const match = /^\s*(\d+(?:\.\d+)?|\.\d+)\s*(%?)\s*$/.exec(text);
  const value = match ? Number(match[1]) / (match[2] ? 100 : 1) : Number.NaN;
  if (value >= 0 && value <= 1) return value;
  throw new InvalidArgumentError("Expected a percentage, as in 5%.");
}

/** `640` or `640x480` (width first). */
export function parseSize(text: string): { width: number; height: number } {
  const match = /^(\d{1,5})(?:x(\d{1,5}))?$/i.exec(text.trim());
  if (!match) throw new InvalidArgumentError("Expected a side in pixels (640) or width x height (640x480).");
  return { width: Number(match[1]), height: Number(match[2] ?? match[1]) };
}

/** `10,13,16,30,33,23 30,61,…`: one list a head, smallest stride first; heads apart by space, semicolon or slash. */
export function parseAnchors(text: string): number[][] {
  const lists = text
    .trim()
    .split(/[\s;/]+/)
    .map((list) => list.split(",").map(Number));
  if (lists.flat().every((value) => value > 0) && lists.every((list) => list.length % 2 === 0)) return lists;
  throw new InvalidArgumentError(
    'Expected widths and heights of each head, as in "10,13,16,30,33,23 30,61,62,45,59,119 116,90,156,198,373,326".',
  );
}

/** What a bare `.param` does not say. */
export const factOptions = {
  anchors: option(
    "--anchors <list>",
    "anchors of each head in pixels, where the file does not hold them",
    parseAnchors,
  ),
  labels: option("--labels <file|names>", "class names: a text file with one a line, or a,b,c"),
  size: option("--imgsz, --size <n|wxh>", "input size in pixels", parseSize),
  family: choice("--family <name>", "whose pre-processing it has, where the file does not say", familyNames),
};

/** Parts of the pre-processing; they go before the family's and the manifest's. */
export const inputOptions = {
  mean: option("--mean <list>", "mean of each channel in levels 0 to 255", parseNumbers),
  norm: option("--norm <list>", "factor of each channel: value = (level - mean) * norm", parseNumbers),
  pixel: choice("--pixel <order>", "channel order", ["RGB", "BGR", "GRAY"]),
  resize: choice("--resize <kind>", "how pictures are fitted", ["stretch", "letterbox", "crop"]),
  antialias: flag("--antialias", "shrink pictures by averaging over all pixels, as Pillow does"),
  letterboxAlign: choice("--letterbox-align <place>", "where the picture is", ["center", "corner"]),
};

/** `0,0,0`, perhaps in brackets. */
export function parseNumbers(text: string): number[] {
  const values = text
    .replace(/^\[|\]$/g, "")
    .split(",")
    .map(Number);
  if (values.every(Number.isFinite)) return values;
  throw new InvalidArgumentError("Expected numbers with commas between, one a channel.");
}

type Facts = OptionsOf<typeof factOptions> &
  OptionsOf<typeof inputOptions> & { readonly keepDecode?: boolean; readonly endToEnd?: boolean };

export async function knownFacts(options: Facts): Promise<OpenOptions> {
  const { anchors, labels, size, family, keepDecode, endToEnd } = options;
  const { mean, norm, pixel, resize, antialias, letterboxAlign } = options;
  const preprocessing = Object.fromEntries(
    Object.entries({ mean, norm, pixel, resize, antialias, letterboxAlign }).filter(
      ([, value]) => value !== undefined,
    ),
  );
  return {
    ...{ anchors, size, family, keepDecode, endToEnd },
    labels: labels === undefined ? undefined : await readLabels(labels),
    ...(Object.keys(preprocessing).length && { preprocessing }),
  };
}

async function readLabels(text: string): Promise<string[]> {
  if (text.includes(",")) return text.split(",").map((name) => name.trim());
  const lines = (await readText(text)).split(/\r?\n/);
  while (lines.length && lines.at(-1)?.trim() === "") lines.pop();
  if (!lines.length) throw new UsageError(`${text}: no class names in this file`);
  return lines.map((line) => line.trim());
}

export const threadsOption = {
  threads: option(
    "--threads <n>",
    "threads to compute with (default: for many pictures one a core)",
    numberIn(1, 64, true),
  ),
};

/** Fewer pictures are not worth starting threads for. */
const fewPictures = 16;

/** Threads for passes over so many pictures: where nothing is said one a core, if there are many; never more than pictures. */
export function threadsFor({ threads }: { threads?: number }, pictures: number): Threads {
  const usual = pictures < fewPictures ? 1 : os.availableParallelism();
  return new Threads(Math.min(threads ?? usual, pictures));
}

export const effortOption = {
  effort: choice("--effort <name>", "how many pictures are looked at to make int8 better", efforts, "normal"),
};

export const methodOption = { method: choice("--method <name>", "how scales are chosen", methods, "auto") };

export const budgetTimeOption = {
  budgetTime: option(
    "--budget-time <percent>",
    "time that sensitive layers in float may cost, as in 5%; all of it is spent (default: up to 10 % of the work, as far as needed)",
    parsePercent,
  ),
};

export const forceOption = {
  force: flag("--force", "write the files even if int8 does not do what the float model does"),
};

/** The budget that was given, `--budget-ap` in hundredths; nothing without one. */
export function budgetOf(given: { budgetAp?: number; budgetTime?: number }): Budget | undefined {
  const { budgetAp, budgetTime } = given;
  if (budgetAp === undefined && budgetTime === undefined) return undefined;
  return { ap: budgetAp === undefined ? undefined : budgetAp / 100, time: budgetTime };
}

/** Of every command that computes; `wide-vectors.ts` does what it says, before the command runs. */
export const wideVectorsOption = {
  wideVectors: {
    option: new Option(
      "--wide-vectors [when]",
      "256-bit vectors on x86, V8's experiment: auto takes them where a self-test, once on a machine, finds them right and faster",
    )
      .choices(["auto", "on", "off"])
      .preset("on")
      .default("auto")
      .env("NCNNKIT_WIDE_VECTORS"),
    read: ({ wideVectors: when }: Readonly<Record<string, unknown>>) => when,
  },
};

export const backendOptions = {
  backend: option(
    "--backend <name>",
    `what computes: ${backendNames.join(", ")}, or auto: the faster of wasm and webgpu (default: ${backendNames[0]})`,
    (text) => (text === "auto" ? text : parseBackend(text, backendChoices)),
  ),
  precision: choice(
    "--precision <name>",
    "of numbers and weights on webgpu: float16 takes half of the memory",
    ["float32", "float16"],
  ),
  tune: flag("--tune", "on webgpu, time the tiles of this network, once on this device"),
};

export const engineOptions = { ...backendOptions, ...threadsOption, ...wideVectorsOption };

export const jsonOption = { json: flag("--json", "print JSON only") };

/** Several of them. */
export const backends = (flags: string, about: string): OptionOf<Backend[] | undefined> =>
  option(flags, about, (text, before: Backend[] | undefined) => [...(before ?? []), parseBackend(text)]);

function parseBackend(text: string, allowed: readonly string[] = backendNames): Backend {
  const backend = backendNames.find((name) => name === text);
  if (backend) return backend;
  throw new InvalidArgumentError(`Allowed: ${allowed.join(", ")}.`);
}
