/**
 * The built page on a fake camera for a long time, as hard as somebody may use it: every half minute the model, what computes (one thread, two,
 * WebGPU) and a tool change, things are followed and counted, and all is recorded. Memory, tasks above 50 ms, and whether the camera is off
 * afterwards. WebGPU is Chromium's software adapter: it shows what leaks, not how fast a GPU is.
 *
 *   npm run build && npm run build:web
 *   node bench/camera.ts [--minutes 10] [--record] [--without-webgpu] [--json results.json]
 */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { chromium } from "playwright-core";
import sharp from "sharp";
import { serveFolders } from "../dist/serve.js";
import { data, median } from "./_peer.ts";

const { values: options } = parseArgs({
  options: {
    minutes: { type: "string", default: "10" },
    record: { type: "boolean", default: false },
    "without-webgpu": { type: "boolean", default: false },
    json: { type: "string" },
  },
});
const scratch = mkdtempSync(path.join(os.tmpdir(), "ncnnkit-camera-"));
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Photographs of 1280×720 as motion JPEG, which Chromium's fake camera plays in a circle. */
async function cameraFile(): Promise<string> {
  const folder = path.join(data, "coco/images/val2017");
  const frames: Buffer[] = [];
  for (const name of readdirSync(folder).sort().slice(0, 6)) {
    const frame = await sharp(path.join(folder, name)).resize(1280, 720, { fit: "cover" }).jpeg().toBuffer();
    for (let i = 0; i < 15; i++) frames.push(frame);
  }
  const file = path.join(scratch, "camera.mjpeg");
  writeFileSync(file, Buffer.concat(frames));
  return file;
}

/** What computes in a round, and the number of the model in the page's list. */
interface Kind {
  name: string;
  threads: number;
  backend: "wasm" | "webgpu";
  model: number;
}
const kinds: readonly Kind[] = [
  { name: "1 thread", threads: 1, backend: "wasm", model: 0 },
  { name: "2 threads", threads: 2, backend: "wasm", model: 1 },
  ...(options["without-webgpu"]
    ? []
    : [{ name: "WebGPU", threads: 1, backend: "webgpu", model: 1 } as const]),
];

const server = await serveFolders({ page: path.resolve(import.meta.dirname, "../dist-web") }, { port: 0 });
const browser = await chromium.launch({
  executablePath: process.env.NCNNKIT_CHROMIUM ?? "/usr/bin/chromium",
  args: [
    ...["--no-sandbox", "--no-first-run", "--disable-background-networking"],
    ...(options["without-webgpu"]
      ? ["--disable-gpu"]
      : ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader", "--enable-features=Vulkan"]),
    ...["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"],
    `--use-file-for-fake-video-capture=${await cameraFile()}`,
  ],
});

interface Round {
  kind: string;
  megabytes: number;
  rate: number;
  tasks: number[];
}

interface Watched {
  longTasks: number[];
  tracks: MediaStreamTrack[];
}

try {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, acceptDownloads: true });
  const page = await context.newPage();
  page.setDefaultTimeout(120_000);
  const errors: string[] = [];
  page.on("pageerror", (error) => errors.push(error.message));
  const clips: string[] = [];
  page.on("download", (file) => clips.push(file.suggestedFilename()));
  await page.addInitScript(() => {
    const watched: Watched = { longTasks: [], tracks: [] };
    Object.assign(globalThis, watched);
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) watched.longTasks.push(Math.round(entry.duration));
    }).observe({ entryTypes: ["longtask"] });
    const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
    navigator.mediaDevices.getUserMedia = async (wish) => {
      const stream = await open(wish);
      watched.tracks.push(...stream.getTracks());
      return stream;
    };
  });
  await page.goto(`${server.url}page/?threads=1`);
  await page.waitForFunction(() => document.querySelector(".model .soft")?.textContent?.includes("px"));
  await page.click("#use-camera");
  const running = (): Promise<unknown> =>
    page.waitForFunction(() => Number(document.getElementById("rate")?.textContent) > 0);
  await running();
  await page.click("#tool-follow");
  await sleep(3000);
  const memory = (): Promise<number> =>
    page.evaluate(async () => {
      // Not in the DOM's types: https://wicg.github.io/performance-measure-memory/
      const { measureUserAgentSpecificMemory } = performance as unknown as {
        measureUserAgentSpecificMemory(): Promise<{ bytes: number }>;
      };
      return (await measureUserAgentSpecificMemory.call(performance)).bytes / 2 ** 20;
    });
  const rounds: Round[] = [];
  for (let round = 0; round < 2 * Number(options.minutes); round++) {
    const kind = kinds[round % kinds.length];
    await page.selectOption("#threads", String(kind.threads));
    if (kinds.length > 2) await page.selectOption("#backend", kind.backend);
    await page.locator(".model input").nth(kind.model).check();
    await page.locator("#iou").press("ArrowRight"); // other boxes of the same frame
    if (options.record) await page.click("#tool-record");
    await sleep(2000);
    await running();
    await page.evaluate(() => (globalThis as unknown as Watched).longTasks.splice(0));
    await sleep(24_000);
    const tasks = await page.evaluate(() => (globalThis as unknown as Watched).longTasks.splice(0));
    const rate = Number(await page.textContent("#rate"));
    const machine = (await page.textContent("#machine")) ?? "";
    if (kind.backend === "webgpu" && machine !== "WebGPU") throw new Error(`no WebGPU: ${machine} computes`);
    if (options.record) await page.click("#tool-record");
    rounds.push({ kind: kind.name, megabytes: await memory(), rate, tasks });
    console.log(
      `${((round + 1) / 2).toFixed(1)} min, ${kind.name}: ${rounds.at(-1)?.megabytes.toFixed(1)} MB, ${rate} frames/s, tasks above 50 ms: ${tasks.join(" ") || "none"}`,
    );
  }
  const live = (): Promise<number> =>
    page.evaluate(
      () =>
        (globalThis as unknown as Watched).tracks.filter(({ readyState }) => readyState === "live").length,
    );
  const before = await live();
  await page.click("#pause");
  await page.waitForSelector('#pause[aria-pressed="true"]');
  const after = await live();
  // One round after the other has other models and programs: each kind is compared with itself.
  const said = kinds.map(({ name }) => {
    const own = rounds.filter(({ kind }) => kind === name).map(({ megabytes }) => megabytes);
    return `${name} ${own[0]?.toFixed(1)} → ${own.at(-1)?.toFixed(1)} (median ${median(own).toFixed(1)}, most ${Math.max(...own).toFixed(1)})`;
  });
  console.log(
    `memory, first to last: ${said.join(", ")} MB; cameras on: ${before}, after pause ${after}; clips ${clips.length}; errors: ${errors.join("; ") || "none"}`,
  );
  const results = { browser: browser.version(), cpu: os.cpus()[0].model, rounds, before, after, errors };
  if (options.json) writeFileSync(options.json, `${JSON.stringify(results, null, 2)}\n`);
} finally {
  await browser.close();
  await server.stop();
  rmSync(scratch, { recursive: true, force: true });
}
