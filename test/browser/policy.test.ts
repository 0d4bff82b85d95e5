/** Pages with a Content-Security-Policy: what is enough runs, what is not says which directive is missing. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { canRun, startBrowser, type TestBrowser } from "./page.ts";

/** What the pages of the test need themselves: an import map in the page. */
const scripts = "default-src 'none'; connect-src 'self'; script-src 'self' 'unsafe-inline'";

describe.skipIf(!canRun)("Content-Security-Policy", () => {
  let browser: TestBrowser;
  beforeAll(async () => {
    browser = await startBrowser();
  });
  afterAll(() => browser?.close());

  /** What a worker under the policy answers. */
  async function inWorker(policy: string, threads: number): Promise<string> {
    const page = await browser.open("/isolated");
    return (await page.evaluate(`new Promise((resolve) => {
      const worker = new Worker("/worker.js?policy=${encodeURIComponent(policy)}", { type: "module" });
      worker.onmessage = ({ data }) => resolve(data);
      worker.onerror = (event) => resolve("worker: " + event.message);
      worker.postMessage(${threads});
    })`)) as string;
  }
  /** What `use` of the module gives in a page under the policy. */
  async function onPage(policy: string, use: string): Promise<string> {
    const page = await browser.open(`/plain?policy=${encodeURIComponent(policy)}`);
    return (await page.evaluate(
      `Promise.all([import("/dist/index.js"), import("/dist/steps.js")])
        .then(([front, steps]) => ({ ...front, ...steps }))
        .then((kit) => ${use}).catch((error) => error.name + ": " + error.message)`,
    )) as string;
  }
  const missing =
    /^UnsupportedError: this page may not compile WebAssembly: its Content-Security-Policy needs 'wasm-unsafe-eval' in script-src/;

  test("the reader needs nothing, the engine 'wasm-unsafe-eval'", async () => {
    const read = 'String(kit.readNcnn("7767517\\n1 1\\nInput in 0 1 in\\n", new Uint8Array()).nodes.length)';
    expect(await onPage(scripts, read)).toBe("1");
    expect(await onPage(scripts, "String(kit.features().simd)")).toMatch(missing);
    expect(await onPage(`${scripts} 'wasm-unsafe-eval'`, "String(kit.features().simd)")).toBe("true");
  });
  test("a worker needs the same, and for threads blob: in worker-src", async () => {
    expect(await inWorker(scripts, 1)).toMatch(missing);
    expect(await inWorker(`${scripts} 'wasm-unsafe-eval'`, 1)).toBe("1");
    const needed = /^UnsupportedError: a thread could not be started: .*needs worker-src blob:/;
    expect(await inWorker(`${scripts} 'wasm-unsafe-eval'`, 2)).toMatch(needed);
    expect(await inWorker(`${scripts} 'wasm-unsafe-eval'; worker-src 'self'`, 2)).toMatch(needed);
    expect(await inWorker(`${scripts} 'wasm-unsafe-eval'; worker-src blob:`, 2)).toBe("1");
  });
});
