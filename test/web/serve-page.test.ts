/** `serve-page`: files of the page with the headers that isolate it. */
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { servePage } from "../../src/cli/serve-page.ts";
import { run, temporaryFolder } from "../cli/_run.ts";

const folder = temporaryFolder();
let server: Awaited<ReturnType<typeof servePage>>;
let port = 0;
const get = (where: string): Promise<Response> => fetch(`http://127.0.0.1:${port}/${where}`);

beforeAll(async () => {
  mkdirSync(path.join(folder, "page/assets"), { recursive: true });
  writeFileSync(path.join(folder, "page/index.html"), "<!doctype html><title>page</title>");
  writeFileSync(path.join(folder, "page/assets/a-1.js"), "export {};");
  writeFileSync(path.join(folder, "secret.txt"), "secret");
  server = await servePage(path.join(folder, "page"), 0, "127.0.0.1");
  ({ port } = server);
});
afterAll(() => server.stop());

test("the page is isolated, and its scripts are kept", async () => {
  const page = await get("");
  expect(await page.text()).toContain("<title>page</title>");
  expect(page.headers.get("content-type")).toContain("text/html");
  const script = await get("assets/a-1.js");
  expect(script.headers.get("content-type")).toContain("javascript");
  for (const { headers } of [page, script]) {
    expect(headers.get("cross-origin-opener-policy")).toBe("same-origin");
    expect(headers.get("cross-origin-embedder-policy")).toBe("require-corp");
  }
  expect(page.headers.get("cache-control")).toBe("no-cache");
  expect(script.headers.get("cache-control")).toContain("immutable");
});

test("nothing outside the page is served", async () => {
  for (const where of ["missing.js", "..%2fsecret.txt", "%2e%2e/secret.txt", "assets/..%2f..%2fsecret.txt"]) {
    const { status } = await get(where);
    expect(status, where).toBeGreaterThanOrEqual(400);
  }
});

test("a page that is not built, and a port that is taken, are clear errors", async () => {
  await expect(servePage(folder, 0, "127.0.0.1")).rejects.toThrow(/not built.*npm run build:web/s);
  await expect(servePage(path.join(folder, "page"), port, "127.0.0.1")).rejects.toThrow(/in use.*--port/);
  const { code, err } = await run("serve-page", "--port", "70000");
  expect(code).toBe(2);
  expect(err).toContain("from 0 to 65535");
});
