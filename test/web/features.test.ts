/** What a visitor does with what was found: each thing as it is used, on few page loads. */
import { readFileSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { unzipSync } from "fflate";
import { chromium } from "playwright-core";
import sharp from "sharp";
import { expect, test } from "vitest";
import { chromiumPath } from "../browser/page.ts";
import { describeDataIf } from "../data.ts";
import { codes, dropVideo, int8, openShipped, pixelsDrawn, saved, shot } from "./shipped.ts";
import { canRun, nextBoxes, openBoxes, overflow, useSite } from "./site.ts";
import { choose, modelReady } from "./visitor.ts";

describeDataIf(canRun, "what was found", () => {
  const site = useSite();

  test("classes and boxes are hidden, marked and labelled; boxes go to files and the clipboard", async () => {
    const page = await openShipped(site, "", { permissions: ["clipboard-read", "clipboard-write"] });
    await openBoxes(page);
    await choose(page, "#use-picture", [await codes(72)]);
    const { boxes } = await nextBoxes(page);
    expect(boxes.length).toBeGreaterThan(2);
    const all = await pixelsDrawn(page);
    await shot(page, "boxes");

    // A class goes and comes back.
    const chip = page.locator(".chip").first();
    await chip.click();
    expect(await chip.getAttribute("aria-pressed")).toBe("false");
    const fewer = await pixelsDrawn(page);
    expect(fewer).toBeLessThan(all);
    await shot(page, "class-hidden");
    await chip.click();
    expect(await pixelsDrawn(page)).toBe(all);

    // So does a single box; it leaves the files too.
    await page.selectOption("#format", "csv");
    const lines = async (): Promise<string[]> => {
      const { name, bytes } = await saved(page, "#save-boxes");
      expect(name).toBe("codes-72-boxes.csv");
      return bytes.toString().trim().split("\n").slice(1);
    };
    const before = await lines();
    expect(before.map((line) => line.split(",")[1])).toEqual(boxes.map(({ label }) => label));
    await page.locator("#rows .quiet").first().click();
    expect(await lines()).toEqual(before.slice(1));
    await page.locator("#rows .quiet").first().click();

    // Row and box belong together, both ways.
    await page.locator("#rows .pick").nth(1).focus();
    expect(await pixelsDrawn(page)).not.toBe(all);
    const { x, y, width, height } = boxes[0].box;
    await page.evaluate(() => scrollTo(0, 0));
    const spot = await page.$eval(
      "#overlay",
      (canvas, [px, py]) => {
        const { left, top, width: w, height: h } = canvas.getBoundingClientRect();
        const scale = Math.min(w / 320, h / 320);
        return [left + (w - 320 * scale) / 2 + px * scale, top + (h - 320 * scale) / 2 + py * scale];
      },
      [x + width / 2, y + height / 2],
    );
    await page.mouse.click(spot[0], spot[1]);
    expect(await page.locator("#rows .chosen .pick").textContent()).toBe(boxes[0].label);
    await shot(page, "box-chosen");

    // Without labels less is drawn, with all of them no less than with those that have room.
    await page.selectOption("#labels", "none");
    await page.locator("#rows .pick").first().click();
    const bare = await pixelsDrawn(page);
    expect(bare).toBeLessThan(all);
    await page.selectOption("#labels", "all");
    expect(await pixelsDrawn(page)).toBeGreaterThanOrEqual(all);

    const contents: Record<string, string> = {};
    for (const format of ["json", "yolo", "coco"]) {
      await page.selectOption("#format", format);
      contents[format] = (await saved(page, "#save-boxes")).bytes.toString();
    }
    const count = boxes.length;
    expect(JSON.parse(contents.json)).toMatchObject({ file: "codes-72", width: 320, height: 320 });
    expect((JSON.parse(contents.json) as { detections: object[] }).detections.length).toBe(count);
    expect(contents.yolo.trim().split("\n").length).toBe(count);
    expect((JSON.parse(contents.coco) as object[]).length).toBe(count);
    await page.click("#copy-boxes");
    await page.waitForFunction(() => document.getElementById("copy-boxes")?.textContent === "Copied");
    expect(await page.evaluate(() => navigator.clipboard.readText())).toBe(contents.coco);

    const picture = await saved(page, "#save");
    expect(picture.name).toBe("codes-72-boxes.jpg");
    const { data } = await sharp(picture.bytes).raw().toBuffer({ resolveWithObject: true });
    const original = await sharp(await codes(72))
      .raw()
      .toBuffer();
    const changed = original.filter((level, i) => Math.abs(level - data[i]) > 60).length;
    expect(changed).toBeGreaterThan(original.length / 100);
    expect(await overflow(page)).toBe(0);
    await page.context().close();
  });

  test("camera: its light and the screen are on only while it is looked at; another camera, zoom, light", async () => {
    const page = await openShipped(site, "", { permissions: ["camera"] });
    await page.evaluate(() => {
      const tracks: MediaStreamTrack[] = [];
      const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
      navigator.mediaDevices.getUserMedia = async (wish) => {
        const stream = await open(wish);
        tracks.push(...stream.getTracks());
        return stream;
      };
      const seen: { tracks: MediaStreamTrack[]; wanted: object[]; locks: number } = {
        tracks,
        wanted: [],
        locks: 0,
      };
      Object.assign(globalThis, { tracks, seen });
      // A phone's back camera: it has a light and can zoom, and there is another one.
      Object.assign(MediaStreamTrack.prototype, {
        getCapabilities: () => ({ torch: true, zoom: { min: 1, max: 4, step: 0.1 } }),
        applyConstraints: async (wish: object) => void seen.wanted.push(wish),
      });
      navigator.mediaDevices.enumerateDevices = async () =>
        ["front", "back"].map((label) => ({ kind: "videoinput", deviceId: label, label }) as MediaDeviceInfo);
      Object.defineProperty(navigator, "wakeLock", {
        value: {
          request: async () => {
            seen.locks++;
            const lock = {
              released: false,
              release: async () => {
                seen.locks--;
                lock.released = true;
              },
            };
            return lock;
          },
        },
      });
    });
    const seen = (): Promise<{ wanted: object[]; locks: number }> =>
      page.evaluate(() => {
        const { wanted, locks } = (globalThis as unknown as { seen: { wanted: object[]; locks: number } })
          .seen;
        return { wanted, locks };
      });
    const on = (): Promise<number> =>
      page.evaluate(
        () =>
          (globalThis as unknown as { tracks: MediaStreamTrack[] }).tracks.filter(
            ({ readyState }) => readyState === "live",
          ).length,
      );
    await page.click("#use-camera");
    await page.waitForFunction(() => Number(document.getElementById("rate")?.textContent) > 0);
    expect(await on()).toBe(1);
    expect((await seen()).locks).toBe(1); // the screen stays on
    expect(await page.$$eval("#camera option", (all) => all.map(({ textContent }) => textContent))).toEqual([
      "front",
      "back",
    ]);
    await page.locator("#zoom").fill("2");
    await page.check("#torch");
    expect((await seen()).wanted).toEqual([{ advanced: [{ zoom: 2 }] }, { advanced: [{ torch: true }] }]);
    expect(await page.isVisible("#flip")).toBe(true);
    await shot(page, "camera");
    await page.click("#pause");
    await page.waitForSelector('#pause[aria-pressed="true"]');
    expect(await on()).toBe(0);
    expect((await seen()).locks).toBe(0);
    expect(await page.isVisible("#still")).toBe(true);
    await shot(page, "camera-paused");
    await page.click("#pause");
    await page.waitForSelector('#pause[aria-pressed="false"]');
    expect(await on()).toBe(1);
    await page.click("#tab-convert");
    await page.waitForSelector('#pause[aria-pressed="true"]', { state: "attached" });
    expect(await on()).toBe(0);
    await page.click("#tab-detect");
    await page.waitForSelector('#pause[aria-pressed="false"]');
    expect(await on()).toBe(1);
    // So it is while the tab is hidden.
    const hide = (hidden: boolean): Promise<void> =>
      page.evaluate((value) => {
        Object.defineProperty(document, "hidden", { value, configurable: true });
        document.dispatchEvent(new Event("visibilitychange"));
      }, hidden);
    await hide(true);
    await page.waitForSelector('#pause[aria-pressed="true"]');
    expect(await on()).toBe(0);
    await hide(false);
    await page.waitForSelector('#pause[aria-pressed="false"]');
    // What is shown is the frame that was looked at.
    expect(await page.isVisible("#still")).toBe(true);
    await page.context().close();
  });

  test("two models on one picture and on the camera; a model card with times", async () => {
    const page = await openShipped(site, "", { permissions: ["camera"] });
    await choose(page, "#use-picture", [await codes(72)]);
    await page.waitForSelector(".chip");
    await page.click("#tool-compare");
    await page.waitForSelector("#comparing tbody tr");
    expect(await page.textContent("#comparing tbody")).toMatch(/codefinder-int8\d.*codefinder\d/);
    expect(await page.textContent("#comparing .hint")).toMatch(/^[1-9]\d* found by both/);
    await shot(page, "compare");
    // All of it to the second model, then to the first, as it is without the second.
    await page.locator(".divider").fill("0");
    const second = await pixelsDrawn(page);
    await page.locator(".divider").fill("1");
    const first = await pixelsDrawn(page);
    expect(second).not.toBe(first);
    await page.click("#tool-compare");
    await page.waitForFunction(() => !document.querySelector(".divider"));
    expect(await pixelsDrawn(page)).toBe(first);
    await page.click("#tool-compare");
    await page.waitForSelector("#comparing tbody tr");
    await page.click("#use-camera");
    await page.waitForSelector(".pair-view:not([hidden])");
    await shot(page, "compare-camera");
    await page.click("#tool-compare");
    expect(await page.locator(".pair-view").count()).toBe(0);

    await page.click("#tool-card");
    expect(await page.textContent(".card-facts")).toMatch(/Input320×320, RGB.*Classes\d+: .*Fidelity/s);
    await page.click("#time-layers");
    await page.waitForFunction(() =>
      /ms in all/.test(document.querySelector("dialog .hint")?.textContent ?? ""),
    );
    const times = await page.$$eval("#layers td:last-child", (cells) =>
      cells.map((cell) => Number(cell.textContent)),
    );
    expect(times.filter((ms) => ms > 0).length).toBeGreaterThan(10);
    await shot(page, "model-card");
    await page.keyboard.press("Escape");
    await page.waitForSelector("dialog", { state: "detached" });
    await page.context().close();
  });

  test("many pictures: a grid, a table, a zip", async () => {
    const page = await openShipped(site);
    const files = [await codes(72), await codes(73), await codes(74)];
    await choose(page, "#use-picture", files);
    await page.waitForFunction(() =>
      /[1-9] box/.test(document.querySelector(".card:last-child small")?.textContent ?? ""),
    );
    await page.click("#batch summary");
    const rows = await page.$$eval("#batch tbody tr", (all) =>
      all.map((row) => [...row.children].map((cell) => cell.textContent)),
    );
    expect(rows.map(([name]) => name)).toEqual(["codes-72.png", "codes-73.png", "codes-74.png", "in all"]);
    await shot(page, "batch");
    const { name, bytes } = await saved(page, "#batch-zip");
    expect(name).toBe("pictures-boxes.zip");
    const zip = unzipSync(new Uint8Array(bytes));
    expect(Object.keys(zip).sort()).toEqual(
      [
        ...["boxes.csv", "boxes.json", "classes.txt", "coco.json"],
        ...[72, 73, 74].flatMap((seed) => [`labels/codes-${seed}.txt`, `pictures/codes-${seed}.jpg`]),
      ].sort(),
    );
    const json = JSON.parse(Buffer.from(zip["boxes.json"]).toString()) as {
      images: { detections: object[] }[];
    };
    expect(json.images.map(({ detections }) => String(detections.length))).toEqual(
      rows.slice(0, 3).map(([, count]) => count),
    );
    await page.locator(".card").nth(1).click();
    await page.waitForFunction(
      () => document.querySelector<HTMLImageElement>("#screen img")?.alt === "codes-73.png",
    );
    expect(await overflow(page)).toBe(0);
    await page.click("#batch-close");
    expect(await page.isVisible("#batch")).toBe(false);
    await page.context().close();
  });

  test("a video: what is followed keeps its number, what crosses a line is counted, the clip is recorded", async () => {
    const page = await openShipped(site);
    await dropVideo(page, await codes(72));
    await page.waitForSelector('[data-state="video"]');
    await page.click("#tool-follow");
    await page.focus("#draw-line");
    await page.keyboard.press("Enter"); // one across the middle
    expect(await page.inputValue(".places input >> nth=1")).toBe("50 100, 50 0");
    await page.click("#tool-record");
    await page.waitForSelector('#pause[aria-pressed="true"]'); // at its end
    await page.locator(".transport input").fill("0");
    await page.click("#pause");
    await page.waitForFunction(
      () => Number(document.querySelector("#totals td:nth-child(2)")?.textContent) > 0,
      undefined,
      { timeout: 20_000 },
    );
    await openBoxes(page);
    await page.waitForFunction(() =>
      /^#\d/.test(document.querySelector<HTMLElement>(".pick")?.dataset.id ?? ""),
    );
    await shot(page, "follow");
    const clip = await saved(page, "#tool-record");
    expect(clip.name).toMatch(/^clip-boxes\.(mp4|webm)$/);
    expect(clip.bytes.length).toBeGreaterThan(5000);
    if (process.env.NCNNKIT_SHOTS) writeFileSync(path.join(process.env.NCNNKIT_SHOTS, clip.name), clip.bytes);
    const counts = JSON.parse((await saved(page, "#save-counts")).bytes.toString()) as {
      totals: { in: number }[];
    };
    expect(counts.totals[0].in).toBeGreaterThan(0);

    // A region by taps.
    await page.click("#draw-region");
    const stage = await page.locator("#stage").boundingBox();
    const { x = 0, y = 0, width = 0, height = 0 } = stage ?? {};
    for (const [px, py] of [
      [0.3, 0.3],
      [0.7, 0.3],
      [0.5, 0.6],
      [0.3, 0.3],
    ]) {
      await page.mouse.click(x + px * width, y + py * height);
    }
    expect(await page.locator(".places li").count()).toBe(2);
    await shot(page, "region");
    await page.click("#tool-follow");
    await page.context().close();
  });

  test("models and settings are remembered on this device, and forgotten", async () => {
    const page = await openShipped(site);
    await page.check("#remember");
    await choose(
      page,
      "#add-model",
      ["codefinder-int8.json", "codefinder-int8.param", "codefinder-int8.bin"].map((name) =>
        path.join(int8, name),
      ),
    );
    await choose(page, "#use-picture", [await codes(72)]);
    await page.locator("#confidence").fill("0.4");
    await page.waitForFunction(() =>
      /[45]\d\d KiB on this device/.test(document.getElementById("remembered")?.textContent ?? ""),
    );
    await page.reload();
    await page.waitForFunction(() => document.querySelectorAll(".model").length === 3);
    expect(await page.inputValue("#confidence")).toBe("0.4");
    await page.locator("#remember").scrollIntoViewIfNeeded();
    await shot(page, "remembered");
    await page.click("#forget");
    await page.waitForFunction(() => document.getElementById("remembered")?.textContent === "");
    await page.reload();
    await page.waitForFunction(() => document.querySelectorAll(".model").length === 2);
    await page.context().close();
  });

  test("shared pictures come in and go out; files that the system opens; the benchmark", async () => {
    const page = await openShipped(site, "", { serviceWorkers: "allow" });
    await page.evaluate(() => navigator.serviceWorker.ready);
    await page.waitForFunction(() => navigator.serviceWorker.controller !== null);
    const png = readFileSync(await codes(72)).toString("base64");
    // As an operating system shares it: a form is sent to the page.
    const [landed] = await Promise.all([
      page.waitForNavigation(),
      page.evaluate(async (base64) => {
        const bytes = Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
        const form = Object.assign(document.createElement("form"), { method: "post", action: "./share" });
        form.enctype = "multipart/form-data";
        const input = Object.assign(document.createElement("input"), { type: "file", name: "files" });
        const transfer = new DataTransfer();
        transfer.items.add(new File([bytes], "shared codes.png", { type: "image/png" }));
        input.files = transfer.files;
        form.append(input);
        document.body.append(form);
        form.submit();
      }, png),
    ]);
    expect(landed?.ok()).toBe(true);
    await page.waitForSelector(".chip");
    expect(await page.getAttribute("#screen img", "alt")).toBe("shared codes.png");
    expect(new URL(page.url()).search).toBe("");

    await page.evaluate(() => {
      const shared: File[] = [];
      Object.assign(globalThis, { shared });
      Object.assign(navigator, {
        canShare: () => true,
        share: async ({ files }: { files: File[] }) => void shared.push(...files),
      });
    });
    await page.click("#tool-share");
    await page.waitForFunction(
      () => (globalThis as unknown as { shared: File[] }).shared[0]?.type === "image/jpeg",
    );

    await page.click("#tab-benchmark");
    await page.fill("#bench-processor", "a processor of a test");
    await page.click("#bench-start");
    await page.waitForFunction(() => document.querySelectorAll("#bench-table tbody tr").length > 1);
    await page.click("#bench-start");
    await page.waitForSelector("#bench-json");
    expect(await page.textContent("#bench-said")).toMatch(
      /^a processor of a test · \d+ processors · Chrome \d+/,
    );
    await shot(page, "benchmark");
    const json = JSON.parse((await saved(page, "#bench-json")).bytes.toString()) as {
      backend: string;
      results: { name: string; timing: { median: number } }[];
    };
    expect(json.backend).toBe("wasm");
    expect(json.results[0]).toMatchObject({ name: "squeezenet" });
    expect(json.results[0].timing.median).toBeGreaterThan(0);
    const picture = await saved(page, "#bench-picture");
    expect((await sharp(picture.bytes).metadata()).width).toBe(1080);
    if (process.env.NCNNKIT_SHOTS)
      await sharp(picture.bytes).toFile(path.join(process.env.NCNNKIT_SHOTS, "bench.png"));
    expect(await overflow(page)).toBe(0);
    await page.context().close();

    // The system opens a file with the installed page.
    const other = await site.browser.newContext({ serviceWorkers: "block" });
    await other.addInitScript((base64) => {
      const bytes = Uint8Array.from(atob(base64), (char) => char.charCodeAt(0));
      const handle = { getFile: async () => new File([bytes], "opened.png", { type: "image/png" }) };
      const setConsumer = (take: (launch: object) => void): void => take({ files: [handle] });
      Object.defineProperty(globalThis, "launchQueue", { value: { setConsumer } });
    }, png);
    const launched = await other.newPage();
    await launched.goto(site.url("shipped/"));
    await launched.waitForSelector(".chip");
    expect(await launched.getAttribute("#screen img", "alt")).toBe("opened.png");
    await other.close();
  });

  test("Chinese, where the browser asks for it; English again by hand", async () => {
    const page = await openShipped(site, "", { locale: "zh-CN" });
    await page.waitForFunction(() => document.documentElement.lang === "zh-Hans");
    expect(await page.textContent("#tab-detect")).toBe("检测");
    await choose(page, "#use-picture", [await codes(72)]);
    await page.waitForSelector(".chip");
    expect(await page.textContent("#rate-name")).toBe("毫秒（本图）");
    expect(await page.textContent("#size option:checked")).toBe("320，默认");
    await page.waitForFunction(() => document.getElementById("machine")?.textContent?.includes("无 WebGPU")); // with the library
    await page.click("#tool-compare");
    await page.waitForSelector("#comparing tbody tr");
    expect(await page.textContent("#comparing .hint")).toMatch(/^两者都找到/);
    expect(await overflow(page)).toBe(0);
    await shot(page, "chinese");
    await page.selectOption("#language", "en");
    await page.waitForFunction(() => document.documentElement.lang === "en");
    expect(await page.textContent("#tab-detect")).toBe("Detect");
    expect(await page.textContent("#rate-name")).toBe("ms this picture");
    await page.reload();
    expect(await page.textContent("#tab-detect")).toBe("Detect");
    await page.context().close();
  });

  test("WebGPU, where the browser has it: the same boxes", async ({ skip }) => {
    const codesFile = await codes(72);
    const camera = path.join(path.dirname(codesFile), "codes.mjpeg");
    const jpeg = await sharp(codesFile).resize(640, 480, { fit: "contain" }).jpeg().toBuffer();
    writeFileSync(camera, Buffer.concat(Array<Buffer>(10).fill(jpeg)));
    const browser = await chromium.launch({
      executablePath: chromiumPath,
      args: [
        ...["--no-sandbox", "--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"],
        ...["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"],
        `--use-file-for-fake-video-capture=${camera}`,
      ],
    });
    const page = await browser.newPage();
    await page.goto(site.url("shipped/"));
    const hasAdapter = await page.evaluate(async () => (await navigator.gpu?.requestAdapter()) != null);
    if (!hasAdapter) {
      await browser.close();
      skip("this browser has no WebGPU adapter");
    }
    await modelReady(page);
    await openBoxes(page);
    await choose(page, "#use-picture", [await codes(72)]);
    const { boxes } = await nextBoxes(page);
    await page.waitForSelector("#backend option[value=webgpu]", { state: "attached" }); // with the library
    expect(await page.$$eval("#backend option", (all) => all.map(({ textContent }) => textContent))).toEqual([
      ...["The fastest", "WebAssembly", "WebGPU"],
    ]);
    await page.evaluate(() => document.querySelector("#rows")?.replaceChildren());
    await page.selectOption("#backend", "webgpu");
    await page.waitForFunction(() => document.getElementById("machine")?.textContent === "WebGPU");
    const other = await nextBoxes(page);
    expect(other.boxes.map(({ label }) => label)).toEqual(boxes.map(({ label }) => label));
    expect(page.url()).toContain("?backend=webgpu");
    // Its frames come back and are shown; where one is saved, it is read from what is left of it.
    await page.evaluate(() => document.querySelector("#rows")?.replaceChildren());
    await dropVideo(page, await codes(72));
    await page.waitForSelector('[data-state="video"]');
    expect((await nextBoxes(page)).boxes.length).toBeGreaterThan(0);
    await page.waitForSelector('#pause[aria-pressed="true"]'); // at its end
    const [download] = await Promise.all([page.waitForEvent("download"), page.click("#save")]);
    expect(statSync(await download.path()).size).toBeGreaterThan(2000);
    // The camera: frame after frame, each with its boxes.
    await page.evaluate(() => document.querySelector("#rows")?.replaceChildren());
    await page.click("#use-camera");
    await page.waitForSelector('[data-state="camera"]');
    expect((await nextBoxes(page)).boxes.length).toBeGreaterThan(0);
    await page.waitForFunction(() => Number(document.getElementById("rate")?.textContent) > 0);
    expect(await page.textContent("#machine")).toBe("WebGPU");
    await page.click("#pause");
    await browser.close();
  }, 120_000);

  test("without WebGPU, WebAssembly computes, and the page says so", async () => {
    const page = await site.open("shipped/?backend=webgpu");
    await page.waitForSelector("text=No WebGPU here");
    expect(await page.textContent("#machine")).toMatch(/thread.*SIMD, no WebGPU$/);
    expect(await page.isHidden("#backend")).toBe(true);
    await page.context().close();
  });
});
