/**
 * Times a network of the benchmark with 256-bit vectors, in a process of its own, since V8's switch is one for the whole process:
 *
 *   node bench/wide.ts NETWORK [--loops 4] [--threads 1]
 *
 * Prints `{ min, median }` in milliseconds.
 */
import { parseArgs } from "node:util";
import { benchmarkNetwork, benchmarkNetworks } from "../dist/official.js";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { loops: { type: "string", default: "4" }, threads: { type: "string", default: "1" } },
});
const network = benchmarkNetworks.find(({ name }) => name === positionals[0]);
if (!network) throw new Error(`${positionals[0]} is no network of the benchmark`);
const { min, median } = await benchmarkNetwork(network, {
  loops: Number(values.loops),
  threads: Number(values.threads),
  wideVectors: true,
});
process.stdout.write(JSON.stringify({ min, median }));
