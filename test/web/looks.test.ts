/**
 * How the page looks in ten states, against small pictures in `looks/`, so coarse that the smoothing of letters does not count, but a
 * thing that is gone, moved or of another colour does. `looks/made-with.json` says which Chromium drew them, and how wide it sets some
 * texts: where these widths are others the fonts are, and nothing is compared. Made anew by `UPDATE_LOOKS=1 npx vitest run test/web/looks`.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import type { Page } from "playwright-core";
import sharp from "sharp";
import { beforeAll, describe, expect, test } from "vitest";
import { axeFindings, faults } from "./inspect.ts";
import { canRun, useSite } from "./site.ts";
import { drop, modelReady, openSample } from "./visitor.ts";

const folder = path.join(import.meta.dirname, "looks");
const record = path.join(folder, "made-with.json");
const isMade = process.env.UPDATE_LOOKS !== undefined;
/** The pictures are smaller by this. */
const coarse = 4;

const phone = { width: 390, height: 844 };
const desk = { width: 1440, height: 900 };

interface Look {
  where?: string;
  view: { width: number; height: number };
  scheme?: "light" | "dark";
  go?(page: Page): Promise<unknown>;
}

const looks: Record<string, Look> = {
  "ready-phone": { view: phone, go: modelReady },
  "ready-desk-dark": { view: desk, scheme: "dark", go: modelReady },
  "sample-phone": { view: phone, go: openSample },
  "sample-side": { view: { width: 844, height: 390 }, scheme: "dark", go: openSample },
  "sample-desk": { view: desk, go: openSample },
  "empty-tablet": { where: "plain/", view: { width: 768, height: 1024 } },
  "error-phone-dark": {
    view: phone,
    scheme: "dark",
    async go(page) {
      await openSample(page);
      await drop(page, { "broken.param": "7767517\n3 x\n" });
      await page.waitForSelector(".notice");
    },
  },
  "boxes-desk-dark": {
    view: desk,
    scheme: "dark",
    async go(page) {
      await openSample(page);
      await page.click("#boxes summary");
    },
  },
  "convert-phone": { where: "plain/", view: phone, go: (page) => page.click("#tab-convert") },
  "convert-desk": { where: "plain/", view: desk, go: (page) => page.click("#tab-convert") },
};

/** Widths of texts in pixels. */
const widths = (page: Page): Promise<number[]> =>
  page.evaluate(() =>
    ["400 16px", "600 16px", "680 36px"].map((font) => {
      const context = document.createElement("canvas").getContext("2d")!;
      context.font = `${font} system-ui, sans-serif`;
      return Math.round(context.measureText("Detect objects in this tab: 0123456789").width);
    }),
  );

describe.runIf(canRun)("looks", () => {
  const site = useSite();
  let isAlike = true;
  beforeAll(async () => {
    const page = await site.open("plain/");
    const probe = { chromium: site.browser.version(), widths: await widths(page) };
    await page.context().close();
    if (isMade) {
      mkdirSync(folder, { recursive: true });
      const { chromium, widths: wide } = probe;
      writeFileSync(record, `{\n  "chromium": "${chromium}",\n  "widths": [${wide.join(", ")}]\n}\n`);
      return;
    }
    const made = JSON.parse(readFileSync(record, "utf8")) as typeof probe;
    isAlike = made.widths.join() === probe.widths.join();
    if (!isAlike)
      console.warn(
        `the looks were made with Chromium ${made.chromium} and other fonts: pictures are not compared`,
      );
  }, 120_000);

  test.each(Object.entries(looks))("%s", async (name, { where = "shipped/", view, scheme = "light", go }) => {
    const page = await site.open(where, { viewport: view, colorScheme: scheme, locale: "en" });
    await go?.(page);
    // Times differ, and so does what is told of the machine.
    await page.addStyleTag({
      content:
        ".numbers, .machine, #threads, #threads-hint { visibility: hidden !important } * { caret-color: transparent; transition: none !important }",
    });
    await page.waitForTimeout(200);
    const shot = await page.screenshot();
    expect(await faults(page)).toEqual([]);
    expect(await axeFindings(page)).toEqual([]);
    await page.context().close();
    const size = { width: Math.round(view.width / coarse), height: Math.round(view.height / coarse) };
    const small = sharp(shot).removeAlpha().resize(size);
    const file = path.join(folder, `${name}.png`);
    if (isMade) writeFileSync(file, await small.png({ palette: true, colours: 128, effort: 10 }).toBuffer());
    if (!isAlike || !existsSync(file)) return;
    const now = await small.raw().toBuffer();
    const then = await sharp(file).removeAlpha().raw().toBuffer();
    const apart = now.map((level, i) => Math.abs(level - then[i]));
    const mean = apart.reduce((sum, each) => sum + each, 0) / apart.length;
    const far = apart.filter((each) => each > 48).length / apart.length;
    expect(mean, `${name}: mean difference of levels`).toBeLessThan(3);
    expect(far, `${name}: share of pixels that are others`).toBeLessThan(0.01);
  });
});
