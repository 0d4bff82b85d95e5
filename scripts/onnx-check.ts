/**
 * Converts the networks of a folder made by scripts/onnx-fixtures.py and prints a table: operators, layers before and after
 * optimizing, milliseconds to convert and to optimize, worst errors against onnxruntime and PyTorch on noise and on a picture, and against PyTorch at another input size.
 *
 *     node scripts/onnx-check.ts folder [--write folder2] [--backend wasm|none] [name …]
 *
 * The backend is the reference one unless said; it takes minutes for the larger networks.
 * Errors are relative to the greatest element; above 1e-4 the exit status is 1. `--write` stores .param and .bin files for
 * scripts/onnx-native.py.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Random } from "../src/base/random.ts";
import { createSession, type Session } from "../src/engine/session.ts";
import { printParam, writeWeights } from "../src/formats/ncnn/index.ts";
import { readOnnx } from "../src/formats/onnx/index.ts";
import type { Graph } from "../src/ir/graph.ts";
import { optimize, runPasses } from "../src/passes/index.ts";

interface Sample {
  name: string;
  step: number;
  values: number[];
}
interface Entry {
  file: string;
  exporter: string;
  opset: number;
  input: { shape: number[] };
  seed: number;
  outputs: Sample[];
  pytorch?: Sample[];
  other?: { shape: number[]; outputs: Sample[] };
  picture?: { file: string; outputs: Sample[]; pytorch: Sample[] };
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { write: { type: "string" }, backend: { type: "string", default: "reference" } },
});
const [folder, ...names] = positionals;
if (!folder)
  throw new Error(
    "usage: node scripts/onnx-check.ts folder [--write folder2] [--backend wasm|none] [name …]",
  );
if (values.write) mkdirSync(values.write, { recursive: true });
const limit = 1e-4;

/** Errors in the order of the table's columns; as many as there are references. */
async function worstErrors(graph: Graph, entry: Entry): Promise<number[]> {
  const session = await createSession(graph, { backend: values.backend === "wasm" ? "wasm" : "reference" });
  const errors: number[] = [];
  const compare = async (
    dims: readonly number[],
    references: (Sample[] | undefined)[],
    data = new Random(entry.seed).floats(
      dims.reduce((a, b) => a * b, 1),
      0,
      1,
    ),
  ): Promise<void> => {
    const found = await session.run({ [graph.inputs[0]]: { shape: dims.slice(1), data } });
    for (const reference of references) if (reference) errors.push(worst(reference, found));
  };
  const { input, other, picture } = entry;
  await compare(input.shape, [entry.outputs, entry.pytorch]);
  if (picture) {
    const { buffer } = new Uint8Array(readFileSync(join(folder, picture.file)));
    await compare(input.shape, [picture.outputs, picture.pytorch], new Float32Array(buffer));
  }
  if (other) await compare(other.shape, [other.outputs]);
  session.close();
  return errors;
}

function worst(reference: readonly Sample[], found: Awaited<ReturnType<Session["run"]>>): number {
  const errors = reference.map(({ name, step, values: expected }) => {
    const scale = Math.max(...expected.map(Math.abs), 1e-9);
    return Math.max(...expected.map((v, i) => Math.abs(v - found[name].data[i * step]))) / scale;
  });
  return Math.max(...errors);
}

console.log(
  "| network | exporter | opset | operators | layers | optimized | fixed to its size by | convert ms | optimize ms | noise: onnxruntime | PyTorch | picture: onnxruntime | PyTorch | other size |",
);
console.log(`|${"---|".repeat(14)}`);
const index = JSON.parse(readFileSync(join(folder, "index.json"), "utf8")) as Entry[];
for (const entry of index) {
  if (names.length && !names.some((name) => entry.file.startsWith(name))) continue;
  try {
    console.log(`| ${(await rowOf(entry)).join(" | ")} |`);
  } catch (problem) {
    console.log(`| ${entry.file} | failed: ${problem} |`);
    process.exitCode = 1;
  }
}

async function rowOf(entry: Entry): Promise<(string | number)[]> {
  const bytes = readFileSync(join(folder, entry.file));
  const [, , height, width] = entry.input.shape;
  const start = performance.now();
  const { graph, report } = readOnnx(bytes, entry.file, { keepDecode: true, inputSize: { width, height } });
  const layers = graph.nodes.length;
  const converted = performance.now();
  const bound: string[] = [];
  runPasses(graph, optimize, (message) => message.startsWith("dynamic-sizes") && bound.push(message));
  const times = [converted - start, performance.now() - converted].map((ms) => ms.toFixed(0));
  if (values.write) {
    const base = join(values.write, entry.file.replace(/\.onnx$/, ""));
    writeFileSync(`${base}.param`, printParam(graph));
    writeFileSync(`${base}.bin`, writeWeights(graph));
  }
  const errors = values.backend === "none" ? [] : await worstErrors(graph, entry);
  if (!errors.every((error) => error <= limit)) process.exitCode = 1;
  const network = entry.file.replace(/-[td]\d+\.onnx$/, "");
  const cells = [network, entry.exporter, entry.opset, report.operators, layers, graph.nodes.length];
  return [...cells, bound.length, ...times, ...errors.map((error) => error.toExponential(1))];
}
