/** The built library in a real browser: a server for `dist`, its few dependencies and the models, and Chromium. */
import { existsSync } from "node:fs";
import path from "node:path";
import { Hono } from "hono";
import { type Browser, chromium, type Page } from "playwright-core";
import { filesApp } from "../../src/node/serve/files.ts";
import { type Listening, listen, type NodeApp } from "../../src/node/serve/listen.ts";
import { dataRoot } from "../data.ts";

export const chromiumPath = process.env.NCNNKIT_CHROMIUM ?? "/usr/bin/chromium";
const root = path.resolve(import.meta.dirname, "../..");
export const canRun = existsSync(chromiumPath) && existsSync(path.join(root, "dist/index.js"));
if (!canRun) console.warn(`no ${chromiumPath} or no dist/: browser tests are skipped (CI requires them)`);

const importMap = {
  imports: {
    "zod/mini": "/node_modules/zod/mini/index.js",
    fflate: "/node_modules/fflate/esm/browser.js",
    pbf: "/node_modules/pbf/index.js",
    yaml: "/node_modules/yaml/browser/index.js",
  },
};
/** A worker that runs a network of one layer with as many threads as it is told. */
const policyWorker = `
  import { readNcnn } from "/dist/formats/ncnn/index.js";
  import { createSession } from "/dist/engine/session.js";
  onmessage = async ({ data: threads }) => {
    try {
      const graph = readNcnn("7767517\\n2 2\\nInput in 0 1 in 0=8 1=8 2=3\\nReLU relu 1 1 in out\\n", new Uint8Array());
      const session = await createSession(graph, { threads });
      const { out } = await session.run({ in: { shape: [3, 8, 8], data: new Float32Array(192).fill(1) } });
      session.close();
      postMessage(String(out.data[0]));
    } catch (error) {
      postMessage(error.name + ": " + error.message);
    }
  };`;

/**
 * Serves the repository's files, and the shared data below `/data/`; `/isolated` and `/plain` are empty pages, `/worker.js` the worker
 * above. `?policy=` is their Content-Security-Policy.
 */
function startServer(): Promise<Listening> {
  const app: NodeApp = new Hono();
  app.use(async (context, next) => {
    await next();
    const policy = context.req.query("policy");
    if (policy) context.header("content-security-policy", policy);
  });
  const page = `<!doctype html><script type="importmap">${JSON.stringify(importMap)}</script>`;
  app.get("/worker.js", (context) =>
    context.body(policyWorker, 200, {
      "content-type": "text/javascript",
      "cross-origin-embedder-policy": "require-corp",
    }),
  );
  app.get("/plain", (context) => context.html(page));
  app.get("/isolated", (context) =>
    context.html(page, 200, {
      "cross-origin-opener-policy": "same-origin",
      "cross-origin-embedder-policy": "require-corp",
    }),
  );
  return listen(app.route("/", filesApp({ data: dataRoot, "": root })), { port: 0 });
}

export interface TestBrowser {
  open(path: `/${"isolated" | "plain"}${string}`): Promise<Page>;
  close(): Promise<void>;
}

/** `extra`: arguments of the browser; without them it has no GPU. */
export async function startBrowser(extra: readonly string[] = ["--disable-gpu"]): Promise<TestBrowser> {
  const server = await startServer();
  const browser: Browser = await chromium.launch({
    executablePath: chromiumPath,
    args: [
      "--no-sandbox",
      ...extra,
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
  return {
    open: async (where) => {
      const page = await browser.newPage();
      page.on("pageerror", (error) => console.error(`page: ${error.message}`));
      await page.goto(new URL(where, server.url).href);
      return page;
    },
    close: async () => {
      await browser.close();
      await server.stop();
    },
  };
}
