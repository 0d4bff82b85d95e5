/** `ncnnkit benchncnn`: the field's table, with ncnn's own arguments. */
import path from "node:path";
import { readText } from "../node/files.ts";
import { type Shape, UsageError } from "../node.ts";
import {
  type BenchmarkNetwork,
  benchmarkNetwork,
  benchmarkNetworks,
  type NetworkTiming,
  networkFromParam,
} from "../official.ts";
import { describeEnvironment } from "./bench.ts";
import { command, flag, option } from "./command.ts";
import { wideVectorsOption } from "./options.ts";
import { printJson } from "./terminal.ts";

/** ncnn's positional arguments, in order. */
interface Arguments {
  readonly loops: number;
  readonly threads: number;
  readonly powersave: number;
  readonly gpu: number;
  readonly cooldown: number;
  readonly networks: readonly BenchmarkNetwork[] | undefined;
}

const positional = ["loops", "threads", "powersave", "gpu", "cooldown"] as const;
const defaults = { loops: 4, threads: 1, powersave: 0, gpu: -1, cooldown: 0 };
const cooldownSeconds = 10;

const notes = `
Arguments, as ncnn's benchncnn takes them:
  loops      timed inferences of each network (${defaults.loops})
  threads    threads to compute with (${defaults.threads})
  powersave  taken, without effect: a JavaScript runtime cannot choose cores (${defaults.powersave})
  gpu        -1, the only choice so far (${defaults.gpu})
  cooldown   1: wait ${cooldownSeconds} s before each network (${defaults.cooldown}; ncnn's default is 1)
  param=FILE shape=[w,h,c],…   instead of the built-in networks; a shape for each input; may come again

Each network is warmed up until its times settle, for at most 2 s. Weights and inputs are seeded noise.

Examples:
  ncnnkit benchncnn
  ncnnkit benchncnn 8 4
  ncnnkit benchncnn 4 1 0 -1 0 param=yolov5ss.param shape=[320,320,3]
  ncnnkit benchncnn --only squeezenet --only 'resnet.*' --json > times.json`;

export const benchncnn = command({
  name: "benchncnn",
  about: "time the networks of ncnn's benchmark and YOLOv5-Lite, with invented weights",
  arguments: [
    ["[arguments...]", "[loops] [threads] [powersave] [gpu] [cooldown] [param=FILE shape=[w,h,c]]"],
  ],
  options: {
    only: option(
      "--only <name>",
      "one network, or a regular expression for several; may come again",
      (text, before: string[] = []) => [...before, text],
      [],
    ),
    ...wideVectorsOption,
    json: flag("--json", "print JSON on stdout too"),
  },
  notes,
  async run([words], { only, json }, terminal) {
    const given = await parseArguments(words);
    const networks = select(given.networks ?? benchmarkNetworks, only);
    const environment = describeEnvironment(given.threads);
    terminal.err(header(given, environment));
    const rows: NetworkTiming[] = [];
    const start = performance.now();
    for (const network of networks) {
      if (given.cooldown) await new Promise((resolve) => setTimeout(resolve, cooldownSeconds * 1000));
      const { loops, threads } = given;
      const row = await benchmarkNetwork(network, { loops, threads });
      rows.push(row);
      terminal.err(line(row));
    }
    const seconds = (performance.now() - start) / 1000;
    if (json) printJson(terminal, { environment, seconds, rows });
  },
});

async function parseArguments(words: readonly string[]): Promise<Arguments> {
  const pairs = words.filter((word) => /^[a-z]+=/.test(word));
  const numbers = words.filter((word) => !pairs.includes(word));
  if (numbers.length > positional.length) {
    throw new UsageError(`"${numbers[positional.length]}" is one argument too many; see benchncnn --help`);
  }
  const values: Record<(typeof positional)[number], number> = { ...defaults };
  numbers.forEach((word, i) => {
    values[positional[i]] = wholeNumber(positional[i], word);
  });
  if (values.gpu !== -1) throw new UsageError(`gpu is ${values.gpu}: networks run on the CPU only, give -1`);
  return { ...values, networks: pairs.length ? await readNetworks(pairs) : undefined };
}

function wholeNumber(name: (typeof positional)[number], word: string): number {
  const value = Number(word);
  const [least, most] = {
    loops: [1, 100000],
    threads: [1, 64],
    powersave: [0, 2],
    gpu: [-1, 64],
    cooldown: [0, 1],
  }[name];
  if (word.trim() !== "" && Number.isInteger(value) && value >= least && value <= most) return value;
  throw new UsageError(`${name} is "${word}", expected a whole number from ${least} to ${most}`);
}

/** `param=` and `shape=` in turn. */
async function readNetworks(pairs: readonly string[]): Promise<BenchmarkNetwork[]> {
  const networks: BenchmarkNetwork[] = [];
  for (let i = 0; i < pairs.length; i += 2) {
    const file = /^param=(.+)$/.exec(pairs[i])?.[1];
    const shapes = /^shape=(.+)$/.exec(pairs[i + 1] ?? "")?.[1];
    if (file === undefined || shapes === undefined) {
      throw new UsageError(`expected param=FILE shape=[w,h,c],…, found "${pairs.slice(i, i + 2).join(" ")}"`);
    }
    const text = await readText(file);
    networks.push(networkFromParam(text, path.basename(file, ".param"), parseShapes(shapes)));
  }
  return networks;
}

/** `[227,227,3],[10]`: width first, as ncnn writes extents. */
function parseShapes(text: string): Shape[] {
  if (!/^\[\d+(,\d+){0,3}\](,\[\d+(,\d+){0,3}\])*$/.test(text)) {
    throw new UsageError(`shape is "${text}", expected extents like [227,227,3], one bracket an input`);
  }
  return [...text.matchAll(/\[([^\]]+)\]/g)].map(([, extents]) => extents.split(",").map(Number).reverse());
}

function select(networks: readonly BenchmarkNetwork[], only: readonly string[]): readonly BenchmarkNetwork[] {
  if (only.length === 0) return networks;
  const patterns = only.map((text) => {
    try {
      return new RegExp(`^(?:${text})$`);
    } catch {
      throw new UsageError(`--only "${text}" is no regular expression`);
    }
  });
  const wanted = (name: string): boolean =>
    only.includes(name) || patterns.some((pattern) => pattern.test(name));
  const found = networks.filter(({ name }) => wanted(name));
  if (found.length > 0) return found;
  throw new UsageError(
    `--only ${only.join(", ")}: no such network; there are ${networks.map((n) => n.name).join(", ")}`,
  );
}

function header(given: Arguments, environment: ReturnType<typeof describeEnvironment>): string {
  const facts = {
    loop_count: given.loops,
    num_threads: given.threads,
    powersave: given.powersave,
    gpu_device: given.gpu,
    cooling_down: given.cooldown,
    runtime: environment.runtime,
    cpu: environment.cpu,
    simd: environment.simd,
  };
  return Object.entries(facts)
    .map(([name, value]) => `${name} = ${value}\n`)
    .join("");
}

function line({ name, min, max, avg, median }: NetworkTiming): string {
  const ms = (value: number): string => value.toFixed(2).padStart(7);
  return `${name.padStart(20)}  min = ${ms(min)}  max = ${ms(max)}  avg = ${ms(avg)}  median = ${ms(median)}\n`;
}
