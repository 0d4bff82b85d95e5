/** What a link says is done, what is done is said in the address, and a page at work is not left without a question. */
import path from "node:path";
import type { Page } from "playwright-core";
import sharp from "sharp";
import { describe, expect, test } from "vitest";
import { generatePicture } from "../../training/pictures/index.ts";
import { temporaryFolder } from "../cli/_run.ts";
import { canRun, useSite } from "./site.ts";
import { choose, modelReady, openSample } from "./visitor.ts";

const root = path.join(import.meta.dirname, "../..");
const checkpoint = path.join(root, "models/codefinder.pt");
const sample = path.join(root, "web/public/sample.webp");

const folder = temporaryFolder();
/** Pictures with codes, as the sample is. */
async function pictures(count: number): Promise<string[]> {
  const files = Array.from({ length: count }, (_, i) => path.join(folder, `${i}.png`));
  for (const [i, file] of files.entries()) {
    const { width, height, data } = generatePicture(i, { size: 320, split: "held-out" }).picture;
    await sharp(data, { raw: { width, height, channels: 3 } })
      .png()
      .toFile(file);
  }
  return files;
}

const query = (page: Page): string => decodeURIComponent(new URL(page.url()).search);

describe.runIf(canRun)("the address of the page", () => {
  const site = useSite();

  test("it follows size, threads and model, and opens what it says", async () => {
    const page = await site.open("shipped/");
    await modelReady(page);
    expect(query(page)).toBe("");
    await page.selectOption("#size", "256");
    await page.click("#model-2");
    await modelReady(page);
    await page.waitForFunction(() => location.search.includes("model"));
    expect(query(page)).toBe("?size=256&model=models/codefinder.pt");
    await page.reload();
    await modelReady(page);
    expect(await page.inputValue("#size")).toBe("256");
    expect(await page.isChecked("#model-2")).toBe(true);
    expect(await page.locator(".model").count()).toBe(2);
    await page.click("#model-1");
    await page.waitForFunction(() => !location.search.includes("model"));
    await page.context().close();
  });

  test("more threads than there can be, and models that cannot be had, are told; the page's own stands in", async () => {
    const other = "https://models.example.invalid/net.param";
    const page = await site.open(`shipped/?threads=64&model=${other}`);
    await page.waitForFunction(() => document.querySelectorAll(".notice").length === 3);
    const notices = (await page.locator(".notice").allTextContents()).join("\n");
    expect(notices).toContain("Not 64 threads");
    expect(notices).toMatch(/models\.example\.invalid cannot be reached, or does not let other pages.*CORS/);
    expect(notices).toContain("codefinder, which comes with this page, is used instead");
    await modelReady(page);
    expect(query(page)).toBe("");
    expect(await page.inputValue("#threads")).toBe("1");
    await page.context().close();
  });

  test("a sample is one tap away; turning the phone keeps the picture's shape", async () => {
    const page = await site.open("shipped/", { viewport: { width: 390, height: 844 } });
    await openSample(page);
    expect(await page.textContent("#found")).toContain("PDF417");
    for (const [width, height] of [
      [390, 844],
      [844, 390],
      [390, 844],
    ]) {
      await page.setViewportSize({ width, height });
      await page.waitForTimeout(150);
      const seen = await page.evaluate(() => {
        const [stage, picture] = ["#stage", "#screen img"].map((one) => document.querySelector(one)!);
        const { width: w, height: h } = stage.getBoundingClientRect();
        return { fit: getComputedStyle(picture).objectFit, w, h, top: stage.getBoundingClientRect().top };
      });
      expect(seen.fit).toBe("contain");
      expect(Math.min(seen.w, seen.h)).toBeGreaterThan(250);
      expect(seen.top + seen.h).toBeLessThanOrEqual(height);
    }
    await page.context().close();
  });

  test("while it converts, the title tells how far, leaving asks, and afterwards there is something to see", async () => {
    const page = await site.open("plain/");
    await page.click("#tab-convert");
    await choose(page, "#pick-convert-model", [checkpoint]);
    await choose(page, "#pick-pictures", [sample, ...(await pictures(7))]);
    await page.selectOption("#method", "minmax");
    await page.click("#convert-start");
    await page.waitForFunction(() => /^[1-9]\d? % codefinder/.test(document.title));
    const asked = new Promise<string>((resolve) => {
      page.once("dialog", (dialog) => {
        resolve(dialog.type());
        void dialog.dismiss();
      });
    });
    await page.close({ runBeforeUnload: true });
    expect(await asked).toBe("beforeunload");
    await page.waitForSelector("#result:not([hidden])", { timeout: 60_000 });
    expect(await page.title()).toMatch(/^ncnnkit/);
    await page.click("#try");
    await page.waitForSelector(".chip");
    expect(await page.locator("#screen img").count()).toBe(1);
    await page.context().close();
  }, 120_000);
});
