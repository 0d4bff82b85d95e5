/** `ncnnkit bench`: how fast a model runs here. */
import os from "node:os";
import { type BenchmarkResult, benchmark, features } from "../node.ts";
import { type Model, wideVectorsEnabled } from "../steps.ts";
import { command, type OptionsOf, option } from "./command.ts";
import { loadNamed, modelOptions } from "./names.ts";
import { engineOptions, jsonOption, numberIn } from "./options.ts";
import { startProgress } from "./progress.ts";
import { printJson, type Terminal, table } from "./terminal.ts";

interface Row extends BenchmarkResult {
  readonly backend: string;
  readonly model: string;
  readonly width: number;
  readonly height: number;
  /** Milliseconds to read and check the files. */
  readonly load: number;
}

const options = {
  int8: option("--int8 <model>", "a second model to time beside it, usually the int8 one"),
  loops: option("--loops <n>", "timed inferences", numberIn(1, 100000, true), 20),
  ...engineOptions,
  ...modelOptions,
  ...jsonOption,
};
type Options = OptionsOf<typeof options>;

export const bench = command({
  name: "bench",
  about: "time a model: min, median, max and average of an inference, start-up and memory",
  arguments: [["<model>", "anything that detect takes"]],
  options,
  notes: `
Examples:
  ncnnkit bench yolov5ss.param --size 320
  ncnnkit bench yolov5ss.param --int8 yolov5ss-int8.param --size 320 --threads 2`,
  async run([file], options, terminal) {
    const rows: Row[] = [];
    for (const model of options.int8 === undefined ? [file] : [file, options.int8]) {
      rows.push(await time(model, options, terminal));
    }
    const environment = describeEnvironment(options.threads ?? 1);
    const peak = process.resourceUsage().maxRSS * 1024;
    if (options.json) printJson(terminal, { environment, rows, peakBytes: peak });
    else terminal.out(describe(rows, environment, peak));
  },
});

async function time(file: string, options: Options, terminal: Terminal): Promise<Row> {
  const start = performance.now();
  const { backend, precision, tune, threads, loops } = options;
  const model = await loadNamed(file, options, terminal, { backend, precision, tune, threads });
  const loaded = performance.now() - start;
  const { width, height } = options.size ?? model.manifest.input;
  const progress = startProgress(terminal);
  try {
    progress.step(file, 0, loops);
    const result = await benchmark(model, { width, height, loops }, (done) =>
      progress.step(file, done, loops),
    );
    return { model: nameOf(model, file), backend: model.backend, width, height, load: loaded, ...result };
  } finally {
    progress.stop();
    model.close();
  }
}

function nameOf(model: Model, file: string): string {
  return model.manifest.name || file;
}

/** Everything that a time depends on. */
export function describeEnvironment(threads: number): Record<string, string | number> {
  const { simd, relaxedSimd, dot, madd } = features();
  return {
    runtime: `Node ${process.versions.node}, V8 ${process.versions.v8}`,
    cpu: os.cpus()[0]?.model ?? "unknown",
    threads,
    vectors: wideVectorsEnabled() ? "256 bits (V8 joins them)" : "128 bits",
    simd: !simd ? "none" : relaxedSimd ? `simd128, relaxed (int8 dot ${dot}, madd ${madd})` : "simd128",
  };
}

function describe(rows: readonly Row[], environment: Record<string, string | number>, peak: number): string {
  const ms = (value: number): string => value.toFixed(2).padStart(7);
  const lines = rows.map(
    (row) =>
      `${row.model.padStart(20)}  min = ${ms(row.min)}  max = ${ms(row.max)}  avg = ${ms(row.avg)}  median = ${ms(row.median)}  (${row.width}x${row.height}, ${row.loops} loops after ${row.warmup})`,
  );
  const facts = rows.map((row) => [
    `${row.model}:`,
    `${row.backend},`,
    `read in ${row.load.toFixed(0)} ms,`,
    `first result after ${row.firstRun.toFixed(0)} ms,`,
    `${(row.memoryBytes / 2 ** 20).toFixed(1)} MiB of memory for the network`,
  ]);
  const ratio =
    rows.length === 2
      ? `${rows[1].model} takes ${(rows[1].median / rows[0].median).toFixed(2)} of the time of ${rows[0].model} (${(rows[0].median / rows[1].median).toFixed(2)} times as fast)\n`
      : "";
  return `${table(Object.entries(environment).map(([name, value]) => [name, String(value)]))}\n${lines.join("\n")}\n\n${table(facts, " ")}${ratio}peak memory of the process ${(peak / 2 ** 20).toFixed(0)} MiB\n`;
}
