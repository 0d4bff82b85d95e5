/**
 * Damages ONNX files at random and converts them: every case must give a graph or one error of the kit, soon.
 *
 *     node scripts/onnx-fuzz.ts [cases=100000] [file.onnx …]
 *
 * Prints the number of cases by outcome, and stops with status 1 at the first defect, which it writes to defect.onnx.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { Random } from "../src/base/random.ts";
import { fixtures, outcomeOf, spoil } from "../test/formats/onnx/_fixtures.ts";

const [count = "100000", ...files] = process.argv.slice(2);
const sources = files.length
  ? files.map((file) => ({ file, bytes: new Uint8Array(readFileSync(file)) }))
  : fixtures().map(({ file, bytes }) => ({ file, bytes }));
sources.sort((a, b) => a.bytes.length - b.bytes.length);
const random = new Random(Number(process.env.SEED ?? 1));
const outcomes = new Map<string, number>();
let slowest = 0;
for (let i = 0; i < Number(count); i++) {
  const { file, bytes } = random.pick(sources);
  const damaged = spoil(bytes, random);
  const start = performance.now();
  const outcome = outcomeOf(damaged);
  slowest = Math.max(slowest, performance.now() - start);
  outcomes.set(outcome.kind, (outcomes.get(outcome.kind) ?? 0) + 1);
  if (outcome.kind === "defect") {
    writeFileSync("defect.onnx", damaged);
    console.error(`case ${i} of ${file}:`, outcome.error);
    process.exit(1);
  }
  if (i % 1000 === 999) console.log(i + 1, Object.fromEntries(outcomes), `slowest ${slowest.toFixed(0)} ms`);
}
