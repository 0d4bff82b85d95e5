/** The built library in a real browser: a server for `dist`, its few dependencies and the models, and Chromium. */
import { existsSync, readFileSync, statSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import path from "node:path";
import { type Browser, chromium, type Page } from "playwright-core";
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
const types: Record<string, string> = {
  ".js": "text/javascript",
  ".html": "text/html",
  ".wasm": "application/wasm",
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
function startServer(): Promise<Server> {
  const server = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? "/", "http://localhost");
    const policy = searchParams.get("policy");
    if (policy) response.setHeader("content-security-policy", policy);
    if (pathname === "/worker.js") {
      const isolation = { "cross-origin-embedder-policy": "require-corp" };
      response.writeHead(200, { "content-type": "text/javascript", ...isolation }).end(policyWorker);
      return;
    }
    if (pathname === "/isolated" || pathname === "/plain") {
      const headers: Record<string, string> = { "content-type": "text/html" };
      if (pathname === "/isolated") {
        headers["cross-origin-opener-policy"] = "same-origin";
        headers["cross-origin-embedder-policy"] = "require-corp";
      }
      response
        .writeHead(200, headers)
        .end(`<!doctype html><script type="importmap">${JSON.stringify(importMap)}</script>`);
      return;
    }
    const [base, relative] = pathname.startsWith("/data/")
      ? [dataRoot, pathname.slice(6)]
      : [root, pathname.slice(1)];
    const file = path.resolve(base, decodeURIComponent(relative));
    if (!file.startsWith(base) || !existsSync(file) || !statSync(file).isFile()) {
      response.writeHead(404).end();
      return;
    }
    response.writeHead(200, {
      "content-type": types[path.extname(file)] ?? "application/octet-stream",
      "cross-origin-resource-policy": "same-origin",
      "cross-origin-embedder-policy": "require-corp",
    });
    response.end(readFileSync(file));
  });
  return new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(server)));
}

export interface TestBrowser {
  open(path: `/${"isolated" | "plain"}${string}`): Promise<Page>;
  close(): Promise<void>;
}

export async function startBrowser(): Promise<TestBrowser> {
  const server = await startServer();
  const { port } = server.address() as AddressInfo;
  const browser: Browser = await chromium.launch({
    executablePath: chromiumPath,
    args: [
      "--no-sandbox",
      "--disable-gpu",
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
      await page.goto(`http://127.0.0.1:${port}${where}`);
      return page;
    },
    close: async () => {
      await browser.close();
      server.close();
    },
  };
}
