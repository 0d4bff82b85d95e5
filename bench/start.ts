/**
 * From nothing to the first result, in fresh processes: importing, reading the model, making the network and the first picture; with and
 * without kept modules.
 *
 *   npm run build && node bench/start.ts MODEL [--size 320] [--starts 20] [--node PATH]
 *
 * Best and median of all starts, in milliseconds; `processor` is the time of the main thread alone, which a busy machine stretches less.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { median } from "./_peer.ts";

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    size: { type: "string", default: "320" },
    starts: { type: "string", default: "20" },
    node: { type: "string", default: process.execPath },
  },
});
const [file] = positionals;
if (!file) throw new Error("give a model");
const library = pathToFileURL(path.resolve(import.meta.dirname, "../dist/node.js")).href;

/** What a fresh process does; prints its times as JSON. */
const program = (modules: string | undefined): string => `
const used = () => {
  const { user, system } = (process.threadCpuUsage ?? process.cpuUsage).call(process);
  return (user + system) / 1000;
};
const laps = [[performance.now(), used()]];
const lap = () => laps.push([performance.now(), used()]);
const { load, moduleFolder } = await import(${JSON.stringify(library)});
lap();
const data = new Uint8Array(640 * 480 * 3).fill(99);
const modules = ${modules ? `moduleFolder(${JSON.stringify(modules)})` : "undefined"};
const model = await load(${JSON.stringify(path.resolve(file))}, { modules });
lap();
await model.detect({ width: 640, height: 480, channels: 3, data }, { size: ${options.size} });
lap();
model.close();
console.log(JSON.stringify(laps));`;

type Lap = readonly [wall: number, processor: number];

function starts(modules: string | undefined, count: number): (Lap[] & { process: number })[] {
  return Array.from({ length: count }, () => {
    const begin = performance.now();
    const args = ["--input-type=module", "-e", program(modules)];
    const laps = JSON.parse(execFileSync(options.node, args, { encoding: "utf8" })) as Lap[];
    return Object.assign(laps, { process: performance.now() - begin });
  });
}

const folder = mkdtempSync(path.join(os.tmpdir(), "ncnnkit-start-"));
const version = execFileSync(options.node, ["--version"], { encoding: "utf8" }).trim();
console.log(
  `${path.basename(file)} at ${options.size}: ${os.cpus()[0].model}, ${process.arch}, Node ${version}, ${options.starts} starts`,
);
console.log(
  "| modules | import | load | first result | load and first result | … processor | whole process |",
);
console.log("|---|--:|--:|--:|--:|--:|--:|");
for (const modules of [undefined, folder]) {
  if (modules) starts(modules, 1);
  const all = starts(modules, Number(options.starts));
  const show = (of: (laps: (typeof all)[number]) => number): string => {
    const values = all.map(of);
    return `${Math.min(...values).toFixed(0)} (${median(values).toFixed(0)})`;
  };
  const between = (from: number, to: number, what = 0) => show((laps) => laps[to][what] - laps[from][what]);
  const cells = [between(0, 1), between(1, 2), between(2, 3), between(1, 3), between(1, 3, 1)];
  console.log(`| ${modules ? "kept" : "none"} | ${cells.join(" | ")} | ${show((laps) => laps.process)} |`);
}
rmSync(folder, { recursive: true, force: true });
