/**
 * How fast passes over pictures are: `eval` of a model in one thread, in two threads, and over a queue by one and by two workers of one thread
 * each; interleaved, the best of some rounds, start-up (processes, compiling) left out by measuring twice as many pictures against once.
 * Needs redis-server and a build (`npm run build`).
 *
 *   node scripts/passes-speed.ts MODEL DATASET [pictures, default 64] [rounds, default 3] [size, default 320]
 */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { median } from "../src/base/maths.ts";
import { Threads } from "../src/node/threads.ts";
import { evaluateModels, load, openDataset, readEntries } from "../src/node.ts";
import { QueueRunner } from "../src/queue/runner.ts";
import type { Runner } from "../src/tally/run.ts";

const [file, data, ...numbers] = process.argv.slice(2);
const [pictures = 64, rounds = 3, size = 320] = numbers.map(Number);
const command = fileURLToPath(new URL("../bin/ncnnkit.js", import.meta.url));
const folder = mkdtempSync(path.join(os.tmpdir(), "ncnnkit-speed-"));
const port = 20_000 + (process.pid % 20_000);
const address = `redis://127.0.0.1:${port}`;
const children: ChildProcess[] = [];
function start(program: string, ...args: string[]): ChildProcess {
  const child = spawn(program, args, { stdio: "ignore" });
  children.push(child);
  return child;
}

const model = await load(file);
const dataset = await openDataset(data, { labels: model.manifest.labels, heads: model.manifest.heads });
const available = dataset.entries.slice(0, pictures);
start("redis-server", "--port", String(port), "--bind", "127.0.0.1", "--save", "");
await sleep(500);

async function secondsOf(runner: Runner | undefined): Promise<number> {
  const began = performance.now();
  await evaluateModels(
    [model],
    readEntries(available, () => {}),
    { size, runner },
  );
  return (performance.now() - began) / 1000;
}
async function queued(): Promise<number> {
  const queue = await QueueRunner.open(address, { shared: folder, shardSize: 64 });
  try {
    return await secondsOf(queue.runner);
  } finally {
    await queue.close({ isDone: true });
  }
}

const threads = [new Threads(1), new Threads(2)];
const worker = () => start(process.execPath, command, "worker", address, "--shared", folder, "--jobs", "1");
const times: Record<string, number[]> = {};
const note = (name: string, seconds: number): void => {
  times[name] = [...(times[name] ?? []), seconds];
};
const stop = async (child: ChildProcess): Promise<void> => {
  child.kill("SIGKILL");
  await new Promise((resolve) => child.once("exit", resolve));
};
for (let round = -1; round < rounds; round++) {
  const [one, two] = [await secondsOf(threads[0].runner), await secondsOf(threads[1].runner)];
  const first = worker();
  await queued(); // compiles
  const byOne = await queued();
  const second = worker();
  await queued();
  const byTwo = await queued();
  await Promise.all([first, second].map(stop));
  if (round < 0) continue;
  note("1 thread", one);
  note("2 threads", two);
  note("1 worker", byOne);
  note("2 workers", byTwo);
}
for (const [name, all] of Object.entries(times)) {
  const [best, middle] = [Math.min(...all), median(all)];
  console.log(
    `${name.padEnd(10)} ${(available.length / best).toFixed(1)} pictures/s at best, ${(available.length / middle).toFixed(1)} median`,
  );
}
const ratio = (a: string, b: string): string =>
  median(times[a].map((each, i) => each / times[b][i])).toFixed(2);
console.log(`2 threads are ${ratio("1 thread", "2 threads")} times as fast as 1, median of rounds`);
console.log(`1 worker takes ${ratio("1 worker", "1 thread")} times as long as 1 thread`);
console.log(`2 workers are ${ratio("1 worker", "2 workers")} times as fast as 1`);
console.log(
  os
    .loadavg()
    .map((load) => load.toFixed(1))
    .join(" "),
  "load",
);
await Promise.all(threads.map((each) => each.close()));
model.close();
for (const child of children) child.kill("SIGKILL");
rmSync(folder, { recursive: true });
process.exit(0);
