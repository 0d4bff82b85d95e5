/**
 * What the page shows of itself where it is installed: the sample picture with what is found in it, on a phone and on a desk, to
 * `web/public/screenshots/` in the sizes that the manifest says (needs Node 24, chromium, `npm run build:web`; build again afterwards).
 */
import { readFileSync } from "node:fs";
import path from "node:path";
import { chromium } from "playwright-core";
import sharp from "sharp";
import { servePage } from "../src/cli/serve-page.ts";
import { openSample } from "../test/web/visitor.ts";

interface Listed {
  src: string;
  sizes: string;
}

const root = path.join(import.meta.dirname, "..");
const folder = path.join(root, "web/public");
const { screenshots } = JSON.parse(readFileSync(path.join(folder, "manifest.webmanifest"), "utf8")) as {
  screenshots: Listed[];
};
const server = await servePage(path.join(root, "dist-web"), 0, "127.0.0.1");
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu"],
});
for (const { src, sizes } of screenshots) {
  const [width, height] = sizes.split("x").map(Number);
  const page = await browser.newPage({
    viewport: { width, height },
    serviceWorkers: "block",
    locale: "en",
    colorScheme: "light",
  });
  await page.goto(`http://localhost:${server.port}/`);
  await openSample(page);
  await page.waitForTimeout(500);
  const file = path.join(folder, src);
  const { size } = await sharp(await page.screenshot())
    .webp({ quality: 80, effort: 6 })
    .toFile(file);
  process.stdout.write(`${file}: ${sizes}, ${size} bytes\n`);
  await page.close();
}
await browser.close();
await server.stop();
