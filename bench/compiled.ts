/**
 * A compiled detector on every host that is here, beside onnxruntime-web with the float network:
 * `node bench/compiled.ts INT8.param FLOAT.param PICTURE [SIZE]` prints a row each: bytes, milliseconds from nothing to the first result and of the
 * fastest of 40 pictures, and whether the boxes are those of Node. Needs `npm run build`, and for the peer `npm --prefix bench ci --ignore-scripts`.
 */
import { execFile } from "node:child_process";
import { readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { promisify } from "node:util";
import { exportModel, open, readPicture } from "../dist/node.js";
import { compileModel } from "../dist/steps.js";
import { hostFolder, hosts } from "./_hosts.ts";

const [int8, float, file, side = "320"] = process.argv.slice(2);
const size = Number(side);
const rounds = 40;
const folder = hostFolder();
const picture = await readPicture(file);
const raw = path.join(folder, "picture.rgb");
const { data, width, height } = picture;
const channels = data.length / width / height;
writeFileSync(raw, channels === 3 ? data : data.filter((_, i) => i % 4 < 3));
const { files } = await compileModel(await open(int8), { name: "detector", sizes: [size], target: "both" });
for (const [name, content] of Object.entries(files)) writeFileSync(path.join(folder, name), content);
const bytes = (names: readonly string[]): number => names.reduce((sum, name) => sum + statSync(name).size, 0);
const shipped = bytes(["detector.wasm", "detector.js"].map((name) => path.join(folder, name)));

console.log("| host | bytes | first result | fastest | boxes |\n|---|--:|--:|--:|---|");
const row = (name: string, size: number, first: number, fastest: number, note: string): void =>
  console.log(`| ${name} | ${size} | ${first.toFixed(0)} ms | ${fastest.toFixed(1)} ms | ${note} |`);
let expected: string[] | undefined;
for (const { name, missing, run } of hosts) {
  const why = await missing();
  if (why) {
    console.error(`${name}: ${why}`);
    continue;
  }
  const { lines, first, fastest } = await run({
    ...{ folder, picture: raw, width: picture.width, height: picture.height, rounds },
  });
  expected ??= lines;
  row(name, shipped, first, fastest, lines.join() === expected.join() ? `${lines.length}, equal` : "other");
}
await peer();
rmSync(folder, { recursive: true, force: true });

/** In a process of its own, from its import on. */
async function peer(): Promise<void> {
  const onnx = path.join(folder, "float.onnx");
  writeFileSync(onnx, await exportModel(await open(float), { size }));
  const program = `
    import { readFileSync } from "node:fs";
    const model = readFileSync(${JSON.stringify(onnx)});
    const began = performance.now();
    const ort = (await import("onnxruntime-web")).default;
    ort.env.wasm.numThreads = 1;
    const session = await ort.InferenceSession.create(model, { executionProviders: ["wasm"], graphOptimizationLevel: "all" });
    const input = new ort.Tensor("float32", new Float32Array(3 * ${size} * ${size}).fill(0.5), [1, 3, ${size}, ${size}]);
    const run = () => session.run({ [session.inputNames[0]]: input });
    await run();
    const first = performance.now() - began;
    let fastest = first;
    for (let i = 1; i < ${rounds}; i++) {
      const start = performance.now();
      await run();
      fastest = Math.min(fastest, performance.now() - start);
    }
    console.log(first, fastest);
    process.exit(0);`;
  const script = path.join(import.meta.dirname, "_peer-compiled.mjs");
  try {
    writeFileSync(script, program);
    const { stdout } = await promisify(execFile)(process.execPath, [script], { cwd: import.meta.dirname });
    const [first, fastest] = stdout.trim().split(" ").map(Number);
    const dist = path.dirname(createRequire(import.meta.url).resolve("onnxruntime-web"));
    const own = ["ort-wasm-simd-threaded.wasm", "ort.wasm.min.mjs"].map((name) => path.join(dist, name));
    row(
      "onnxruntime-web, float32, Node",
      bytes(own) + readFileSync(onnx).length,
      first,
      fastest,
      "network only",
    );
  } catch (error) {
    console.error(`onnxruntime-web: ${String((error as Error).message).slice(0, 200)}`);
  } finally {
    rmSync(script, { force: true });
  }
}
