/**
 * onnxruntime-web as a peer, in a process of its own, whose memory goes with it: `onnxruntime-web.ts THREADS MODEL.onnx SIZE` loads the
 * model (input [1, 3, SIZE, SIZE]), prints "ready VERSION" and answers each line on stdin with the milliseconds of one inference.
 * WebAssembly with SIMD, all graph optimizations. Needs `npm --prefix bench ci --ignore-scripts`.
 */
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import ort from "onnxruntime-web";

const [threads, file, side] = process.argv.slice(2);
const size = Number(side);
ort.env.wasm.numThreads = Number(threads);
const session = await ort.InferenceSession.create(readFileSync(file), {
  executionProviders: ["wasm"],
  graphOptimizationLevel: "all",
});
const pixels = Float32Array.from({ length: 3 * size * size }, () => Math.random());
const feeds = { [session.inputNames[0]]: new ort.Tensor("float32", pixels, [1, 3, size, size]) };
console.log(`ready ${ort.env.versions.web}`);
for await (const _ of createInterface({ input: process.stdin })) {
  const start = performance.now();
  const outputs = await session.run(feeds);
  console.log(performance.now() - start);
  for (const output of Object.values(outputs)) output.dispose();
}
process.exit(0);
