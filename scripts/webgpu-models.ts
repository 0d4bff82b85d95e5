/**
 * Every model of a folder and every network of the zoo on the webgpu backend, against wasm: which steps run on the GPU, how far the outputs are
 * apart in shares of the largest number (int8 networks without exponentials have to be equal), and the times of both. `--memory N` runs the
 * first of them N times instead, and prints the process's memory, JavaScript's, and the buffers that are on the device.
 *
 *   npm run build
 *   VK_DRIVER_FILES=/usr/lib/chromium/vk_swiftshader_icd.json node scripts/webgpu-models.ts [--models ../shared/models] [--only REGEXP]
 *     [--precision float16] [--without-zoo] [--size 96] [--memory 10000 --only 'FastestDet.*onnx']
 */
import { readdirSync } from "node:fs";
import path from "node:path";
import { parseArgs } from "node:util";
import { globals } from "webgpu";
import { load, type Model, type ModelSource, type SessionOptions, type Tensor } from "../dist/node.js";
import { benchmarkNetworks, networkFiles } from "../dist/official.js";
import { planText, randomInputs } from "../dist/steps.js";

const { values: options } = parseArgs({
  options: {
    models: { type: "string", default: "../shared/models" },
    only: { type: "string", default: "." },
    precision: { type: "string" },
    "without-zoo": { type: "boolean", default: false },
    memory: { type: "string" },
    size: { type: "string" },
  },
});
const precision = options.precision as SessionOptions["precision"];
const only = new RegExp(options.only);

/** Names and sources of all that is run. */
function* sources(): Generator<readonly [name: string, source: () => ModelSource, size?: number]> {
  for (const folder of [options.models, path.join(options.models, "real")]) {
    for (const file of readdirSync(folder)) {
      if (/\.(onnx|pt|param)$/.test(file)) {
        yield [file, () => path.join(folder, file)];
      }
    }
  }
  if (options["without-zoo"]) return;
  for (const network of benchmarkNetworks) {
    yield [`zoo ${network.name}`, () => networkFiles(network), network.shapes[0][1]];
  }
}

/** The largest difference over the largest number. */
function difference(found: Record<string, Tensor>, expected: Record<string, Tensor>): number {
  let worst = 0;
  for (const [blob, { data }] of Object.entries(expected)) {
    let [most, error] = [1e-9, 0];
    data.forEach((x, i) => {
      most = Math.max(most, Math.abs(x));
      const apart = Math.abs(x - found[blob].data[i]);
      error = apart > error || Number.isNaN(apart) ? apart : error;
    });
    worst = Math.max(worst, error / most);
  }
  return worst;
}

async function timed<T>(run: () => Promise<T>): Promise<[T, number]> {
  const start = performance.now();
  const result = await run();
  return [result, performance.now() - start];
}

async function row(name: string, source: ModelSource, size: number | undefined): Promise<string> {
  const models: Model[] = [];
  try {
    for (const backend of ["wasm", "webgpu"] as const)
      models.push(await load(source, { backend, precision }));
    const [wasm, webgpu] = models;
    if (webgpu.fallback !== undefined) throw new Error(webgpu.fallback);
    const side = options.size ? Number(options.size) : size;
    const { width, height } = side ? { width: side, height: side } : wasm.manifest.input;
    const inputs = randomInputs(wasm, { width, height });
    const [expected] = await timed(() => wasm.run(inputs));
    const [, here] = await timed(() => wasm.run(inputs));
    const [found, first] = await timed(() => webgpu.run(inputs));
    const [, there] = await timed(() => webgpu.run(inputs));
    const steps = (await planText(webgpu, { width, height }))
      .split("\n")
      .filter((line) => /^ *\d/.test(line));
    const inJavaScript = steps.filter((line) => / reference /.test(line));
    const types = [...new Set(inJavaScript.map((line) => line.split(" reference ")[1].split(" ")[0]))];
    const ms = (time: number): string => time.toFixed(0).padStart(7);
    return `${name.padEnd(34)} ${`${width}x${height}`.padEnd(9)} ${String(steps.length - inJavaScript.length).padStart(4)} ${String(inJavaScript.length).padStart(3)}  ${difference(found, expected).toExponential(1).padStart(8)} ${ms(here)} ${ms(there)} ${ms(first)}  ${types.join(" ")}`;
  } finally {
    for (const model of models) model.close();
  }
}

interface Classes {
  readonly GPUDevice: { readonly prototype: GPUDevice };
  readonly GPUBuffer: { readonly prototype: GPUBuffer };
}

/** Buffers that are on the device, and their bytes. */
function countBuffers(): { readonly buffers: number; readonly bytes: number } {
  const there = { buffers: 0, bytes: 0 };
  const { GPUDevice, GPUBuffer } = globals as Classes;
  const { createBuffer } = GPUDevice.prototype;
  const { destroy } = GPUBuffer.prototype;
  const gone = new WeakSet<object>();
  GPUDevice.prototype.createBuffer = function (this: GPUDevice, descriptor: GPUBufferDescriptor) {
    there.buffers++;
    there.bytes += descriptor.size;
    return createBuffer.call(this, descriptor);
  };
  GPUBuffer.prototype.destroy = function (this: GPUBuffer) {
    if (!gone.has(this)) {
      there.buffers--;
      there.bytes -= this.size;
    }
    gone.add(this);
    return destroy.call(this);
  };
  return there;
}

async function watchMemory(runs: number): Promise<void> {
  const there = countBuffers();
  const found = [...sources()].find(([name]) => only.test(name));
  if (!found) throw new Error(`no model is called ${options.only}`);
  const [name, source, size] = found;
  const model = await load(source(), { backend: "webgpu", precision });
  if (model.fallback !== undefined) throw new Error(model.fallback);
  const side = options.size ? Number(options.size) : size;
  const { width, height } = side ? { width: side, height: side } : model.manifest.input;
  const inputs = randomInputs(model, { width, height });
  const mebibytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(2)} MiB`;
  console.log(`${name} at ${width}x${height}: inference, process, JavaScript, on the device`);
  for (let i = 0; i <= runs; i++) {
    await model.run(inputs);
    if (i % Math.ceil(runs / 20)) continue;
    globalThis.gc?.();
    const { rss, heapUsed } = process.memoryUsage();
    console.log(
      `${String(i).padStart(6)} ${[rss, heapUsed, there.bytes].map(mebibytes).join(" ")} in ${there.buffers} buffers`,
    );
  }
  model.close();
  await new Promise((resolve) => setTimeout(resolve, 50));
  console.log(`closed: ${mebibytes(there.bytes)} in ${there.buffers} buffers`);
}

if (options.memory) await watchMemory(Number(options.memory));
else {
  console.log(
    "model                              size       GPU  JS     error    wasm  webgpu   first  in JavaScript",
  );
  for (const [name, source, size] of sources()) {
    if (!only.test(name)) continue;
    try {
      console.log(await row(name, source(), size));
    } catch (error) {
      console.log(`${name.padEnd(34)} ${error instanceof Error ? error.message : error}`);
    }
  }
}
