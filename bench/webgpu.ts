/**
 * The WebGPU backend against onnxruntime-web's in one page of headless Chromium, inference by inference in turns, on whatever adapter Chromium
 * finds; without a graphics card that is SwiftShader, on the processor.
 *
 *   npm run build && npm --prefix bench ci --ignore-scripts && node bench/webgpu.ts [--model FastestDet] [--rounds 3] [--wasm]
 *     [--json results.json]
 *
 * `--wasm` times the wasm backend beside them. Models are FastestDet and yolov5ss from NCNNKIT_DATA (default ../shared), as ONNX for both and with
 * all that the file computes; Chromium is /usr/bin/chromium or NCNNKIT_CHROMIUM. Node 24, as for all benchmarks in TypeScript.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { chromium, type Page } from "playwright-core";
import { serveFolders } from "../dist/serve.js";
import { data, median } from "./_peer.ts";

const { values: options } = parseArgs({
  options: {
    model: { type: "string" },
    rounds: { type: "string", default: "3" },
    wasm: { type: "boolean", default: false },
    json: { type: "string" },
  },
});
const root = path.resolve(import.meta.dirname, "..");
const scratch = mkdtempSync(path.join(os.tmpdir(), "ncnnkit-webgpu-"));
const models = [
  ["FastestDet", "data/models/FastestDet.onnx", 352],
  ["yolov5ss", "made/yolov5ss.onnx", 320],
] as const;

/** The library as one module, and yolov5ss as ONNX. */
async function prepare(): Promise<void> {
  const { build } = await import("vite");
  await build({
    logLevel: "warn",
    build: {
      lib: { entry: path.join(root, "src/index.ts"), formats: ["es"], fileName: "kit" },
      outDir: path.join(scratch, "kit"),
      emptyOutDir: true,
    },
  });
  writeFileSync(path.join(scratch, "empty.html"), "<!doctype html><title>WebGPU</title>");
  const checkpoint = path.join(data, "models/yolov5ss.pt");
  const cli = [path.join(root, "bin/ncnnkit.js"), "export", checkpoint, "--size", "320"];
  execFileSync(process.execPath, [...cli, "-o", path.join(scratch, "yolov5ss.onnx")], { stdio: "ignore" });
}

/** Milliseconds of each inference, and how far the results are apart. */
interface Times {
  readonly adapter: string;
  readonly ours: number[];
  readonly theirs: number[];
  readonly wasm: number[];
  readonly difference: number;
  readonly version: string | undefined;
}

const inPage = (page: Page, onnx: string, size: number, url: (where: string) => string): Promise<Times> =>
  page.evaluate(
    async ({ kitUrl, ortUrl, wasmUrl, onnxUrl, size, rounds, withWasm }) => {
      const kit: typeof import("../dist/index.js") = await import(kitUrl);
      const ort: typeof import("onnxruntime-web").default = await import(ortUrl);
      ort.env.wasm.numThreads = 1;
      ort.env.wasm.wasmPaths = wasmUrl;
      const bytes = new Uint8Array(await (await fetch(onnxUrl)).arrayBuffer());
      const session = await ort.InferenceSession.create(bytes, { executionProviders: ["webgpu"] });
      const model = await kit.load(onnxUrl, { backend: "webgpu", keepDecode: true });
      if (model.fallback) throw new Error(model.fallback);
      const onWasm = withWasm ? await kit.load(onnxUrl, { keepDecode: true }) : undefined;
      const { blob } = model.manifest.input;
      const numbers = Float32Array.from({ length: 3 * size * size }, () => Math.random());
      const feeds = { [session.inputNames[0]]: new ort.Tensor("float32", numbers, [1, 3, size, size]) };
      const tensor = { shape: [3, size, size], data: numbers };
      const times: Record<"ours" | "theirs" | "wasm", number[]> = { ours: [], theirs: [], wasm: [] };
      let difference = 0;
      for (let i = -1; i < rounds; i++) {
        const start = performance.now();
        const ours = await model.run({ [blob]: tensor });
        const middle = performance.now();
        const theirs = await session.run(feeds);
        // What is fetched counts: without it nothing has to be done yet.
        const names = Object.keys(theirs);
        const fetched = await Promise.all(names.map((name) => theirs[name].getData()));
        const end = performance.now();
        await onWasm?.run({ [blob]: tensor });
        const last = performance.now();
        if (i >= 0) {
          times.ours.push(middle - start);
          times.theirs.push(end - middle);
          times.wasm.push(last - end);
        }
        names.forEach((name, at) => {
          const [mine, other] = [ours[name].data, fetched[at]];
          if (mine.length !== other.length)
            throw new Error(`${name}: ${mine.length} and ${other.length} numbers`);
          for (const [j, x] of mine.entries()) difference = Math.max(difference, Math.abs(x - other[j]));
        });
      }
      const adapter = await navigator.gpu.requestAdapter();
      if (!adapter) throw new Error("no WebGPU adapter");
      const { vendor, architecture, description } = adapter.info;
      return {
        ...times,
        difference,
        adapter: [vendor, architecture, description].filter(Boolean).join(" "),
        version: ort.env.versions?.web,
      };
    },
    {
      kitUrl: url("made/kit/kit.js"),
      ortUrl: url("ort/ort.webgpu.min.mjs"),
      wasmUrl: url("ort/"),
      onnxUrl: url(onnx),
      size,
      rounds: Number(options.rounds),
      withWasm: options.wasm,
    },
  );

await prepare();
const ort = path.join(import.meta.dirname, "node_modules/onnxruntime-web/dist");
const server = await serveFolders({ data, made: scratch, ort }, { port: 0 });
const browser = await chromium.launch({
  executablePath: process.env.NCNNKIT_CHROMIUM ?? "/usr/bin/chromium",
  args: [
    ...["--no-sandbox", "--enable-unsafe-webgpu", "--enable-features=Vulkan"],
    "--use-webgpu-adapter=swiftshader",
  ],
});
try {
  const url = (where: string): string => `${server.url}${where}`;
  const results: Record<string, unknown> = { browser: browser.version(), cpu: os.cpus()[0].model };
  for (const [name, onnx, size] of models) {
    if (options.model && options.model !== name) continue;
    const page = await browser.newPage();
    page.on("pageerror", (error) => console.error(`page: ${error.message}`));
    page.setDefaultTimeout(600_000);
    await page.goto(url("made/empty.html"));
    const times = await inPage(page, onnx, size, url);
    await page.close();
    const [ours, theirs, wasm] = [times.ours, times.theirs, times.wasm].map(median);
    console.log(
      `${name} at ${size}, ${times.adapter}: ncnnkit ${ours.toFixed(1)} ms, onnxruntime-web ${times.version} ${theirs.toFixed(1)} ms: ${(ours / theirs).toFixed(2)}; greatest difference ${times.difference.toExponential(1)}${options.wasm ? `; wasm ${wasm.toFixed(1)} ms` : ""}`,
    );
    results[name] = { ...times, ours, theirs, wasm };
  }
  if (options.json) writeFileSync(options.json, `${JSON.stringify(results, null, 2)}\n`);
} finally {
  await browser.close();
  await server.stop();
  rmSync(scratch, { recursive: true, force: true });
}
