/**
 * The networks of `ncnnkit benchncnn` here, in native ncnn (through its Python package) and, where they have a form in ONNX, in
 * onnxruntime-web: the same invented weights, the same loops, network by network. Ours is timed again with 256-bit vectors. Results go to
 * a file a processor in bench/results/; `node bench/chart.ts` draws them.
 *
 *   npm run build && npm --prefix bench ci --ignore-scripts
 *   node bench/zoo.ts [--loops 4] [--rounds 2] [--threads 1] [--only REGEXP] [--out FILE]
 *
 * Each round runs all engines, and a network beside its int8 twin; of each the round with the least median counts, since a shared
 * machine's speed changes from minute to minute.
 *
 * Needs `pip install ncnn numpy` for the native column; a column whose package is missing stays empty.
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { exportModel, type Manifest, UnsupportedError } from "../dist/node.js";
import {
  type BenchmarkNetwork,
  benchmarkNetwork,
  benchmarkNetworks,
  type NetworkTiming,
  networkFiles,
} from "../dist/official.js";
import { readNcnn } from "../dist/steps.js";
import { environment, median, type Peer, startNative, startPeer } from "./_peer.ts";
import { type PeerName, peerNames, type ZooResults, type ZooRow } from "./_results.ts";

const { values: options } = parseArgs({
  options: {
    loops: { type: "string", default: "4" },
    rounds: { type: "string", default: "2" },
    threads: { type: "string", default: "1" },
    only: { type: "string", default: "." },
    out: { type: "string" },
  },
});
const loops = Number(options.loops);
const threads = Number(options.threads);
/** Runs of a peer before those that count, as in ncnn's own benchmark. */
const warmup = 8;

interface PeerTimes {
  version: string;
  min: number;
  median: number;
}

/** Times of the only model of a peer after `warmup` runs; undefined where the peer does not start or ends early. */
async function timesOf(starting: Promise<Peer | undefined>): Promise<PeerTimes | undefined> {
  const peer = await starting;
  if (!peer) return undefined;
  const times: number[] = [];
  for (let i = 0; i < warmup + loops; i++) {
    const time = await peer.time(0);
    if (time === undefined) return undefined;
    if (i >= warmup) times.push(time);
  }
  peer.close();
  return { version: peer.version, min: Math.min(...times), median: median(times) };
}

function native(network: BenchmarkNetwork, base: string): Promise<PeerTimes | undefined> {
  const { inputs, outputs } = network.build();
  return timesOf(startNative([{ base, size: network.shapes[0][1], input: inputs[0], outputs }], threads));
}

/** The same weights, exported to ONNX; undefined for networks with layers that ONNX has no form of (int8, box detection). */
async function onnxruntimeWeb(network: BenchmarkNetwork, base: string): Promise<PeerTimes | undefined> {
  const [[channels, height, width]] = network.shapes;
  const graph = readNcnn(readFileSync(`${base}.param`, "utf8"), readFileSync(`${base}.bin`));
  const manifest: Manifest = {
    ...{ version: 1, name: network.name, param: "", bin: "", heads: [], labels: [] },
    input: {
      ...{ blob: graph.inputs[0], width, height, stride: 1, channels: channels === 1 ? 1 : 3 },
      ...{ pixel: "RGB", mean: [0, 0, 0], norm: [1, 1, 1], resize: "stretch", letterboxColor: 0 },
    },
    provenance: { tool: "", passes: [] },
  };
  try {
    writeFileSync(`${base}.onnx`, await exportModel({ graph, manifest }));
  } catch (error) {
    if (error instanceof UnsupportedError) return undefined;
    throw error;
  }
  const script = path.join(import.meta.dirname, "onnxruntime-web.ts");
  return timesOf(startPeer(process.execPath, [script, String(threads), `${base}.onnx`, String(height)]));
}

/** Runs the peers on the network's files, one after the other. */
async function peersOf(network: BenchmarkNetwork): Promise<Record<PeerName, PeerTimes | undefined>> {
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

const versions: Partial<Record<PeerName, string>> = {};

/** Ours with 256-bit vectors; undefined where V8 joins none. */
function wide({ name }: BenchmarkNetwork): Pick<PeerTimes, "min" | "median"> | undefined {
  if (process.arch !== "x64") return undefined;
  const script = path.join(import.meta.dirname, "wide.ts");
  const args = [script, name, "--loops", String(loops), "--threads", String(threads)];
  return JSON.parse(execFileSync(process.execPath, args, { encoding: "utf8" })) ?? undefined;
}

/** The best of all rounds, for a network and its int8 twin in turns. */
async function measure(networks: readonly BenchmarkNetwork[]): Promise<ZooRow[]> {
  const better = <T extends { median: number }>(a: T, b: T | undefined): T =>
    b && b.median < a.median ? b : a;
  const ours: NetworkTiming[] = [];
  const peers = networks.map((): Partial<Record<PeerName, PeerTimes>> => ({}));
  const wides: ZooRow["wide"][] = [];
  for (let round = 0; round < Number(options.rounds); round++) {
    for (const [i, network] of networks.entries()) {
      ours[i] = better(await benchmarkNetwork(network, { loops, threads }), ours[i]);
      const again = wide(network);
      wides[i] = again && better(again, wides[i]);
      const times = await peersOf(network);
      for (const name of peerNames) {
        const found = times[name];
        if (!found) continue;
        versions[name] ??= found.version;
        peers[i][name] = better(found, peers[i][name]);
      }
    }
  }
  return ours.map((row, i) => {
    const columns = peerNames.flatMap((name) => {
      const peer = peers[i][name];
      return peer ? [[name, { min: peer.min, median: peer.median }] as const] : [];
    });
    return { ...row, ...Object.fromEntries(columns), ...(wides[i] && { wide: wides[i] }) };
  });
}

const only = new RegExp(options.only);
const wanted = benchmarkNetworks.filter(({ name }) => only.test(name));
const isTwin = ({ name }: BenchmarkNetwork, { name: other }: BenchmarkNetwork): boolean =>
  other === `${name}_int8`;
const groups = wanted
  .filter((network) => !wanted.some((other) => isTwin(other, network)))
  .map((network) => [network, ...wanted.filter((other) => isTwin(network, other))]);
const rows: ZooRow[] = [];
console.log(
  "network                   ours ms   256 bits  native ms      ratio   256 bits  onnxruntime-web ms  ratio",
);
for (const networks of groups) {
  for (const row of await measure(networks)) {
    rows.push(row);
    const { native, onnxruntimeWeb, wide } = row;
    const of = (peer: ZooRow["wide"], ms = row.median): number | undefined => peer && ms / peer.median;
    const columns = [native?.median, of(native), wide && of(native, wide.median)];
    const text = [row.median, wide?.median, ...columns, onnxruntimeWeb?.median, of(onnxruntimeWeb)].map((x) =>
      (x === undefined ? "-" : x.toFixed(2)).padStart(9),
    );
    console.log(row.name.padEnd(22), ...text);
  }
}
const results: ZooResults = {
  environment: {
    ...environment(),
    threads,
    loops,
    native: versions.native ? `ncnn ${versions.native} (Python package)` : "not installed",
    "onnxruntime-web": versions.onnxruntimeWeb ? `${versions.onnxruntimeWeb} (wasm)` : "not installed",
    date: new Date().toISOString().slice(0, 10),
  },
  rows,
};
const { cpu, simd } = results.environment;
const processor = `${cpu}-${/int8 dot (\S+),/.exec(String(simd))?.[1]}`
  .toLowerCase()
  .replaceAll(/[^a-z0-9]+/g, "-");
const out = options.out ?? path.join(import.meta.dirname, "results", `${processor}.json`);
mkdirSync(path.dirname(out), { recursive: true });
writeFileSync(out, `${JSON.stringify(results, null, 2)}\n`);
