/** `serve-page`: files of the page with the headers that isolate it. */
import { mkdirSync, writeFileSync } from "node:fs";
import { type IncomingMessage, request } from "node:http";
import path from "node:path";
import { brotliDecompressSync, gunzipSync } from "node:zlib";
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
  writeFileSync(path.join(folder, "page/assets/b-2.js"), `export const text = "${"again ".repeat(999)}";`);
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

test("compressed as the client takes it, and not sent again while it is the same", async () => {
  const ask = (
    headers: Record<string, string>,
    method = "GET",
  ): Promise<IncomingMessage & { body: Buffer }> =>
    new Promise((resolve, reject) => {
      const sent = request({ port, host: "127.0.0.1", path: "/assets/b-2.js", method, headers }, (reply) => {
        const parts: Buffer[] = [];
        reply.on("data", (part: Buffer) => parts.push(part));
        reply.on("end", () => resolve(Object.assign(reply, { body: Buffer.concat(parts) })));
      });
      sent.on("error", reject).end();
    });
  const plain = await ask({});
  expect(plain.headers["content-encoding"]).toBeUndefined();
  const unpack = { br: brotliDecompressSync, gzip: gunzipSync };
  for (const [accepted, encoding] of [
    ["gzip, deflate, br, zstd", "br"],
    ["br;q=0, gzip;q=0.5", "gzip"],
  ] as const) {
    const packed = await ask({ "accept-encoding": accepted });
    expect(packed.headers["content-encoding"]).toBe(encoding);
    expect(packed.headers.vary).toBe("accept-encoding");
    expect(packed.body.length).toBeLessThan(500);
    expect(unpack[encoding](packed.body).equals(plain.body)).toBe(true);
  }
  const { etag = "" } = plain.headers;
  for (const known of [etag, `"x", ${etag}`]) {
    const same = await ask({ "if-none-match": known });
    expect([same.statusCode, same.body.length, same.headers.etag]).toEqual([304, 0, etag]);
  }
  expect((await ask({ "if-none-match": '"x"' })).statusCode).toBe(200);
  const head = await ask({}, "HEAD");
  expect([head.statusCode, head.body.length]).toEqual([200, 0]);
});

test("only what is asked for is answered, and the page is told what it may do", async () => {
  for (const method of ["POST", "PUT", "DELETE", "OPTIONS"]) {
    const { status, headers } = await fetch(`http://127.0.0.1:${port}/`, { method });
    expect([status, headers.get("allow")], method).toEqual([405, "GET, HEAD"]);
  }
  const { headers } = await get("");
  expect(headers.get("content-security-policy")).toMatch(/default-src 'none'.*frame-ancestors 'none'/);
  expect((await get("missing.js")).headers.get("cache-control")).toBe("no-cache");
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
