/**
 * The networks of `ncnnkit benchncnn` here, in native ncnn (through its Python package) and, where they have a form in ONNX, in
 * onnxruntime-web: the same invented weights, the same loops, network by network. Results go to bench/results/zoo.json;
 * `node scripts/benchmark-chart.mjs` draws them.
 *
 *   npm run build && npm --prefix bench ci --ignore-scripts
 *   node bench/zoo.mjs [--loops 4] [--rounds 2] [--threads 1] [--only REGEXP] [--out bench/results/zoo.json]
 *
 * Each round runs all engines, and a network beside its int8 twin; of each the round with the least median counts, since a shared
 * machine's speed changes from minute to minute.
 *
 * Needs `pip install ncnn numpy` for the native column; a column whose package is missing stays empty.
 */
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import {
  benchmarkNetwork,
  benchmarkNetworks,
  exportModel,
  features,
  networkFiles,
  readNcnn,
  UnsupportedError,
} from "../dist/node.js";

const { values: options } = parseArgs({
  options: {
    loops: { type: "string", default: "4" },
    rounds: { type: "string", default: "2" },
    threads: { type: "string", default: "1" },
    only: { type: "string", default: "." },
    out: { type: "string", default: path.join(import.meta.dirname, "results", "zoo.json") },
  },
});
const loops = Number(options.loops);
const threads = Number(options.threads);
/** Runs of a peer before those that count, as in ncnn's own benchmark. */
const warmup = 8;

const median = (times) => {
  const sorted = [...times].sort((a, b) => a - b);
  return (sorted[(loops - 1) >> 1] + sorted[loops >> 1]) / 2;
};

/**
 * Starts a peer that prints "ready VERSION" and then answers each line on stdin with the milliseconds of one inference. Returns its
 * version and the times after `warmup` runs; undefined where it does not start: the package is missing.
 */
async function timesOf(program, args) {
  const child = spawn(program, args, { stdio: ["pipe", "pipe", "ignore"] });
  child.on("error", () => {});
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const ready = await lines.next();
  if (ready.done) return undefined;
  const times = [];
  for (let i = 0; i < warmup + loops; i++) {
    child.stdin.write("0\n");
    const answer = await lines.next();
    if (answer.done) return undefined;
    times.push(Number(answer.value));
  }
  child.stdin.end();
  return { version: ready.value.replace("ready ", ""), times: times.slice(warmup) };
}

const native = (network, base) => {
  const graph = network.build();
  const [[, size]] = network.shapes;
  const model = [base, size, graph.inputs[0], graph.outputs.join(",")].join("|");
  return timesOf("python3", [path.join(import.meta.dirname, "native.py"), String(threads), model]);
};

/** The same weights, exported to ONNX; undefined for networks with layers that ONNX has no form of (int8, box detection). */
async function onnxruntimeWeb(network, base) {
  const [[channels, height, width]] = network.shapes;
  try {
    const graph = readNcnn(readFileSync(`${base}.param`), readFileSync(`${base}.bin`));
    const input = { blob: graph.inputs[0], width, height, channels, stride: 1 };
    const bytes = await exportModel({ graph, manifest: { input, heads: [], labels: [] } });
    writeFileSync(`${base}.onnx`, bytes);
  } catch (error) {
    if (error instanceof UnsupportedError) return undefined;
    throw error;
  }
  const script = path.join(import.meta.dirname, "onnxruntime-web.mjs");
  return timesOf(process.execPath, [script, String(threads), `${base}.onnx`, String(height)]);
}

/** Runs the peers on the network's files, one after the other. */
async function peersOf(network) {
  const folder = mkdtempSync(path.join(os.tmpdir(), "ncnnkit-zoo-"));
  try {
    const base = path.join(folder, "network");
    const { param, bin } = networkFiles(network);
    writeFileSync(`${base}.param`, param);
    writeFileSync(`${base}.bin`, bin);
    return { native: await native(network, base), onnxruntimeWeb: await onnxruntimeWeb(network, base) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const only = new RegExp(options.only);
const rows = [];
const versions = {};
console.log("network                   ours ms  native ms  ratio  onnxruntime-web ms  ratio");
const better = (a, b) => (a && (!b || a.median <= b.median) ? a : b);
const wanted = benchmarkNetworks.filter(({ name }) => only.test(name));
const isTwin = ({ name }, { name: other }) => other === `${name}_int8`;
const groups = wanted
  .filter((network) => !wanted.some((other) => isTwin(other, network)))
  .map((network) => [network, ...wanted.filter((other) => isTwin(network, other))]);
for (const networks of groups) {
  const best = networks.map(() => ({}));
  for (let round = 0; round < Number(options.rounds); round++) {
    for (const [i, network] of networks.entries()) {
      best[i].ours = better(await benchmarkNetwork(network, { loops, threads }), best[i].ours);
      for (const [name, peer] of Object.entries(await peersOf(network))) {
        if (!peer) continue;
        versions[name] ??= peer.version;
        best[i][name] = better({ min: Math.min(...peer.times), median: median(peer.times) }, best[i][name]);
      }
    }
  }
  for (const [i, { ours, ...peers }] of best.entries()) {
    rows.push({ ...ours, ...peers });
    const { median: mine } = ours;
    const columns = ["native", "onnxruntimeWeb"].flatMap((name) =>
      peers[name] ? [peers[name].median, mine / peers[name].median] : [undefined, undefined],
    );
    const text = [mine, ...columns].map((x) => (x === undefined ? "-" : x.toFixed(2)).padStart(9));
    console.log(networks[i].name.padEnd(22), ...text);
  }
}
const found = features();
const environment = {
  cpu: os.cpus()[0].model,
  runtime: `Node ${process.versions.node}, V8 ${process.versions.v8}`,
  simd: `relaxed ${found.relaxedSimd}, int8 dot ${found.dot}, madd ${found.madd}`,
  threads,
  loops,
  native: versions.native ? `ncnn ${versions.native} (Python package)` : "not installed",
  "onnxruntime-web": versions.onnxruntimeWeb ? `${versions.onnxruntimeWeb} (wasm)` : "not installed",
  date: new Date().toISOString().slice(0, 10),
};
mkdirSync(path.dirname(options.out), { recursive: true });
writeFileSync(options.out, `${JSON.stringify({ environment, rows }, null, 2)}\n`);
