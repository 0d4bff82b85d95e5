/**
 * The page's cold start: from navigation to the first boxes, in a Chromium that is started anew for each visit. The page opens its own sample as soon as
 * its model can be used, as a visitor would who presses at once.
 *
 *   npm run build && npm run build:web
 *   node bench/first-visit.ts [FOLDER…]         folders of built pages, default dist-web; visits are interleaved
 *
 * Prints milliseconds of each visit and their median: until the model can be used, and until boxes are shown.
 */
import path from "node:path";
import { chromium } from "playwright-core";
import { serveFolders } from "../dist/serve.js";
import { median } from "./_peer.ts";

const visits = 5;
const args = process.argv.slice(2);
const folders = args.length ? args : [path.join(import.meta.dirname, "../dist-web")];
const roots = Object.fromEntries(folders.map((folder, i) => [`page${i}`, path.resolve(folder)]));
const server = await serveFolders(roots, { port: 0 });

interface Visit {
  ready: number;
  boxes: number;
  shown: string;
}

async function visit(name: string): Promise<Visit> {
  const browser = await chromium.launch({
    executablePath: process.env.NCNNKIT_CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"],
  });
  try {
    const page = await browser.newPage({ serviceWorkers: "block" });
    await page.addInitScript(() => {
      const marks: Record<string, number> = {};
      Object.assign(globalThis, { marks });
      new MutationObserver(() => {
        const sample = document.getElementById("empty-sample");
        if (sample && !sample.hidden && !marks.ready) {
          marks.ready = performance.now();
          sample.click();
        }
        if (document.querySelector("#found")?.textContent) marks.boxes ??= performance.now();
      }).observe(document, { subtree: true, childList: true, attributes: true });
    });
    await page.goto(`${server.url}${name}/`);
    await page.waitForFunction(() => (globalThis as unknown as { marks: Visit }).marks.boxes > 0);
    const marks = await page.evaluate(() => (globalThis as unknown as { marks: Visit }).marks);
    return { ...marks, shown: (await page.textContent("#found")) ?? "" };
  } finally {
    await browser.close();
  }
}

const found = new Map<string, Visit[]>(Object.keys(roots).map((name) => [name, []]));
for (let i = 0; i < visits; i++) for (const [name, list] of found) list.push(await visit(name));
for (const [i, [name, list]] of [...found].entries()) {
  const text = (key: "ready" | "boxes"): string =>
    `${Math.round(median(list.map((each) => each[key])))} ms (${list.map((each) => Math.round(each[key])).join(" ")})`;
  console.log(`${folders[i]}: model ${text("ready")}, boxes ${text("boxes")}`);
  if (new Set(list.map(({ shown }) => shown)).size > 1) console.log(`${name}: visits differ in their boxes`);
}
const [first, ...others] = [...found.values()].map(([{ shown }]) => shown);
if (others.some((shown) => shown !== first)) console.log("the folders differ in their boxes");
await server.stop();
