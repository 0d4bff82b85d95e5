/** The built page in Chromium: built once into a temporary folder, served with and without isolation, beside the models. */
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { RESPONSE_ALREADY_SENT } from "@hono/node-server/utils/response";
import { Hono } from "hono";
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, expect } from "vitest";
import { filesApp } from "../../src/node/serve/files.ts";
import { listen, type NodeApp } from "../../src/node/serve/listen.ts";
import { chromiumPath } from "../browser/page.ts";
import { run } from "../cli/_run.ts";
import { dataRoot } from "../data.ts";

export const canRun = existsSync(chromiumPath);
if (!canRun) console.warn(`no ${chromiumPath}: tests of the page are skipped (CI requires them)`);

const root = path.resolve(import.meta.dirname, "../..");
export interface Site {
  /** The built page. */
  readonly folder: string;
  readonly browser: Browser;
  /** Address of the page, or of shared data below `data/`. */
  url(where: string): string;
  /**
   * A page of its own context: at `isolated/` or `plain/` from a host that ships no models, at `shipped/` as it is built.
   * Errors of the page fail the test through `errors`.
   */
  open(where: string, options?: BrowserContextOptions): Promise<Page>;
  readonly errors: string[];
  /** While it is down, the server breaks every connection. */
  setDown(down: boolean): void;
  close(): Promise<void>;
}

/** Builds in a process of its own, since this one's NODE_ENV is not that of a visitor's page. */
export function buildPage(): string {
  const folder = mkdtempSync(path.join(tmpdir(), "ncnnkit-page-"));
  const vite = path.join(root, "node_modules/vite/bin/vite.js");
  execFileSync(process.execPath, [vite, "build", "web", "--logLevel", "warn", "--outDir", folder], {
    cwd: root,
    env: { ...process.env, NODE_ENV: "production" },
    stdio: "inherit",
  });
  return folder;
}

/** `cameraFile`: what the browser's camera shows. */
async function startSite(cameraFile?: string): Promise<Site> {
  const folder = buildPage();
  let down = false;
  const app: NodeApp = new Hono();
  app.use(async (context, next) => {
    if (!down) return next();
    context.env.outgoing.destroy();
    return RESPONSE_ALREADY_SENT;
  });
  for (const mount of ["isolated", "plain", "shipped"]) {
    if (mount !== "shipped") app.get(`/${mount}/models.json`, (context) => context.body('{ "models": [] }'));
    app.route("/", filesApp({ [mount]: folder }, { isolated: mount === "isolated" }));
  }
  app.route("/", filesApp({ data: dataRoot }, { isolated: false }));
  const server = await listen(app, { port: 0 });
  const browser = await chromium.launch({
    executablePath: chromiumPath,
    args: [
      ...["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"],
      ...["--disable-component-update", "--disable-sync", "--use-fake-ui-for-media-stream"],
      "--use-fake-device-for-media-stream",
      ...(cameraFile ? [`--use-file-for-fake-video-capture=${cameraFile}`] : []),
    ],
  });
  const url = (where: string): string => `${server.url}${where}`;
  const errors: string[] = [];
  return {
    ...{ folder, browser, url, errors },
    open: async (where, options = {}) => {
      const context = await browser.newContext({ serviceWorkers: "block", ...options });
      context.setDefaultTimeout(25_000);
      const page = await context.newPage();
      page.on("pageerror", (error) => errors.push(error.message));
      await page.goto(url(where));
      return page;
    },
    setDown: (now) => {
      down = now;
      server.disconnect();
    },
    close: async () => {
      await browser.close();
      await server.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** The site of a group of tests: there before them, gone after them, and errors of its pages fail them. */
export function useSite(cameraFile?: () => Promise<string>): Site {
  const site = {} as Site;
  beforeAll(async () => {
    Object.assign(site, await startSite(await cameraFile?.()));
  }, 120_000);
  afterAll(() => site.close?.());
  afterEach(() => expect(site.errors.splice(0)).toEqual([]));
  return site;
}

export interface RowBox {
  label: string;
  score: number;
  box: { x: number; y: number; width: number; height: number };
}

/** The table of boxes on the page. */
export async function shownBoxes(page: Page): Promise<RowBox[]> {
  const rows = await page.$$eval("#rows tr", (all) =>
    all.map((row) => [...row.children].map((cell) => cell.textContent ?? "")),
  );
  return rows.map(([label, score, ...sides]) => {
    const [x, y, width, height] = sides.map(Number);
    return { label, score: Number(score), box: { x, y, width, height } };
  });
}

export function overlap(a: RowBox["box"], b: RowBox["box"]): number {
  const width = Math.min(a.x + a.width, b.x + b.width) - Math.max(a.x, b.x);
  const height = Math.min(a.y + a.height, b.y + b.height) - Math.max(a.y, b.y);
  const shared = Math.max(width, 0) * Math.max(height, 0);
  return shared / (a.width * a.height + b.width * b.height - shared);
}

/** Side of the input of most tests. */
export const pageSize = 320;

export const modelLoaded = (page: Page, count: number): Promise<unknown> =>
  page.waitForFunction((n) => document.querySelectorAll(".model .badge").length === n, count);
export const openBoxes = (page: Page): Promise<unknown> =>
  page.locator("#boxes").evaluate((details) => details.setAttribute("open", ""));

/** The table as soon as it is another one than `before`. */
export async function nextBoxes(page: Page, before = ""): Promise<{ boxes: RowBox[]; text: string }> {
  await page.waitForFunction((old) => {
    const text = document.querySelector("#rows")?.textContent;
    return text && text !== old;
  }, before);
  return { boxes: await shownBoxes(page), text: (await page.textContent("#rows")) ?? "" };
}

export async function commandLineBoxes(model: string, picture: string, ...more: string[]): Promise<RowBox[]> {
  const { out } = await run("detect", model, picture, "--json", "--size", String(pageSize), ...more);
  return (JSON.parse(out) as { images: { detections: RowBox[] }[] }).images[0].detections;
}

/** Every box has its like, but for scores at the very limit. */
export function expectSame(
  found: readonly RowBox[],
  wanted: readonly RowBox[],
  limits = { iou: 0.98, score: 0.01 },
): void {
  const sure = (boxes: readonly RowBox[]): RowBox[] =>
    boxes.filter(({ score }) => score > 0.25 + limits.score);
  expect(sure(wanted).length).toBeGreaterThan(1);
  for (const [some, others] of [
    [wanted, found],
    [found, wanted],
  ]) {
    for (const { label, score, box } of sure(some)) {
      const like = others.filter(
        (other) => other.label === label && Math.abs(other.score - score) <= limits.score,
      );
      const best = Math.max(0, ...like.map((other) => overlap(other.box, box)));
      expect(best, `${label} ${score}`).toBeGreaterThanOrEqual(limits.iou);
    }
  }
}

export const overflow = (page: Page): Promise<number> =>
  page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
