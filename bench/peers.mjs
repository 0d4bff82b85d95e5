/**
 * ncnnkit against its peers on the same networks, interleaved in one run: every round runs each contender once, so that
 * the noise of the machine hits all alike. Prints milliseconds and ratios; `--json FILE` keeps them.
 *
 *   npm run build && npm --prefix bench ci --ignore-scripts && node bench/peers.mjs [--rounds 30] [--threads 1] [--json results.json]
 *
 * Peers: onnxruntime-web (wasm, the same number of threads), onnxruntime-node, and native ncnn through its Python package
 * where that is installed. Models are read from NCNNKIT_DATA (default ../shared). tfjs-backend-wasm cannot read these
 * networks: there is no converter from ONNX or ncnn to it.
 */
import { spawn } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { benchmark, features, load, randomInputs } from "../dist/node.js";

const { values: options } = parseArgs({
  options: {
    rounds: { type: "string", default: "30" },
    threads: { type: "string", default: "1" },
    json: { type: "string" },
  },
});
const rounds = Number(options.rounds);
const threads = Number(options.threads);
const data = path.resolve(process.env.NCNNKIT_DATA ?? "../shared");

/** Networks of the bars in DESIGN: ncnn model, input size, and the same network as ONNX where there is a file of it. */
const networks = [
  { name: "yolov5ss fp32", model: "models/yolov5ss", size: 320 },
  { name: "yolov5ss int8", model: "golden/off-kl-320", size: 320 },
  { name: "FastestDet fp32", model: "models/FastestDet", size: 352, onnx: "models/FastestDet.onnx" },
];

const median = (times) => [...times].sort((a, b) => a - b)[times.length >> 1];
const timed = async (run) => {
  const start = performance.now();
  await run();
  return performance.now() - start;
};

async function ncnnkit(network) {
  const model = await load(path.join(data, `${network.model}.param`), { threads });
  const size = { width: network.size, height: network.size };
  const inputs = randomInputs(model, size);
  await benchmark(model, { ...size, loops: 5 });
  network.blob = model.graph.inputs[0];
  network.outputs = model.graph.outputs;
  network.inputs = inputs;
  return { name: "ncnnkit", run: () => timed(() => model.run(inputs)) };
}

async function onnxruntime(network, packageName, provider) {
  const ort = (await import(packageName)).default ?? (await import(packageName));
  if (packageName === "onnxruntime-web") ort.env.wasm.numThreads = threads;
  const bytes = readFileSync(path.join(data, network.onnx));
  const session = await ort.InferenceSession.create(bytes, {
    executionProviders: [provider],
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    graphOptimizationLevel: "all",
  });
  const [{ data: pixels, shape }] = Object.values(network.inputs);
  const feeds = { [session.inputNames[0]]: new ort.Tensor("float32", pixels, [1, ...shape]) };
  for (let i = 0; i < 10; i++) await session.run(feeds);
  return { name: packageName, run: () => timed(() => session.run(feeds)) };
}

/** One Python process for all networks; undefined where the package is missing. */
async function startNative() {
  const list = networks.map((n) => [path.join(data, n.model), n.size, n.blob, n.outputs.join(",")].join("|"));
  const child = spawn("python3", [path.join(import.meta.dirname, "native.py"), String(threads), ...list], {
    stdio: ["pipe", "pipe", "ignore"],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  child.on("error", () => {});
  const first = await lines.next();
  if (first.done) return undefined;
  const run = async (i) => {
    child.stdin.write(`${i}\n`);
    return Number((await lines.next()).value);
  };
  for (let i = 0; i < networks.length; i++) for (let k = 0; k < 10; k++) await run(i);
  return { run, version: first.value.replace("ready ", ""), close: () => child.stdin.end() };
}

const contenders = [];
for (const network of networks) contenders.push([await ncnnkit(network)]);
const native = await startNative();
for (const [i, network] of networks.entries()) {
  if (network.onnx && existsSync(path.join(data, network.onnx))) {
    contenders[i].push(await onnxruntime(network, "onnxruntime-web", "wasm"));
    contenders[i].push(await onnxruntime(network, "onnxruntime-node", "cpu"));
  }
  if (native) contenders[i].push({ name: "native ncnn", run: () => native.run(i) });
}
const times = contenders.map((list) => list.map(() => []));
for (let round = 0; round < rounds; round++) {
  for (const [i, list] of contenders.entries()) {
    for (const [k, contender] of list.entries()) times[i][k].push(await contender.run());
  }
  process.stderr.write(`\rround ${round + 1}/${rounds}`);
}
process.stderr.write("\n");
native?.close();

const found = features();
const environment = {
  cpu: os.cpus()[0].model,
  runtime: `Node ${process.versions.node}`,
  simd: `relaxed ${found.relaxedSimd}, int8 dot ${found.dot}`,
  threads,
  rounds,
  native: native?.version ?? "not installed",
};
console.log(
  Object.entries(environment)
    .map(([name, value]) => `${name}: ${value}`)
    .join(" · "),
);
console.log(
  "\nnetwork              engine               median ms    min ms   its time / ours (median, min)",
);
const results = [];
for (const [i, network] of networks.entries()) {
  const [ours] = times[i];
  for (const [k, { name }] of contenders[i].entries()) {
    const own = times[i][k];
    const row = {
      network: network.name,
      size: network.size,
      engine: name,
      median: median(own),
      min: Math.min(...own),
    };
    results.push({ ...row, times: own });
    const ratio = k
      ? `${(row.median / median(ours)).toFixed(2)}, ${(row.min / Math.min(...ours)).toFixed(2)}`
      : "";
    console.log(
      `${row.network.padEnd(20)} ${name.padEnd(18)} ${row.median.toFixed(2).padStart(11)} ${row.min.toFixed(2).padStart(9)}   ${ratio}`,
    );
  }
}
const [float, int8] = [times[0][0], times[1][0]];
console.log(
  `\nyolov5ss int8 against own fp32: ${(median(float) / median(int8)).toFixed(2)} times as fast (min ${(Math.min(...float) / Math.min(...int8)).toFixed(2)})`,
);
if (options.json) writeFileSync(options.json, `${JSON.stringify({ environment, results }, null, 2)}\n`);
process.exit(0);
