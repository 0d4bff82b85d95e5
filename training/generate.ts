/** node training/generate.ts OUT --count 15000 --seed 1 --split training [--photographs DIR] [--codes 1] [--size 320] [--jobs 2] */
import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { type DatasetOptions, writeDataset } from "./pictures/dataset.ts";

const usage =
  "usage: node training/generate.ts OUT --count N --seed N --split training|held-out [--photographs DIR] [--codes SHARE] [--size 320] [--jobs 2]";

function fail(message: string): never {
  console.error(`${message}\n${usage}`);
  process.exit(2);
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    count: { type: "string" },
    seed: { type: "string", default: "1" },
    split: { type: "string", default: "training" },
    /** A folder that training/photographs.py filled: they lie behind the codes. */
    photographs: { type: "string" },
    /** Share of pictures that may have codes. */
    codes: { type: "string", default: "1" },
    size: { type: "string", default: "320" },
    jobs: { type: "string", default: "1" },
    /** For the processes that this starts: the first of the pictures they make. */
    part: { type: "string" },
  },
});

function whole(name: "count" | "seed" | "size" | "jobs", least: number, most: number): number {
  const number = Number(values[name]);
  if (!Number.isInteger(number) || number < least || number > most)
    fail(`--${name} is ${values[name] ?? "missing"}, expected a whole number from ${least} to ${most}`);
  return number;
}

const [folder] = positionals;
if (!folder || positionals.length > 1) fail("expected one folder");
const { split } = values;
if (split !== "training" && split !== "held-out") fail(`--split is ${split}`);
const codes = Number(values.codes);
if (!(codes >= 0 && codes <= 1)) fail(`--codes is ${values.codes}, expected 0 to 1`);
const jobs = whole("jobs", 1, 64);
const options: DatasetOptions = {
  count: whole("count", 1, 999_999),
  seed: whole("seed", 0, 4_000_000_000),
  size: whole("size", 64, 2048),
  split,
  photographs: values.photographs,
  codes,
};

/** Runs every `jobs`-th picture in a process of its own, which is ended with the others when one fails. */
function startPart(first: number, signal: AbortSignal, onDone: (pictures: number) => void): Promise<void> {
  const args = [...process.argv.slice(2), "--part", String(first)];
  const child = fork(fileURLToPath(import.meta.url), args, { signal });
  child.on("message", (done) => onDone(Number(done)));
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("exit", (code) =>
      code === 0 ? resolve() : reject(new Error(`part ${first} of ${jobs} failed`)),
    );
  });
}

async function writeAll(): Promise<void> {
  const started = performance.now();
  const counts = Array<number>(jobs).fill(0);
  const report = () => {
    const done = counts.reduce((sum, value) => sum + value, 0);
    if (done % 100 !== 0 && done !== options.count) return;
    const each = (performance.now() - started) / done;
    process.stderr.write(`\r${done} of ${options.count} pictures, ${each.toFixed(1)} ms each `);
  };
  const stop = new AbortController();
  const parts = counts.map((_, i) =>
    startPart(i + 1, stop.signal, (done) => {
      counts[i] = done;
      report();
    }),
  );
  try {
    await Promise.all(parts);
  } finally {
    stop.abort();
    await Promise.allSettled(parts);
    process.stderr.write("\n");
  }
}

try {
  if (values.part) {
    const part = { first: Number(values.part), step: jobs };
    await writeDataset(folder, { ...options, part, onProgress: (done) => process.send?.(done) });
    process.disconnect?.();
  } else await writeAll();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exit(1);
}
