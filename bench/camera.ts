/**
 * The built page on a fake camera for a long time, as hard as somebody may use it: every half minute the model, the number of threads and
 * a tool change, things are followed and counted, and all is recorded. Memory, tasks above 50 ms, and whether the camera is off afterwards.
 *
 *   npm run build && npm run build:web
 *   node bench/camera.ts [--minutes 10] [--record] [--json results.json]
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

const server = await serveFolders({ page: path.resolve(import.meta.dirname, "../dist-web") }, { port: 0 });
const browser = await chromium.launch({
  executablePath: process.env.NCNNKIT_CHROMIUM ?? "/usr/bin/chromium",
  args: [
    ...["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"],
    ...["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"],
    `--use-file-for-fake-video-capture=${await cameraFile()}`,
  ],
});

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
  const series: number[] = [];
  const rates: number[] = [];
  const tasks: number[][] = [];
  const rounds = 2 * Number(options.minutes);
  for (let round = 0; round < rounds; round++) {
    const threads = round % 2 ? "2" : "1";
    await page.selectOption("#threads", threads);
    await page
      .locator(".model input")
      .nth(round % 2)
      .check();
    await page.locator("#iou").press("ArrowRight"); // other boxes of the same frame
    if (options.record) await page.click("#tool-record");
    await sleep(2000);
    await running();
    await page.evaluate(() => (globalThis as unknown as Watched).longTasks.splice(0));
    await sleep(24_000);
    const found = await page.evaluate(() => (globalThis as unknown as Watched).longTasks.splice(0));
    rates.push(Number(await page.textContent("#rate")));
    tasks.push(found);
    if (options.record) await page.click("#tool-record");
    series.push(await memory());
    console.log(
      `${((round + 1) / 2).toFixed(1)} min, ${threads} thread(s): ${series.at(-1)?.toFixed(1)} MB, ${rates.at(-1)} frames/s, tasks above 50 ms: ${found.join(" ") || "none"}`,
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
  // One round after the other has other models and threads: each kind is compared with itself.
  const kinds = [series.filter((_, i) => i % 2 === 0), series.filter((_, i) => i % 2 === 1)];
  const said = kinds.map(
    (kind) => `${kind[0]?.toFixed(1)} → ${kind.at(-1)?.toFixed(1)} (median ${median(kind).toFixed(1)})`,
  );
  console.log(
    `memory with one thread and with two, first to last: ${said.join(", ")} MB; cameras on: ${before}, after pause ${after}; clips ${clips.length}; errors: ${errors.join("; ") || "none"}`,
  );
  const results = {
    browser: browser.version(),
    cpu: os.cpus()[0].model,
    series,
    rates,
    tasks,
    before,
    after,
  };
  if (options.json) writeFileSync(options.json, `${JSON.stringify(results, null, 2)}\n`);
} finally {
  await browser.close();
  await server.stop();
  rmSync(scratch, { recursive: true, force: true });
}
