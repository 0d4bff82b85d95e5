/**
 * Times a network of the benchmark with 256-bit vectors, in a process of its own, since V8's switch is one for the whole process:
 *
 *   node bench/wide.ts NETWORK [--loops 4] [--threads 1]
 *
 * Prints `{ min, median }` in milliseconds, `null` where V8 joins no vectors.
 */
import { parseArgs } from "node:util";
import { UnsupportedError } from "../dist/node.js";
import { benchmarkNetwork, benchmarkNetworks } from "../dist/official.js";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { loops: { type: "string", default: "4" }, threads: { type: "string", default: "1" } },
});
const network = benchmarkNetworks.find(({ name }) => name === positionals[0]);
if (!network) throw new Error(`${positionals[0]} is no network of the benchmark`);
const [loops, threads] = [Number(values.loops), Number(values.threads)];
const timing = await benchmarkNetwork(network, { loops, threads, wideVectors: true }).catch((error) => {
  if (error instanceof UnsupportedError) return null;
  throw error;
});
process.stdout.write(JSON.stringify(timing && { min: timing.min, median: timing.median }));
