/**
 * Calibrates a tiny network on many generated pictures and prints the memory of the process as it goes: it must not grow with the pictures.
 *
 *   node --expose-gc scripts/calibrate-many.ts [pictures, default 100000] [method, default auto]
 */
import { Random } from "../src/base/random.ts";
import { calibrateModel, calibrationSource, type EvaluationEntry, type Method } from "../src/index.ts";
import { tinyModel } from "../test/cli/_tiny.ts";

const pictures = Number(process.argv[2] ?? 100_000);
const method = (process.argv[3] ?? "auto") as Method;
const { graph, manifest } = tinyModel();
const side = 64;
const entries: EvaluationEntry[] = Array.from({ length: pictures }, (_, i) => ({
  name: `${i}`,
  read: async () => {
    const random = new Random(i);
    const data = new Uint8Array(side * side * 3);
    for (let at = 0; at < data.length; at += 4) data.fill(random.int(0, 255), at, at + 4);
    return { id: i, picture: { width: side, height: side, channels: 3, data } };
  },
}));

const began = performance.now();
const mebibytes = (bytes: number): string => `${Math.round(bytes / 2 ** 20)}`.padStart(5);
console.log("pictures  pass       RSS MiB  heap MiB  buffers MiB");
const { table, images } = await calibrateModel(
  graph,
  calibrationSource(entries, manifest.input, (message) => console.error(message)),
  {
    method,
    onProgress: ({ phase, images: done }) => {
      if (done % (pictures / 10) !== 0) return;
      globalThis.gc?.();
      const { rss, heapUsed, arrayBuffers } = process.memoryUsage();
      const parts = [rss, heapUsed, arrayBuffers].map(mebibytes).join("     ");
      console.log(`${String(done).padStart(8)}  ${phase.padEnd(9)}  ${parts}`);
    },
  },
);
const seconds = (performance.now() - began) / 1000;
console.log(`${images} pictures, ${table.activations.size} layers, ${seconds.toFixed(0)} s`);
