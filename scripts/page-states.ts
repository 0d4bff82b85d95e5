/**
 * Goes over every state of the built page, on a phone, on its side, on a tablet and on a desk, light and dark: nothing may stick out, be cut
 * or be covered, and axe may find nothing. Writes a screenshot of each: `node scripts/page-states.ts OUT [STATE…]` (needs Node 24, chromium,
 * `npm run build:web`).
 */
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { type Browser, chromium, type Page } from "playwright-core";
import { servePage } from "../src/cli/serve-page.ts";
import { axeFindings, faults } from "../test/web/inspect.ts";
import { choose, drop, modelReady, openSample } from "../test/web/visitor.ts";

const root = path.join(import.meta.dirname, "..");
const [out = "out/page-states", ...only] = process.argv.slice(2);
const views = [
  [390, 844],
  [844, 390],
  [768, 1024],
  [1440, 900],
] as const;
const schemes = ["light", "dark"] as const;

const shared = path.join(root, "../shared");
const detector = ["models/yolov5ss.param", "models/yolov5ss.bin"].map((name) => path.join(shared, name));
const photographs = path.join(shared, "coco/images/val2017");
const photos = (count: number): string[] =>
  readdirSync(photographs)
    .slice(0, count)
    .map((name) => path.join(photographs, name));
const checkpoint = path.join(root, "models/codefinder.pt");

const openDetails = (page: Page): Promise<void> =>
  page.evaluate(() => {
    for (const details of document.querySelectorAll("details")) details.open = true;
  });

/** From the page as it is first seen. */
const states: Record<string, (page: Page) => Promise<unknown>> = {
  ready: modelReady,
  sample: openSample,
  async low(page) {
    await states.sample(page);
    await page.press("#grip", "Home");
    await page.waitForTimeout(300);
  },
  async high(page) {
    await states.sample(page);
    await page.press("#grip", "End");
    await page.waitForTimeout(300);
  },
  async everything(page) {
    await states.sample(page);
    await openDetails(page);
    await page.waitForTimeout(300);
  },
  async photo(page) {
    await modelReady(page);
    await choose(page, "#add-model", [path.join(shared, "models/yolov5ss.pt")]);
    await page.waitForFunction(() => document.querySelectorAll(".model .badge").length === 3);
    await choose(page, "#use-picture", photos(1));
    await page.waitForSelector(".chip");
  },
  async preview(page) {
    await modelReady(page);
    await choose(page, "#add-model", detector);
    await choose(page, "#use-picture", photos(1));
    await page.waitForSelector("#ask:not([hidden])");
    await page.waitForSelector(".chip");
    await page.click("#ask-tell");
  },
  async errors(page) {
    await states.sample(page);
    await drop(page, { "broken.param": "7767517\n3 x\n" });
    await drop(page, { "notes.xyz": "…" });
    await page.waitForFunction(() => document.querySelectorAll(".notice").length > 1);
    await page.evaluate(() => scrollTo(0, 9999));
  },
  async camera(page) {
    await modelReady(page);
    await page.click("#use-camera");
    await page.waitForFunction(() => Number(document.getElementById("rate")?.textContent) > 0);
  },
  async paused(page) {
    await states.camera(page);
    await page.click("#pause");
    await page.waitForTimeout(200);
  },
  async compare(page) {
    await states.sample(page);
    await page.click("#tool-compare");
    await page.waitForTimeout(1500);
  },
  async card(page) {
    await states.sample(page);
    await page.click("#tool-card");
    await page.waitForSelector("dialog[open]");
    await page.click("#time-layers");
    await page.waitForTimeout(1500);
  },
  async follow(page) {
    await states.camera(page);
    await page.click("#tool-follow");
    await page.waitForSelector("#draw-region");
  },
  async batch(page) {
    await modelReady(page);
    await choose(page, "#use-picture", [...photos(5), path.join(root, "web/public/sample.webp")]);
    await page.waitForSelector("#batch summary");
    await page.waitForTimeout(2500);
    await page.click("#batch summary");
  },
  async benchmark(page) {
    await page.click("#tab-benchmark");
    await page.waitForSelector("#bench-start");
  },
  async chinese(page) {
    await states.everything(page);
    await page.selectOption("#language", "zh");
    await page.waitForFunction(() => document.documentElement.lang === "zh-Hans");
  },
  async dropping(page) {
    await states.sample(page);
    await page.evaluate(() => {
      const veil = document.getElementById("dropping");
      if (veil) veil.hidden = false;
    });
  },
  async convert(page) {
    await page.click("#tab-convert");
  },
  async chosen(page) {
    await page.click("#tab-convert");
    await choose(page, "#pick-convert-model", [checkpoint]);
    await choose(page, "#pick-pictures", photos(30));
    await page.waitForSelector("#convert-start:not([disabled])");
    await page.waitForFunction(() => document.querySelectorAll("#thumbs li").length > 20);
  },
  async doubted(page) {
    await page.click("#tab-convert");
    await choose(page, "#pick-convert-model", detector);
    await choose(page, "#pick-pictures", photos(4));
    await page.waitForSelector("#convert-preview:not([hidden])");
    await page.click("#convert-ask-tell");
  },
  async converting(page) {
    await states.chosen(page);
    await page.click("#convert-start");
    await page.waitForFunction(() => document.querySelectorAll("#stages li").length > 2);
  },
  async result(page) {
    await page.click("#tab-convert");
    await choose(page, "#pick-convert-model", [checkpoint]);
    await choose(page, "#pick-pictures", photos(6));
    await page.selectOption("#method", "minmax");
    await page.click("#convert-start");
    await page.waitForSelector("#result:not([hidden])", { timeout: 120_000 });
    await page.waitForTimeout(500);
  },
  async old(page) {
    await page.addInitScript(() => {
      Reflect.deleteProperty(globalThis, "OffscreenCanvas");
    });
    await page.reload();
    await page.waitForSelector(".missing");
  },
};

/** Finding to where it was. */
const findings = new Map<string, string[]>();
const find = (what: string, where: string): void =>
  void findings.set(what, [...(findings.get(what) ?? []), where]);

/** The whole of the sheet that a phone scrolls in itself. */
async function shootSheet(page: Page, file: string): Promise<void> {
  const view = page.viewportSize();
  const hidden = await page.$eval("#panel", (panel) => panel.scrollHeight - panel.clientHeight);
  if (!view || hidden <= 0) return;
  // It is given less than half of what the screen gets.
  await page.setViewportSize({ ...view, height: view.height + 3 * hidden });
  await page.waitForTimeout(300);
  await page.locator("#panel").screenshot({ path: file.replace(".png", "-sheet.png") });
  await page.setViewportSize(view);
  await page.waitForTimeout(300);
}

async function look(browser: Browser, url: string, name: string): Promise<void> {
  const context = await browser.newContext({
    viewport: { width: 390, height: 844 },
    serviceWorkers: "block",
    permissions: ["camera"],
    bypassCSP: true,
  });
  context.setDefaultTimeout(30_000);
  const page = await context.newPage();
  const errors: string[] = [];
  page.on("pageerror", ({ message }) => errors.push(message));
  await page.goto(url);
  await states[name](page);
  for (const [width, height] of views) {
    await page.setViewportSize({ width, height });
    for (const scheme of schemes) {
      await page.emulateMedia({ colorScheme: scheme });
      await page.waitForTimeout(150);
      const file = path.join(out, `${name}-${width}x${height}-${scheme}.png`);
      const isTall = ["everything", "result", "preview", "doubted", "chinese", "benchmark", "batch"].includes(
        name,
      );
      await page.screenshot({ path: file, fullPage: isTall && scheme === "light" });
      if (isTall && scheme === "light") await shootSheet(page, file);
      const all = [
        ...(scheme === "light" ? await faults(page) : []),
        ...(await axeFindings(page)),
        ...errors.splice(0),
      ];
      for (const each of all) find(each, `${name} ${width}x${height} ${scheme}`);
    }
  }
  // The narrowest phone, and letters of twice the size.
  await page.setViewportSize({ width: 320, height: 640 });
  for (const each of await faults(page)) find(each, `${name} 320x640`);
  await page.setViewportSize({ width: 390, height: 844 });
  await page.addStyleTag({ content: "html { font-size: 200% }" });
  await page.waitForTimeout(150);
  await page.screenshot({ path: path.join(out, `${name}-390x844-large.png`) });
  for (const each of await faults(page)) find(each, `${name} large letters`);
  if (name === "result")
    writeFileSync(path.join(out, "report.html"), (await page.getAttribute("#report", "srcdoc")) ?? "");
  await context.close();
}

mkdirSync(out, { recursive: true });
const server = await servePage(path.join(root, "dist-web"), 0, "127.0.0.1");
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: [
    "--no-sandbox",
    "--disable-gpu",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
  ],
});
for (const name of only.length ? only : Object.keys(states)) {
  try {
    await look(browser, `http://localhost:${server.port}/?size=320`, name);
  } catch (error) {
    find(String(error), name);
  }
}
await browser.close();
await server.stop();
for (const [what, where] of findings)
  process.stdout.write(`${what}\n    ${where.length}: ${where.slice(0, 6).join(", ")}\n`);
process.stdout.write(`${findings.size} findings\n`);
process.exitCode = findings.size ? 1 : 0;
