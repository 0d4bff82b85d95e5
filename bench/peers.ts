/**
 * ncnnkit against its peers on the same networks, interleaved in one run: every round runs each contender once, so that
 * the noise of the machine hits all alike. Prints milliseconds and ratios; `--json FILE` keeps them.
 *
 *   npm run build && npm --prefix bench ci --ignore-scripts && node bench/peers.ts [--rounds 30] [--threads 1] [--wide-vectors]
 *   [--json results.json]
 *
 * `--wide-vectors`: V8 joins the vectors of all WebAssembly of the process, onnxruntime-web's as well.
 *
 * Peers: onnxruntime-web (wasm, the same number of threads), onnxruntime-node, and native ncnn through its Python package
 * where that is installed. Models are read from NCNNKIT_DATA (default ../shared). tfjs-backend-wasm cannot read these
 * networks: there is no converter from ONNX or ncnn to it.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { parseArgs } from "node:util";
import { benchmark, load, type Tensor } from "../dist/node.js";
import { enableWideVectors, type Model, randomInputs } from "../dist/steps.js";
import { data, environment, median, startNative, timed } from "./_peer.ts";

const { values: options } = parseArgs({
  options: {
    rounds: { type: "string", default: "30" },
    threads: { type: "string", default: "1" },
    "wide-vectors": { type: "boolean", default: false },
    json: { type: "string" },
  },
});
if (options["wide-vectors"]) enableWideVectors();
const rounds = Number(options.rounds);
const threads = Number(options.threads);

interface Network {
  name: string;
  /** Below the data folder, without extension. */
  model: string;
  size: number;
  /** The same network as ONNX, where there is a file of it. */
  onnx?: string;
}
/** Networks of the bars in DESIGN. */
const networks: Network[] = [
  { name: "yolov5ss fp32", model: "models/yolov5ss", size: 320 },
  { name: "yolov5ss int8", model: "golden/off-kl-320", size: 320 },
  { name: "FastestDet fp32", model: "models/FastestDet", size: 352, onnx: "models/FastestDet.onnx" },
];

interface Contender {
  name: string;
  /** Milliseconds of one inference. */
  run(): Promise<number>;
  times: number[];
}

interface Loaded {
  model: Model;
  inputs: Record<string, Tensor>;
}
async function loaded({ model: base, size }: Network): Promise<Loaded> {
  const model = await load(path.join(data, `${base}.param`), { threads });
  const extents = { width: size, height: size };
  await benchmark(model, { ...extents, loops: 5 });
  return { model, inputs: randomInputs(model, extents) };
}

async function onnxruntime(
  name: "onnxruntime-web" | "onnxruntime-node",
  file: string,
  { inputs }: Loaded,
): Promise<Contender> {
  const { default: ort } = await (name === "onnxruntime-web"
    ? import("onnxruntime-web")
    : import("onnxruntime-node"));
  if (name === "onnxruntime-web") ort.env.wasm.numThreads = threads;
  const session = await ort.InferenceSession.create(readFileSync(file), {
    executionProviders: [name === "onnxruntime-web" ? "wasm" : "cpu"],
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    graphOptimizationLevel: "all",
  });
  const [{ data: pixels, shape }] = Object.values(inputs);
  const feeds = { [session.inputNames[0]]: new ort.Tensor("float32", pixels, [1, ...shape]) };
  for (let i = 0; i < 10; i++) await session.run(feeds);
  return { name, run: () => timed(() => session.run(feeds)), times: [] };
}

const models = await Promise.all(networks.map(loaded));
const native = await startNative(
  networks.map(({ model: base, size }, i) => {
    const { inputs, outputs } = models[i].model.graph;
    return { base: path.join(data, base), size, input: inputs[0], outputs };
  }),
  threads,
);

async function contendersOf(network: Network, i: number): Promise<Contender[]> {
  const { model, inputs } = models[i];
  const list: Contender[] = [{ name: "ncnnkit", run: () => timed(() => model.run(inputs)), times: [] }];
  const file = network.onnx && path.join(data, network.onnx);
  if (file && existsSync(file)) {
    list.push(await onnxruntime("onnxruntime-web", file, models[i]));
    list.push(await onnxruntime("onnxruntime-node", file, models[i]));
  }
  if (native) {
    for (let k = 0; k < 10; k++) await native.time(i);
    list.push({ name: "native ncnn", run: async () => (await native.time(i)) ?? Number.NaN, times: [] });
  }
  return list;
}

const contenders: Contender[][] = [];
for (const [i, network] of networks.entries()) contenders.push(await contendersOf(network, i));
for (let round = 0; round < rounds; round++) {
  for (const { run, times } of contenders.flat()) times.push(await run());
  process.stderr.write(`\rround ${round + 1}/${rounds}`);
}
process.stderr.write("\n");
native?.close();

const vectors = options["wide-vectors"] ? "256 bits" : "128 bits";
const where = { ...environment(), vectors, threads, rounds, native: native?.version ?? "not installed" };
console.log(
  Object.entries(where)
    .map(([name, value]) => `${name}: ${value}`)
    .join(" · "),
);
console.log(
  "\nnetwork              engine               median ms    min ms   its time / ours (median, min)",
);
const results = networks.flatMap((network, i) =>
  contenders[i].map(({ name, times }) => ({
    network: network.name,
    size: network.size,
    engine: name,
    median: median(times),
    min: Math.min(...times),
    times,
  })),
);
for (const row of results) {
  const ours = results.find(({ network }) => network === row.network)!;
  const ratio =
    row === ours ? "" : `${(row.median / ours.median).toFixed(2)}, ${(row.min / ours.min).toFixed(2)}`;
  console.log(
    `${row.network.padEnd(20)} ${row.engine.padEnd(18)} ${row.median.toFixed(2).padStart(11)} ${row.min.toFixed(2).padStart(9)}   ${ratio}`,
  );
}
const [float, int8] = ["yolov5ss fp32", "yolov5ss int8"].map(
  (name) => results.find(({ network, engine }) => network === name && engine === "ncnnkit")!,
);
console.log(
  `\nyolov5ss int8 against own fp32: ${(float.median / int8.median).toFixed(2)} times as fast (min ${(float.min / int8.min).toFixed(2)})`,
);
if (options.json)
  writeFileSync(options.json, `${JSON.stringify({ environment: where, results }, null, 2)}\n`);
process.exit(0);
