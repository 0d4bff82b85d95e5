/**
 * The networks of `ncnnkit benchncnn` here and in native ncnn, through its Python package: the same files (invented weights), the
 * same loops, alternating network by network. Results go to bench/results/zoo.json; `node scripts/benchmark-chart.mjs` draws them.
 *
 *   npm run build && node bench/zoo.mjs [--loops 4] [--threads 1] [--only REGEXP] [--out bench/results/zoo.json]
 *
 * Needs `pip install ncnn numpy`; without it the native column stays empty.
 */
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { benchmarkNetwork, benchmarkNetworks, features, networkFiles } from "../dist/node.js";

const { values: options } = parseArgs({
  options: {
    loops: { type: "string", default: "4" },
    threads: { type: "string", default: "1" },
    only: { type: "string", default: "." },
    out: { type: "string", default: path.join(import.meta.dirname, "results", "zoo.json") },
  },
});
const loops = Number(options.loops);
const threads = Number(options.threads);
/** As ncnn's own benchmark. */
const nativeWarmup = 8;

const median = (times) => {
  const sorted = [...times].sort((a, b) => a - b);
  return (sorted[(loops - 1) >> 1] + sorted[loops >> 1]) / 2;
};

/** Milliseconds of `loops` native runs, and the package's version; undefined where the package is missing. */
async function native(network) {
  const folder = mkdtempSync(path.join(os.tmpdir(), "ncnnkit-zoo-"));
  try {
    const base = path.join(folder, "network");
    const { param, bin } = networkFiles(network);
    writeFileSync(`${base}.param`, param);
    writeFileSync(`${base}.bin`, bin);
    const graph = network.build();
    const [[, size]] = network.shapes;
    const model = [base, size, graph.inputs[0], graph.outputs.join(",")].join("|");
    const child = spawn("python3", [path.join(import.meta.dirname, "native.py"), String(threads), model], {
      stdio: ["pipe", "pipe", "ignore"],
    });
    child.on("error", () => {});
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const ready = await lines.next();
    if (ready.done) return undefined;
    const times = [];
    for (let i = 0; i < nativeWarmup + loops; i++) {
      child.stdin.write("0\n");
      times.push(Number((await lines.next()).value));
    }
    child.stdin.end();
    return { version: ready.value.replace("ready ", ""), times: times.slice(nativeWarmup) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const only = new RegExp(options.only);
const rows = [];
let version;
console.log("network                   ours ms  native ms  ratio");
for (const network of benchmarkNetworks.filter(({ name }) => only.test(name))) {
  const ours = await benchmarkNetwork(network, { loops, threads });
  const theirs = await native(network);
  version ??= theirs?.version;
  const row = { ...ours, native: theirs && { min: Math.min(...theirs.times), median: median(theirs.times) } };
  rows.push(row);
  const columns = [ours.median, row.native?.median, row.native && ours.median / row.native.median];
  const text = columns.map((x) => (x === undefined ? "-" : x.toFixed(2)).padStart(9));
  console.log(network.name.padEnd(22), ...text);
}
const found = features();
const environment = {
  cpu: os.cpus()[0].model,
  runtime: `Node ${process.versions.node}, V8 ${process.versions.v8}`,
  simd: `relaxed ${found.relaxedSimd}, int8 dot ${found.dot}, madd ${found.madd}`,
  threads,
  loops,
  native: version ? `ncnn ${version} (Python package)` : "not installed",
  date: new Date().toISOString().slice(0, 10),
};
mkdirSync(path.dirname(options.out), { recursive: true });
writeFileSync(options.out, `${JSON.stringify({ environment, rows }, null, 2)}\n`);
