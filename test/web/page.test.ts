/** The page as a visitor uses it, in Chromium, on real models. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { unzipSync } from "fflate";
import type { Page } from "playwright-core";
import sharp from "sharp";
import { expect, test, vi } from "vitest";
import { isObject, load, readPicture } from "../../src/node.ts";
import { generatePicture } from "../../training/pictures/index.ts";
import { temporaryFolder } from "../cli/_run.ts";
import { dataPath, describeDataIf } from "../data.ts";
import {
  canRun,
  commandLineBoxes,
  expectSame,
  modelLoaded,
  nextBoxes,
  openBoxes,
  overflow,
  pageSize,
  shownBoxes,
  useSite,
} from "./site.ts";
import { choose, drop, modelReady, recordVideo } from "./visitor.ts";

const size = pageSize;
const float = ["models/yolov5ss.param", "models/yolov5ss.bin", "models/yolov5ss.pt"].map(dataPath);
const int8 = ["golden/off-kl-320.param", "golden/off-kl-320.bin"].map(dataPath);
const checkpoint = dataPath("models/yolov5ss.pt");
const yolox = dataPath("models/real/yolox_nano.onnx");
const pictures = [139, 776, 885, 632]
  .map((id) => dataPath(`coco/images/val2017/${String(id).padStart(12, "0")}.jpg`))
  .filter(existsSync);
const folder = temporaryFolder();

/** Two photographs, again and again, as motion JPEG: what Chromium's fake camera plays. */
async function cameraFile(): Promise<string> {
  const frames: Buffer[] = [];
  for (const file of pictures.slice(0, 2)) {
    const frame = await sharp(file).resize(640, 480, { fit: "fill" }).jpeg().toBuffer();
    frames.push(...Array<Buffer>(10).fill(frame));
  }
  const file = path.join(folder, "camera.mjpeg");
  writeFileSync(file, Buffer.concat(frames));
  return file;
}

/** Pixels that every decoder agrees on. */
async function asPng(file: string): Promise<string> {
  const png = path.join(folder, `${path.basename(file, ".jpg")}.png`);
  await sharp(file, { ignoreIcc: true }).removeAlpha().png().toFile(png);
  return png;
}

describeDataIf(canRun, "the page", () => {
  const site = useSite(cameraFile);

  test.each([
    ["yolov8-seg-plain", "masks"],
    ["yolov8-pose-simplify", "key points"],
    ["yolo11-obb-dynamic", "turned boxes"],
    ["yolov8-cls-simplify", "classes"],
  ])("%s: %s are drawn and listed", async (name, what) => {
    const zip = unzipSync(new Uint8Array(readFileSync("test/heads/data/tasks.zip")));
    const model = path.join(folder, `${name}.onnx`);
    writeFileSync(model, zip[`${name}.onnx`]);
    const page = await site.open("plain/", { viewport: { width: 390, height: 844 } });
    await choose(page, "#add-model", [model]);
    await modelLoaded(page, 1);
    await openBoxes(page);
    await choose(page, "#use-picture", [await asPng(pictures[0])]);
    const { boxes } = await nextBoxes(page);
    const found = (await load(model)).detect(await readPicture(path.join(folder, "000000000139.png")));
    expect(boxes.map(({ label }) => label)).toEqual((await found).map(({ label }) => label));
    const drawn = await page.$eval("#overlay", (canvas) => {
      const { width, height } = canvas as HTMLCanvasElement;
      const { data } = (canvas as HTMLCanvasElement).getContext("2d")!.getImageData(0, 0, width, height);
      const alphas = Array.from({ length: width * height }, (_, i) => data[4 * i + 3]);
      // Masks are seen through, all else is not.
      return [
        alphas.some((a) => a === 255),
        alphas.filter((a) => a > 90 && a < 200).length > alphas.length / 10,
      ];
    });
    expect(drawn).toEqual([true, what === "masks"]);
    expect(await page.locator("#confidence").isDisabled()).toBe(what === "classes");
    expect(await overflow(page)).toBe(0);
    await page.context().close();
  });

  test("a picture without isolation: the boxes of the command line, float and int8 on the same frame", async () => {
    const page = await site.open(`plain/?size=${size}`);
    await choose(page, "#add-model", float);
    await modelLoaded(page, 1);
    await choose(page, "#add-model", int8);
    await modelLoaded(page, 2);
    expect(await page.$$eval(".badge", (all) => all.map((badge) => badge.textContent))).toEqual([
      "fp32",
      "int8",
    ]);
    expect(await page.$$eval("#threads option", (all) => all.length)).toBe(1);
    await openBoxes(page);
    await choose(page, "#use-picture", pictures.slice(0, 1));
    const ofInt8 = await nextBoxes(page);
    expectSame(ofInt8.boxes, await commandLineBoxes(int8[0], pictures[0]));
    await page.click("#model-1");
    const ofFloat = await nextBoxes(page, ofInt8.text);
    expectSame(ofFloat.boxes, await commandLineBoxes(float[0], pictures[0]));

    // Confidence chooses among outputs that are there: no second inference.
    const inference = await page.textContent("#ms-inference");
    await page.locator("#confidence").fill("0.6");
    const fewer = await nextBoxes(page, ofFloat.text);
    expect(fewer.boxes).toEqual(ofFloat.boxes.filter(({ score }) => score > 0.6));
    expect(await page.textContent("#ms-inference")).toBe(inference);

    const [saved] = await Promise.all([page.waitForEvent("download"), page.click("#save")]);
    const { width, height } = await sharp(await saved.path()).metadata();
    expect([width, height]).toEqual(Object.values(await sizeOf(pictures[0])));
    await page.context().close();
  });

  test("a detector of another kind, whose pre-processing is assumed, or chosen", async () => {
    const page = await site.open(`plain/?size=${size}`);
    await choose(page, "#add-model", [yolox]);
    await modelLoaded(page, 1);
    expect(await page.textContent("#assumptions")).toMatch(/BGR with levels 0 to 255.*as YOLOX has it$/s);
    await openBoxes(page);
    const picture = await asPng(pictures[0]);
    await choose(page, "#use-picture", [picture]);
    const assumed = await nextBoxes(page);
    expectSame(assumed.boxes, await commandLineBoxes(yolox, picture));
    await page.selectOption("#family", "centerface");
    const chosen = await nextBoxes(page, assumed.text);
    expectSame(chosen.boxes, await commandLineBoxes(yolox, picture, "--family", "centerface"));
    expect(await page.textContent("#assumptions")).not.toContain("as YOLOX has it");
    await page.selectOption("#family", "");
    expect((await nextBoxes(page, chosen.text)).boxes).toEqual(assumed.boxes);
    await page.context().close();
  });

  test("a checkpoint of ultralytics, read in the page", async () => {
    const file = path.resolve(import.meta.dirname, "../formats/torch/data/ultralytics/26n.pt");
    const page = await site.open(`plain/?size=${size}`);
    await choose(page, "#add-model", [file]);
    await modelLoaded(page, 1);
    await openBoxes(page);
    const picture = await asPng(pictures[0]);
    await choose(page, "#use-picture", [picture]);
    expectSame((await nextBoxes(page)).boxes, await commandLineBoxes(file, picture));
    await page.context().close();
  });

  test("dropped files, a model by address, and the same boxes with one thread and with two", async () => {
    const address = encodeURIComponent(site.url("data/golden/off-kl-320.param"));
    const page = await site.open(`isolated/?size=${size}&threads=2&model=${address}`);
    await modelLoaded(page, 1);
    await openBoxes(page);
    await drop(page, { "photo.jpg": readFileSync(pictures[1]) });
    const two = await nextBoxes(page);
    expect(two.boxes.length).toBeGreaterThan(1);
    expect(await page.textContent("#machine")).toContain("2 threads");
    await page.evaluate(() => document.querySelector("#rows")?.replaceChildren());
    await page.selectOption("#threads", "1");
    expect((await nextBoxes(page)).text).toBe(two.text);
    await page.waitForFunction(() => document.querySelector("#machine")?.textContent?.includes("1 thread,"));
    await page.context().close();
  });

  test("camera: frames with boxes, one at a time; pause; a video file", async () => {
    const page = await site.open(`isolated/?size=256`, { viewport: { width: 390, height: 844 } });
    await countCalls(page);
    await choose(page, "#add-model", int8);
    await modelLoaded(page, 1);
    await page.click("#use-camera");
    await openBoxes(page);
    await nextBoxes(page);
    await page.waitForFunction(() => (globalThis as unknown as Calls).calls.total > 10);
    const { most } = await page.evaluate(() => (globalThis as unknown as Calls).calls);
    expect(most).toBe(1); // frames are dropped, never queued
    await page.waitForFunction(() => Number(document.getElementById("rate")?.textContent) > 0);
    expect(await overflow(page)).toBe(0);
    await page.click("#pause");
    expect(await page.getAttribute("#pause", "aria-pressed")).toBe("true");

    await page.evaluate(() => document.querySelector("#rows")?.replaceChildren());
    await drop(page, { "clip.webm": await recordVideo(page, pictures[0]) });
    await page.waitForSelector('[data-state="video"]');
    expect((await nextBoxes(page)).boxes.length).toBeGreaterThan(0);
    await page.context().close();
  });

  test("convert and quantize: the zip's model runs here with the outputs that it has there", async () => {
    const page = await site.open("isolated/", { acceptDownloads: true });
    await page.click("#tab-convert");
    await choose(page, "#pick-convert-model", [checkpoint]);
    await choose(page, "#pick-pictures", pictures);
    await page.selectOption("#convert-size", "256");
    await page.selectOption("#method", "minmax");
    await page.click("#convert-start");
    await page.waitForSelector("#stages li");
    await page.click("#cancel");
    await page.waitForSelector("#convert-form:not([hidden])");
    expect(await page.locator(".notice").count()).toBe(0);

    await page.click("#convert-start");
    await page.waitForSelector("#result:not([hidden])", { timeout: 90_000 }); // layers are tried in float
    const [saved] = await Promise.all([page.waitForEvent("download"), page.click("#download")]);
    expect(saved.suggestedFilename()).toBe("yolov5ss.zip");
    const zip = unzipSync(new Uint8Array(readFileSync(await saved.path())));
    const file = (name: string): Uint8Array => zip[`yolov5ss/${name}`];
    expect(new TextDecoder().decode(file("report.html"))).toContain("yolov5ss: fp32 to int8");
    expect(file("yolov5ss.table").length).toBeGreaterThan(1000);
    expect(await page.frameLocator("#report").locator("h1").textContent()).toContain("fp32 to int8");

    const picture = await asPng(pictures[1]);
    const stem = "int8/yolov5ss-int8";
    const [param, bin, manifest] = [".param", ".bin", ".json"].map((end) => file(stem + end));
    const model = await load({ param, bin, manifest });
    const wanted = (await model.detect(await readPicture(picture))).filter(isObject);
    await page.click("#try");
    await modelLoaded(page, 2);
    await openBoxes(page);
    await choose(page, "#use-picture", [picture]);
    // until then the page shows what it found in the first picture, with one model after the other
    await vi.waitFor(
      async () => expectSame(await shownBoxes(page), wanted, { iou: 0.99, score: 0.002 }),
      20_000,
    );
    model.close();
    await page.context().close();
  }, 120_000);

  test("offline after the first visit, and isolated by the service worker", async () => {
    const page = await site.open("plain/", { serviceWorkers: "allow" });
    await page.evaluate(() => navigator.serviceWorker.ready);
    await page.waitForFunction(() => navigator.serviceWorker.controller !== null);
    expect(await page.evaluate(() => crossOriginIsolated)).toBe(false);
    site.setDown(true);
    await page.reload();
    expect(await page.evaluate(() => crossOriginIsolated)).toBe(true);
    await choose(page, "#add-model", [checkpoint]); // its reader is a file of its own
    await modelLoaded(page, 1);
    site.setDown(false);
    await page.context().close();
  });

  test("the shipped model is there at the first visit, and afterwards without a network", async () => {
    const page = await site.open("shipped/", { serviceWorkers: "allow" });
    await modelReady(page);
    expect(await page.textContent(".model")).toContain("codefinder");
    await page.evaluate(() => navigator.serviceWorker.ready);
    await page.waitForFunction(() => navigator.serviceWorker.controller !== null);
    site.setDown(true);
    await page.reload();
    await modelReady(page);
    const picture = path.join(folder, "codes.png");
    const shown = generatePicture(72, { size: 320, split: "held-out" });
    const { width, height, data } = shown.picture;
    await sharp(data, { raw: { width, height, channels: 3 } })
      .png()
      .toFile(picture);
    await openBoxes(page);
    await choose(page, "#use-picture", [picture]);
    const int8 = path.join(import.meta.dirname, "../../models/codefinder-int8");
    const { boxes, text } = await nextBoxes(page);
    expectSame(boxes, await commandLineBoxes(int8, picture));
    site.setDown(false); // the checkpoint is fetched when it is asked for
    await page.click("#model-2");
    expectSame((await nextBoxes(page, text)).boxes, await commandLineBoxes("codefinder", picture));
    await page.context().close();
  });

  test("bad files, a refused camera and an old browser are explained", async () => {
    const page = await site.open("plain/", { viewport: { width: 390, height: 844 } });
    const notice = (): Promise<string | null> => page.locator(".notice").last().textContent();
    await drop(page, { "broken.param": new TextEncoder().encode("7767517\n3 x\n") });
    await page.waitForSelector(".notice");
    expect(await notice()).toMatch(/broken was not loaded.*damaged.*Download or export it again/s);
    expect(await page.locator(".notice").last().getAttribute("role")).toBe("alert");
    expect(await page.isVisible(".notice details p")).toBe(false);
    expect(await page.textContent(".notice details p")).toMatch(/^broken\.param: line 3: /);
    // Seen wherever the page is scrolled to, above the sources.
    for (const top of [0, 99_999]) {
      await page.evaluate((y) => scrollTo(0, y), top);
      const [first, last] = [await boundsOf(page, ".notice"), await boundsOf(page, ".bar")];
      expect(first.top).toBeGreaterThan(0);
      expect(first.bottom).toBeLessThanOrEqual(last.top);
    }
    await page.evaluate(() => {
      navigator.mediaDevices.getUserMedia = async () => {
        throw new DOMException("Permission denied", "NotAllowedError");
      };
    });
    await page.click("#use-camera");
    await page.waitForFunction(() =>
      document.querySelector(".notice")?.textContent?.includes("Allow the camera"),
    );
    await drop(page, { "notes.xyz": new Uint8Array(3) });
    await page.waitForFunction(() => document.querySelectorAll(".notice").length === 2);
    expect(await notice()).toContain("notes.xyz is no model, picture or video");
    expect(await overflow(page)).toBe(0);
    await page.keyboard.press("Escape");
    expect(await page.locator(".notice").count()).toBe(1);
    await page.context().close();

    const context = await site.browser.newContext({ serviceWorkers: "block" });
    await context.addInitScript(() => Reflect.deleteProperty(globalThis, "OffscreenCanvas"));
    const old = await context.newPage();
    await old.goto(site.url("plain/"));
    expect(await old.textContent(".missing")).toMatch(/too old.*OffscreenCanvas/s);
    await context.close();
  });

  test("picture, confidence and what was found are in view together, from a phone to a desk", async () => {
    const page = await site.open(`plain/?size=256`, { viewport: { width: 390, height: 844 } });
    await choose(page, "#add-model", float);
    await modelLoaded(page, 1);
    await choose(page, "#use-picture", pictures.slice(0, 1));
    await page.waitForSelector(".chip");
    for (const [width, height] of [
      [390, 844],
      [844, 390],
      [667, 375],
      [820, 1180],
      [1440, 900],
    ]) {
      await page.setViewportSize({ width, height });
      await page.evaluate(() => scrollTo(0, 0));
      for (const part of ["#stage", "#found", "#confidence"]) {
        const { top, bottom } = await boundsOf(page, part);
        expect(top, `${part} at ${width}x${height}`).toBeGreaterThanOrEqual(0);
        expect(bottom, `${part} at ${width}x${height}`).toBeLessThanOrEqual(height);
      }
      // The picture stays while the settings scroll.
      await page.evaluate(() => scrollTo(0, 300));
      expect((await boundsOf(page, "#stage")).top).toBeGreaterThanOrEqual(0);
      expect(await overflow(page)).toBe(0);
    }
    await page.context().close();
  });

  test("at phone width nothing sticks out, and tabs work from the keyboard", async () => {
    const page = await site.open("plain/", { viewport: { width: 360, height: 740 } });
    expect(await overflow(page)).toBe(0);
    await page.focus("#tab-detect");
    await page.keyboard.press("ArrowRight");
    expect(await page.isVisible("#convert-form")).toBe(true);
    expect(await overflow(page)).toBe(0);
    const small = await page.$$eval("button, select", (all) =>
      all
        .map((control) => ({ id: control.id, height: control.getBoundingClientRect().height }))
        .filter(({ height }) => height > 0 && height < 44),
    );
    expect(small).toEqual([]); // all can be hit with a thumb
    await page.context().close();
  });
});

const boundsOf = (page: Page, selector: string): Promise<{ top: number; bottom: number }> =>
  page.$eval(selector, (element) => {
    const { top, bottom } = element.getBoundingClientRect();
    return { top, bottom };
  });

async function sizeOf(file: string): Promise<{ width: number; height: number }> {
  const { width, height } = await readPicture(file);
  return { width, height };
}

interface Calls {
  calls: { open: number; most: number; total: number };
}

/** Counts requests to workers that have no answer yet. */
async function countCalls(page: Page): Promise<void> {
  await page.addInitScript(() => {
    const calls = { open: 0, most: 0, total: 0 };
    class CountingWorker extends Worker {
      private readonly asked = new Set<number>();
      constructor(url: string | URL, options?: WorkerOptions) {
        super(url, options);
        // Before the page's own listener, which may ask anew at once.
        this.addEventListener("message", ({ data }: MessageEvent<{ call: number }>) => {
          if (this.asked.delete(data.call)) calls.open--;
        });
      }
      override postMessage(
        message: { kind: string; call: number },
        transfer?: Transferable[] | StructuredSerializeOptions,
      ): void {
        if (message.kind === "detect") {
          this.asked.add(message.call);
          calls.total++;
          calls.most = Math.max(calls.most, ++calls.open);
        }
        super.postMessage(message, transfer as Transferable[]);
      }
    }
    Object.assign(globalThis, { calls, Worker: CountingWorker });
  });
  await page.reload();
}
