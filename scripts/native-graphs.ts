/**
 * Random networks, in float and int8: the wasm backend against the reference one, and files for native ncnn.
 *
 *     node scripts/native-graphs.ts FOLDER [count] && python3 scripts/native-graphs.py FOLDER
 *
 * The networks are those of test/engine/random-network.ts; float ones are the same without int8 scales. Writes NAME.param, .bin,
 * inputs and the reference's outputs; float kernels that only come close (Softmax, means) make integers behind them differ by one
 * step now and then, so networks that have them are counted apart.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createSession } from "../src/engine/session.ts";
import { printParam, writeWeights } from "../src/formats/ncnn/index.ts";
import type { Graph } from "../src/ir/graph.ts";
import type { Tensor } from "../src/ir/tensor.ts";
import { graphOf, randomInputs } from "../test/engine/graph-of.ts";
import { Network } from "../test/engine/random-network.ts";

const [folder, countText = "1000"] = process.argv.slice(2);
if (!folder) throw new Error("usage: node scripts/native-graphs.ts FOLDER [count]");
mkdirSync(folder, { recursive: true });

async function outputsOf(graph: Graph, backend: "wasm" | "reference", inputs: Record<string, Tensor>) {
  const session = await createSession(graph, { backend, threads: 1 });
  try {
    return await session.run(inputs);
  } finally {
    session.close();
  }
}

/** The same layers without int8. */
const inFloat = (line: string): string =>
  line.replace(/ 8=\d+/, "").replace(/^Quantize (.*) 0=1$/, "Noop $1");

/** The largest difference, relative to the largest value. */
function difference(found: Tensor, expected: Tensor): number {
  let most = 1e-6;
  let error = 0;
  for (const [i, x] of expected.data.entries()) {
    most = Math.max(most, Math.abs(x));
    error = Math.max(error, Math.abs(x - found.data[i]));
  }
  return found.data.length === expected.data.length ? error / most : Number.POSITIVE_INFINITY;
}

const bytes = (tensors: readonly Tensor[]): Uint8Array =>
  Buffer.concat(tensors.map(({ data }) => new Uint8Array(Float32Array.from(data).buffer)));

const index: unknown[] = [];
const counts: Record<string, number> = {};
for (let seed = 1; seed <= Number(countText); seed++) {
  for (const kind of ["fp32", "int8"]) {
    const { lines, blobs, close } = new Network(seed);
    const [{ name, channels, height, width }] = blobs;
    const shapes = { [name]: [channels, height, width] };
    const text = kind === "int8" ? lines.join("\n") : lines.map(inFloat).join("\n");
    const graph = graphOf(text, shapes, { seed });
    const inputs = randomInputs(shapes, seed);
    const expected = await outputsOf(graph, "reference", inputs);
    const found = await outputsOf(graph, "wasm", inputs);
    const error = Math.max(...graph.outputs.map((blob) => difference(found[blob], expected[blob])));
    const group = kind === "fp32" ? kind : close.length ? "int8 behind close kernels" : kind;
    const key = `${group}: ${error === 0 ? "equal" : error <= 1e-4 ? "within 1e-4" : "further apart"}`;
    counts[key] = (counts[key] ?? 0) + 1;
    const file = `${kind}-${seed}`;
    writeFileSync(join(folder, `${file}.param`), printParam(graph));
    writeFileSync(join(folder, `${file}.bin`), writeWeights(graph));
    writeFileSync(join(folder, `${file}.in`), bytes([inputs[name]]));
    writeFileSync(join(folder, `${file}.out`), bytes(graph.outputs.map((blob) => expected[blob])));
    const outputs = graph.outputs.map((blob) => ({ name: blob, shape: expected[blob].shape }));
    index.push({
      file,
      group,
      types: [...new Set(graph.nodes.map(({ type }) => type))],
      input: name,
      shape: shapes[name],
      outputs,
    });
  }
}
writeFileSync(join(folder, "index.json"), JSON.stringify(index));
console.log("wasm against reference:", counts);
