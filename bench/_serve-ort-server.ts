/** Starts the server with onnxruntime-node in its threads: MODEL (of the same network, for the shell) SIZE THREADS; the threads read what ORT_MODEL names. */
import { serveModels } from "../dist/serve.js";

const [source, size, threads] = process.argv.slice(2);
const server = await serveModels([{ source, name: "model", options: { size: Number(size) } }], {
  ...{ port: 0, threads: Number(threads), watch: 0 },
  worker: new URL("./_serve-ort.ts", import.meta.url),
});
console.error(`${server.url} serves model`);
