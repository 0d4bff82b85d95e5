/** What tests of the page's features share: the shipped model, pictures that it is good at, and what is saved. */
import { readFileSync } from "node:fs";
import path from "node:path";
import type { Page } from "playwright-core";
import sharp from "sharp";
import { generatePicture } from "../../training/pictures/index.ts";
import { temporaryFolder } from "../cli/_run.ts";
import type { Site } from "./site.ts";
import { drop, modelReady, recordVideo } from "./visitor.ts";

const folder = temporaryFolder();
export const int8 = path.join(import.meta.dirname, "../../models/codefinder-int8");

/** A picture with codes, which the shipped model finds. */
export async function codes(seed: number): Promise<string> {
  const file = path.join(folder, `codes-${seed}.png`);
  const { width, height, data } = generatePicture(seed, { size: 320, split: "held-out" }).picture;
  await sharp(data, { raw: { width, height, channels: 3 } })
    .png()
    .toFile(file);
  return file;
}

/** The page's model is there, and looks at 320 pixels. */
export async function openShipped(site: Site, where = "", options = {}): Promise<Page> {
  const page = await site.open(`shipped/${where}`, { viewport: { width: 390, height: 844 }, ...options });
  await modelReady(page);
  return page;
}

/** How many pixels of the boxes' layer are painted, once the sheet beside it is at rest. */
export async function pixelsDrawn(page: Page): Promise<number> {
  await page.waitForFunction(() =>
    document.getAnimations().every(({ playState }) => playState !== "running"),
  );
  return page.$eval("#overlay", async (canvas) => {
    const nextFrame = () => new Promise((done) => requestAnimationFrame(done));
    await nextFrame(); // a new size is told after layout, and drawn with the frame after
    await nextFrame();
    const { width, height } = canvas as HTMLCanvasElement;
    const { data } = (canvas as HTMLCanvasElement).getContext("2d")!.getImageData(0, 0, width, height);
    return data.filter((_, i) => i % 4 === 3 && data[i] > 0).length;
  });
}

export async function saved(page: Page, selector: string): Promise<{ name: string; bytes: Buffer }> {
  const [file] = await Promise.all([page.waitForEvent("download"), page.click(selector)]);
  return { name: file.suggestedFilename(), bytes: readFileSync(await file.path()) };
}

/** With NCNNKIT_SHOTS, what the page looks like, to be looked at. */
export async function shot(page: Page, name: string): Promise<void> {
  const to = process.env.NCNNKIT_SHOTS;
  if (!to) return;
  const before = page.viewportSize();
  for (const scheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme: scheme });
    for (const [width, height] of [
      [390, 844],
      [1440, 900],
    ]) {
      await page.setViewportSize({ width, height });
      await page.waitForTimeout(150);
      await page.screenshot({ path: path.join(to, `${name}-${width}-${scheme}.png`) });
    }
  }
  await page.emulateMedia({ colorScheme: "light" });
  if (before) await page.setViewportSize(before);
}

/** A second and a half of video in which codes move to the right. */
export async function dropVideo(page: Page, picture: string): Promise<void> {
  await drop(page, { "clip.webm": await recordVideo(page, picture, { frames: 16, step: 18, from: -60 }) });
}
