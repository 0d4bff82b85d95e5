/** What a visit costs: bytes over the network, shifts of the layout; and what happens when the page or the network changes under it. */
import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import path from "node:path";
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { servePage } from "../../src/cli/serve-page.ts";
import { chromiumPath } from "../browser/page.ts";
import { buildPage, canRun, nextBoxes, openBoxes } from "./site.ts";
import { modelReady } from "./visitor.ts";

/** A wire to the server that counts what comes through, and can be cut. */
interface Wire {
  readonly url: string;
  /** Bytes to the browser. */
  received: number;
  /** What the browser asked for. */
  readonly asked: string[];
  /** Connections are made, and nothing comes. */
  dead: boolean;
  close(): void;
}

async function wireTo(port: number): Promise<Wire> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((near) => {
    const far = connect(port, "127.0.0.1");
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => {
        near.destroy();
        far.destroy();
      });
    }
    near.on("data", (bytes) => {
      for (const [, where] of bytes.toString("latin1").matchAll(/^GET (\S+) HTTP/gm)) wire.asked.push(where);
      if (!wire.dead) far.write(bytes);
    });
    far.on("data", (bytes) => {
      wire.received += bytes.length;
      if (!wire.dead) near.write(bytes);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const wire: Wire = {
    url: `http://localhost:${(server.address() as AddressInfo).port}/`,
    received: 0,
    asked: [],
    dead: false,
    close: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
  return wire;
}

const inCharge = async (page: Page): Promise<void> => {
  await page.evaluate(() => navigator.serviceWorker.ready);
  await page.waitForFunction(() => navigator.serviceWorker.controller !== null);
};

describe.runIf(canRun)("a visit", () => {
  let folder: string;
  let browser: Browser;
  let server: Awaited<ReturnType<typeof servePage>>;
  let wire: Wire;
  beforeAll(async () => {
    folder = buildPage();
    server = await servePage(folder, 0, "127.0.0.1");
    wire = await wireTo(server.port);
    browser = await chromium.launch({
      executablePath: chromiumPath,
      args: ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"],
    });
  }, 120_000);
  afterAll(async () => {
    await browser?.close();
    wire?.close();
    await server?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  const open = async (context: BrowserContext, where = ""): Promise<Page> => {
    const page = await context.newPage();
    page.setDefaultTimeout(20_000);
    await page.goto(`${wire.url}${where}`);
    return page;
  };

  test("the first one is below 1 MB, with the model once and no checkpoint; the second one hardly asks", async () => {
    const context = await browser.newContext();
    const page = await open(context);
    await modelReady(page);
    await inCharge(page);
    const bodies = wire.asked.filter((where) => /\.(bin|pt)$/.test(where));
    expect(new Set(bodies).size).toBe(1);
    expect(wire.received).toBeLessThan(1_000_000);
    console.info(`first visit: ${wire.received} bytes in ${wire.asked.length} requests`);
    wire.received = 0;
    await page.reload();
    await modelReady(page);
    const ready = await page.evaluate(() => performance.now());
    console.info(`second visit: ${wire.received} bytes, ready in ${Math.round(ready)} ms`);
    expect(wire.received).toBeLessThan(20_000);
    await context.close();
  });

  test("boxes come without the library, and are its boxes; it is there where the compiled file is not", async () => {
    const seen: string[] = [];
    for (const missing of ["**/assets/detector-*.js", "**/first/*.rest"]) {
      const context = await browser.newContext({ serviceWorkers: "block" });
      const page = await context.newPage();
      page.setDefaultTimeout(20_000);
      const blocked: string[] = [];
      await page.route(missing, (route) => {
        blocked.push(route.request().url());
        return route.abort();
      });
      await page.goto(`${wire.url}?threads=1`);
      await openBoxes(page);
      await page.click("#empty-sample");
      seen.push((await nextBoxes(page)).text);
      // Another threshold needs no other inference.
      await page.locator("#confidence").fill("0.8");
      seen.push((await nextBoxes(page, seen.at(-1))).text);
      // Nobody needs the library until there is time for it.
      if (missing.includes("first")) expect(blocked.length).toBe(1);
      await context.close();
    }
    expect(seen[0].length).toBeGreaterThan(10);
    expect(seen.slice(0, 2)).toEqual(seen.slice(2));
  });

  test.each([
    [390, 844],
    [844, 390],
    [768, 1024],
    [1440, 900],
  ])("nothing moves while it loads, at %i×%i", async (width, height) => {
    const context = await browser.newContext({ viewport: { width, height }, serviceWorkers: "block" });
    const page = await context.newPage();
    await page.addInitScript(() => {
      const shifts: { value: number; what: string }[] = [];
      Object.assign(globalThis, { shifts });
      new PerformanceObserver((list) => {
        for (const entry of list.getEntries() as (PerformanceEntry & {
          value: number;
          sources: { node?: Element }[];
        })[]) {
          const what = entry.sources.map(({ node }) => node?.id || node?.className || node?.nodeName).join();
          shifts.push({ value: entry.value, what });
        }
      }).observe({ type: "layout-shift", buffered: true });
    });
    await page.goto(wire.url);
    await modelReady(page);
    await page.waitForTimeout(300);
    const shifts = await page.evaluate(
      () => (globalThis as unknown as { shifts: { value: number; what: string }[] }).shifts,
    );
    const sum = shifts.reduce((total, { value }) => total + value, 0);
    expect(sum, JSON.stringify(shifts)).toBeLessThan(0.05);
    await context.close();
  });

  test("a network that is there and says nothing is given up", async () => {
    const context = await browser.newContext();
    const page = await open(context);
    await modelReady(page);
    await inCharge(page);
    await page.reload(); // what the list says is kept from now on
    await modelReady(page);
    wire.dead = true;
    const start = performance.now();
    await page.reload();
    await modelReady(page);
    expect(performance.now() - start).toBeLessThan(6000);
    wire.dead = false;
    await context.close();
  });

  test("a new version waits: this tab keeps its parts, and says how to have the new one", async () => {
    const context = await browser.newContext();
    const page = await open(context);
    await inCharge(page);
    const other = await open(context);
    await nextVersion(page, "New");
    expect(await page.textContent(".notice.news")).toContain("new version");
    // Opened anew it is still the old one, as the other tabs are.
    await other.reload();
    expect(await other.title()).not.toContain("New");
    await page.click(".notice.news .link");
    await page.waitForFunction(() => document.title.startsWith("New"));
    // The host has the old parts no more, but the tab that needs them does.
    const assets = path.join(folder, "assets");
    renameSync(assets, `${assets}-gone`);
    const part = await other.evaluate(async () => {
      const [script] = [...document.scripts].filter(({ src }) => src.includes("assets/"));
      return (await fetch(script.src)).status;
    });
    expect(part).toBe(200);
    renameSync(`${assets}-gone`, assets);
    await context.close();
  });

  test("it comes at once where the old version is at work without end", async () => {
    const context = await browser.newContext();
    const page = await open(context, "?size=256#here");
    await modelReady(page);
    await inCharge(page);
    const other = await open(context);
    await modelReady(other);
    await nextVersion(page, "Newer");
    wire.dead = true;
    await other.evaluate(() => void fetch("./models/never-comes").catch(() => {}));
    await page.click(".notice.news .link");
    await page.waitForFunction(() => document.title.startsWith("Newer"));
    await modelReady(page);
    expect(page.url()).toBe(`${wire.url}?size=256#here`);
    expect(await page.locator(".notice").count()).toBe(0);
    wire.dead = false;
    await context.close();
  });

  /** The host has another page, and this tab knows of it. */
  async function nextVersion(page: Page, title: string): Promise<void> {
    for (const [file, from, to] of [
      ["sw.js", /(shellName = `\$\{shellPrefix\}).*`/, `$1${title}\``],
      ["index.html", /<title>(\w+: )?/, `<title>${title}: `],
    ] as const) {
      const name = path.join(folder, file);
      writeFileSync(name, readFileSync(name, "utf8").replace(from, to));
    }
    await page.evaluate(async () => void (await (await navigator.serviceWorker.ready).update()));
    await page.waitForSelector(".notice.news");
  }
});
