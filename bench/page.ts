/**
 * The built page in headless Chromium: frames a second on a fake camera, tasks of the page's thread above 50 ms while it
 * detects and while it converts, memory over time, and the engine against onnxruntime-web in one page.
 *
 *   npm run build && npm run build:web && npm --prefix bench ci --ignore-scripts
 *   node bench/page.ts [--seconds 10] [--minutes 0] [--threads 1,2] [--only REGEXP] [--parts rate,peer,convert] [--json results.json]
 *
 * `--minutes` watches memory that long with the first model. Models are the shipped one and, from NCNNKIT_DATA (default ../shared),
 * yolov5ss; Chromium is /usr/bin/chromium or NCNNKIT_CHROMIUM. The camera shows photographs of 1280×720 at 30 frames a second.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { chromium, type Page } from "playwright-core";
import sharp from "sharp";
import { serveFolders } from "../dist/serve.js";
import { data, median } from "./_peer.ts";

const { values: options } = parseArgs({
  options: {
    seconds: { type: "string", default: "10" },
    minutes: { type: "string", default: "0" },
    threads: { type: "string", default: "1,2" },
    only: { type: "string", default: "." },
    parts: { type: "string", default: "rate,peer,convert" },
    json: { type: "string" },
  },
});
const root = path.resolve(import.meta.dirname, "..");
const scratch = mkdtempSync(path.join(os.tmpdir(), "ncnnkit-page-"));
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

// ---- what is served: the page, data, the repository (for onnxruntime-web and the library), all isolated

const roots = {
  page: path.join(root, "dist-web"),
  data,
  made: scratch,
  ort: path.join(import.meta.dirname, "node_modules/onnxruntime-web/dist"),
};
const server = await serveFolders(roots, { port: 0 });
const url = (where: string): string => `${server.url}${where}`;

const photographs = (part: string, count: number): string[] => {
  const folder = path.join(data, "coco/images", part);
  const names = readdirSync(folder).sort().slice(0, count);
  return names.map((name) => path.join(folder, name));
};

/** Motion JPEG, which Chromium's fake camera plays in a circle. */
async function cameraFile(): Promise<string> {
  const frames: Buffer[] = [];
  for (const file of photographs("val2017", 6)) {
    const frame = await sharp(file).resize(1280, 720, { fit: "cover" }).jpeg().toBuffer();
    for (let i = 0; i < 15; i++) frames.push(frame);
  }
  const file = path.join(scratch, "camera.mjpeg");
  writeFileSync(file, Buffer.concat(frames));
  return file;
}

interface PageModel {
  name: string;
  precision: string;
  /** Where the server has its manifest. */
  model: string;
}

/** fp32 and int8 of a checkpoint, made by the command line; the folder's name is the model's. */
function deployed(checkpoint: string): PageModel[] {
  const name = path.basename(checkpoint, ".pt");
  const out = path.join(scratch, name);
  const cli = (...args: string[]): Buffer =>
    execFileSync(process.execPath, [path.join(root, "bin/ncnnkit.js"), ...args], { stdio: "ignore" });
  cli("convert", checkpoint, "-o", path.join(out, "fp32"));
  const calibration = path.join(scratch, "calibration.txt");
  writeFileSync(calibration, photographs("train2017", 32).join("\n"));
  const table = path.join(out, `${name}.table`);
  const float = path.join(out, "fp32", `${name}.json`);
  cli("calibrate", float, "--images", calibration, "--method", "mse", "--size", "320", "-o", table);
  cli("quantize", float, "--table", table, "-o", path.join(out, "int8"));
  const int8 = readdirSync(path.join(out, "int8")).find((file) => file.endsWith(".json"));
  return [
    { name, precision: "fp32", model: `made/${name}/fp32/${name}.json` },
    { name, precision: "int8", model: `made/${name}/int8/${int8}` },
  ];
}

const browser = await chromium.launch({
  executablePath: process.env.NCNNKIT_CHROMIUM ?? "/usr/bin/chromium",
  args: [
    ...["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"],
    ...["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"],
    `--use-file-for-fake-video-capture=${await cameraFile()}`,
  ],
});

/** A page that counts its tasks above 50 ms. */
async function open(where: string): Promise<Page> {
  const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
  page.setDefaultTimeout(600_000);
  page.on("pageerror", (error) => console.error(`page: ${error.message}`));
  await page.addInitScript(() => {
    const longTasks: number[] = [];
    Object.assign(globalThis, { longTasks });
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) longTasks.push(Math.round(entry.duration));
    }).observe({ entryTypes: ["longtask"] });
  });
  await page.goto(url(where));
  return page;
}
const clearLongTasks = (page: Page): Promise<number[]> =>
  page.evaluate(() => (globalThis as unknown as { longTasks: number[] }).longTasks.splice(0));
/** Elements of the page that show frames a second and milliseconds. */
const meters = ["rate", "ms-pre", "ms-inference", "ms-post"] as const;
type Numbers = Record<(typeof meters)[number], number>;
const numbers = (page: Page): Promise<Numbers> =>
  page.evaluate(
    (ids) =>
      Object.fromEntries(ids.map((id) => [id, Number(document.getElementById(id)?.textContent)])) as Numbers,
    meters,
  );

async function openModel(model: string, threads: number): Promise<Page> {
  const page = await open(`page/?model=${encodeURIComponent(url(model))}&size=320&threads=${threads}`);
  await page.waitForSelector(".model .badge");
  await page.click("#use-camera");
  await page.waitForFunction(() => Number(document.getElementById("rate")?.textContent) > 0);
  await sleep(4000);
  await clearLongTasks(page);
  return page;
}

type Row = Omit<PageModel, "model"> & Numbers & { threads: number; longTasks: number[] };

async function frameRate({ name, precision, model }: PageModel, threads: number): Promise<Row> {
  const page = await openModel(model, threads);
  const samples: Numbers[] = [];
  for (let i = 0; i < Number(options.seconds); i++) {
    await sleep(1000);
    samples.push(await numbers(page));
  }
  const middle = Object.fromEntries(meters.map((id) => [id, median(samples.map((each) => each[id]))]));
  const longTasks = await clearLongTasks(page);
  await page.close();
  return { name, precision, threads, ...(middle as Numbers), longTasks };
}

/** Megabytes of the page with its workers, once a minute. */
async function memory({ model }: PageModel): Promise<{ series: number[]; longTasks: number[] }> {
  const page = await openModel(model, 1);
  const measure = (): Promise<number> =>
    page.evaluate(async () => {
      // Not in the DOM's types: https://wicg.github.io/performance-measure-memory/
      const { measureUserAgentSpecificMemory } = performance as unknown as {
        measureUserAgentSpecificMemory(): Promise<{ bytes: number }>;
      };
      return (await measureUserAgentSpecificMemory.call(performance)).bytes / 2 ** 20;
    });
  const series = [await measure()];
  for (let i = 0; i < Number(options.minutes); i++) {
    await sleep(60_000);
    series.push(await measure());
    const { rate } = await numbers(page);
    console.log(`minute ${i + 1}: ${series.at(-1)?.toFixed(1)} MB, ${rate} frames/s`);
  }
  const longTasks = await clearLongTasks(page);
  await page.close();
  return { series, longTasks };
}

/** Tasks above 50 ms and seconds while the page converts and quantizes. */
async function converting(
  checkpoint: string,
  pictures: readonly string[],
): Promise<{ pictures: number; seconds: number; longTasks: number[] }> {
  const page = await open("page/");
  const choose = async (selector: string, files: readonly string[]): Promise<void> => {
    const [chooser] = await Promise.all([page.waitForEvent("filechooser"), page.click(selector)]);
    await chooser.setFiles([...files]);
  };
  await page.click("#tab-convert");
  await choose("#pick-convert-model", [checkpoint]);
  await choose("#pick-pictures", pictures);
  await page.selectOption("#convert-size", "320");
  await sleep(2000);
  await clearLongTasks(page);
  const start = performance.now();
  await page.click("#convert-start");
  await page.waitForSelector("#result:not([hidden])");
  const seconds = (performance.now() - start) / 1000;
  const longTasks = await clearLongTasks(page);
  await page.close();
  return { pictures: pictures.length, seconds, longTasks };
}

/** FastestDet in both engines in one page, in turns. */
async function againstOnnxruntime(): Promise<{
  ours: number;
  theirs: number;
  difference: number;
  version?: string;
}> {
  const { build } = await import("vite");
  const entry = path.join(root, "src/index.ts");
  await build({
    logLevel: "warn",
    build: {
      lib: { entry, formats: ["es"], fileName: "kit" },
      outDir: path.join(scratch, "kit"),
      emptyOutDir: true,
    },
  });
  const page = await open("page/");
  const result = await page.evaluate(
    async ({ kitUrl, ortUrl, wasmUrl, onnxUrl }) => {
      const kit: typeof import("../dist/index.js") = await import(kitUrl);
      const ort: typeof import("onnxruntime-web").default = await import(ortUrl);
      ort.env.wasm.numThreads = 1;
      ort.env.wasm.wasmPaths = wasmUrl;
      const bytes = new Uint8Array(await (await fetch(onnxUrl)).arrayBuffer());
      const session = await ort.InferenceSession.create(bytes, { executionProviders: ["wasm"] });
      // With the end that the kit would do by itself, so that both give the same.
      const model = await kit.load(onnxUrl, { keepDecode: true });
      const { blob } = model.manifest.input;
      const data = Float32Array.from({ length: 3 * 352 * 352 }, () => Math.random());
      const tensor = { shape: [3, 352, 352], data };
      const feeds = {
        [session.inputNames[0]]: new ort.Tensor("float32", tensor.data, [1, ...tensor.shape]),
      };
      const times: Record<"ours" | "theirs", number[]> = { ours: [], theirs: [] };
      let difference = 0;
      for (let i = 0; i < 30; i++) {
        const start = performance.now();
        const ours = await model.run({ [blob]: tensor });
        const middle = performance.now();
        const theirs = await session.run(feeds);
        const end = performance.now();
        if (i >= 5) {
          times.ours.push(middle - start);
          times.theirs.push(end - middle);
        }
        const [mine] = Object.values(ours);
        const [other] = Object.values(theirs);
        for (let j = 0; j < mine.data.length; j++) {
          difference = Math.max(difference, Math.abs(mine.data[j] - other.data[j]));
        }
      }
      return { ...times, difference, version: ort.env.versions?.web };
    },
    {
      kitUrl: url("made/kit/kit.js"),
      ortUrl: url("ort/ort.wasm.min.mjs"),
      wasmUrl: url("ort/"),
      onnxUrl: url("data/models/FastestDet.onnx"),
    },
  );
  await page.close();
  return { ...result, ours: median(result.ours), theirs: median(result.theirs) };
}

try {
  const { models: listed }: { models: { name: string; url: string; precision: string }[] } = JSON.parse(
    readFileSync(path.join(roots.page, "models.json"), "utf8"),
  );
  const shipped = listed.map(
    ({ name, url: where, precision }): PageModel => ({ name, precision, model: `page/${where}` }),
  );
  const only = new RegExp(options.only);
  const parts = options.parts.split(",");
  const others =
    parts.includes("rate") && only.test("yolov5ss") ? deployed(path.join(data, "models/yolov5ss.pt")) : [];
  const models = [...shipped.filter(({ name }) => only.test(name)), ...others];
  const browserName = `Chromium ${browser.version()}`;
  const cpu = os.cpus()[0].model;
  console.log(`${browserName}, ${cpu}`);
  const rows: Row[] = [];
  for (const model of parts.includes("rate") ? models : []) {
    for (const threads of options.threads.split(",").map(Number)) {
      const row = await frameRate(model, threads);
      rows.push(row);
      console.log(
        `${row.name} ${row.precision}, ${threads} thread(s): ${row.rate} frames/s; pre ${row["ms-pre"]}, inference ${row["ms-inference"]}, post ${row["ms-post"]} ms; tasks above 50 ms: ${row.longTasks.join(" ") || "none"}`,
      );
    }
  }
  const onnxruntime = parts.includes("peer") ? await againstOnnxruntime() : undefined;
  if (onnxruntime) {
    const { ours, theirs, difference } = onnxruntime;
    console.log(
      `FastestDet: ncnnkit ${ours.toFixed(1)} ms, onnxruntime-web ${theirs.toFixed(1)} ms, greatest difference ${difference.toExponential(1)}`,
    );
  }
  const conversion = parts.includes("convert")
    ? await converting(path.join(data, "models/yolov5ss.pt"), photographs("train2017", 30))
    : undefined;
  if (conversion) {
    console.log(
      `converting with 30 pictures: ${conversion.seconds.toFixed(0)} s; tasks above 50 ms: ${conversion.longTasks.join(" ") || "none"}`,
    );
  }
  const watched = Number(options.minutes) ? await memory(models[0]) : undefined;
  const results = { browser: browserName, cpu, rows, onnxruntime, converting: conversion, memory: watched };
  if (options.json) writeFileSync(options.json, `${JSON.stringify(results, null, 2)}\n`);
} finally {
  await browser.close();
  await server.stop();
  rmSync(scratch, { recursive: true, force: true });
}
