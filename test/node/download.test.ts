import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { Random } from "../../src/base/random.ts";
import { InputError } from "../../src/index.ts";
import { type DownloadOptions, download } from "../../src/node/download.ts";
import { breakOff, type Handler, sendFile, startServer } from "./_server.ts";

const server = await startServer();
const random = new Random(7);
const content = Uint8Array.from({ length: 100_000 }, () => random.int(0, 255));
const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");
const file = {
  name: "model.bin",
  url: "https://models.test/model.bin",
  bytes: content.length,
  sha256: sha256(content),
};

/** Downloads the file from a server that answers with the handlers in turn, the last one for ever. */
async function get(handlers: readonly Handler[], options: DownloadOptions = {}) {
  server.requests.length = 0;
  let count = 0;
  server.handler = (request, response) => handlers[Math.min(count++, handlers.length - 1)](request, response);
  const progress: number[] = [];
  const notices: string[] = [];
  const bytes = await download(file, {
    fetch: server.fetch,
    waits: [1, 1, 1],
    onProgress: (received) => progress.push(received),
    onNotice: (text) => notices.push(text),
    ...options,
  });
  return { bytes, progress, notices, requests: [...server.requests] };
}

const failure = (handlers: readonly Handler[], options?: DownloadOptions): Promise<Error> =>
  get(handlers, options).then(
    () => Promise.reject(new Error("it did not fail")),
    (error: Error) => error,
  );

const status =
  (code: number, headers: Record<string, string> = {}): Handler =>
  (_, response) =>
    response.writeHead(code, headers).end("no");

test("a file arrives whole, with progress by bytes", async () => {
  const { bytes, progress, requests } = await get([sendFile(content)]);
  expect(sha256(bytes)).toBe(file.sha256);
  expect(requests).toEqual(["GET /model.bin"]);
  expect(progress[0]).toBe(0);
  expect(progress.at(-1)).toBe(content.length);
  expect(progress).toEqual(progress.toSorted((a, b) => a - b));
});

test("a broken connection is taken up where it broke", async () => {
  const { bytes, requests, notices } = await get([breakOff(content, 40_000), sendFile(content)]);
  expect(sha256(bytes)).toBe(file.sha256);
  expect(requests).toEqual(["GET /model.bin", "GET /model.bin bytes=40000-"]);
  expect(notices).toEqual([
    expect.stringMatching(/^model.bin: the connection broke off: .*; trying again in 0.001 s$/),
  ]);
});

test("it begins anew where the file changed, the tag is weak, or the server answers another range", async () => {
  const changed = await get([breakOff(content, 40_000, '"old"'), sendFile(content, '"new"')]);
  expect(sha256(changed.bytes)).toBe(file.sha256);
  const weak = await get([breakOff(content, 40_000, 'W/"1"'), sendFile(content)]);
  expect(weak.requests).toEqual(["GET /model.bin", "GET /model.bin"]);
  const elsewhere: Handler = (_, response) =>
    response.writeHead(206, { "content-range": "bytes 7-99999/100000" }).end(content.subarray(7));
  const other = await get([breakOff(content, 40_000), elsewhere, sendFile(content)]);
  expect(other.requests).toEqual(["GET /model.bin", "GET /model.bin bytes=40000-", "GET /model.bin"]);
  expect(sha256(other.bytes)).toBe(file.sha256);
  const refused = await get([breakOff(content, 40_000), status(416), sendFile(content)]);
  expect(sha256(refused.bytes)).toBe(file.sha256);
});

test("busy servers are asked again, and given up in the end", async () => {
  const { requests } = await get([status(503), status(429), sendFile(content)]);
  expect(requests).toHaveLength(3);
  const error = await failure([status(500)]);
  expect(error).toBeInstanceOf(InputError);
  expect(error.message).toBe("cannot fetch https://models.test/model.bin: HTTP status 500; tried 4 times");
});

test("half a file, with or without a stated length", async () => {
  const half = await failure([breakOff(content, 50_000, "")]);
  expect(half.message).toMatch(/^cannot fetch https:\/\/models.test\/model.bin: .*; tried 4 times$/);
  const unstated: Handler = (_, response) => {
    response.writeHead(200);
    response.end(content.subarray(0, 50_000));
  };
  expect((await failure([unstated])).message).toContain("it ended after 50000 of 100000 bytes");
});

test("another content, length or size is refused", async () => {
  const flipped = content.slice();
  flipped[77_777] ^= 1;
  const wrong = await failure([sendFile(flipped)]);
  expect(wrong).toBeInstanceOf(InputError);
  expect(wrong.message).toContain(`sha256 ${sha256(flipped)}, expected ${file.sha256}; it was not kept`);
  expect(server.requests).toHaveLength(1);
  const page = await failure([sendFile(new TextEncoder().encode("<html>log in</html>"))]);
  expect(page.message).toContain("has 19 bytes, expected 100000");
});

test("an endless file is stopped at the stated size", async () => {
  let sent = 0;
  const endless: Handler = (_, response) => {
    response.writeHead(200);
    const more = (): void => {
      while (!response.destroyed) {
        sent += content.length;
        if (!response.write(content)) {
          response.once("drain", more);
          return;
        }
      }
    };
    more();
  };
  const error = await failure([endless]);
  expect(error.message).toContain("is larger than the 100000 bytes expected");
  const before = sent;
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(sent).toBe(before); // the connection is closed
});

test("redirects stay on the host and on https", async () => {
  const { bytes, requests } = await get([status(302, { location: "/moved.bin" }), sendFile(content)]);
  expect(sha256(bytes)).toBe(file.sha256);
  expect(requests).toEqual(["GET /model.bin", "GET /moved.bin"]);
  for (const location of [
    "https://evil.test/model.bin",
    "http://models.test/model.bin",
    "https://models.test:444/model.bin",
    "//evil.test/model.bin",
    "file:///etc/passwd",
  ]) {
    const error = await failure([status(302, { location }), sendFile(content)]);
    expect(error, location).toBeInstanceOf(InputError);
    expect(error.message).toContain("another host than models.test is not followed");
    expect(server.requests, location).toHaveLength(1);
  }
  const circle = await failure([status(301, { location: "/model.bin" })]);
  expect(circle.message).toContain("redirects in a circle");
  expect(server.requests).toHaveLength(6);
});

test("http is not fetched, not even from this machine", async () => {
  const url = `http://127.0.0.1:${server.port}/model.bin`;
  server.requests.length = 0;
  await expect(download({ ...file, url })).rejects.toThrow("only https addresses are fetched");
  expect(server.requests).toEqual([]);
});

test("a missing file and a forbidden one are told at once", async () => {
  expect((await failure([status(404)])).message).toContain("no longer there (HTTP status 404)");
  expect(server.requests).toHaveLength(1);
  expect((await failure([status(403)])).message).toContain("HTTP status 403");
  expect(server.requests).toHaveLength(1);
});

test("silence is given up", async () => {
  const silent: Handler = (_, response) => {
    response.writeHead(200, { "content-length": content.length });
    response.write(content.subarray(0, 10));
  };
  const error = await failure([silent], { patience: 50, waits: [1] });
  expect(error.message).toContain("no answer for 0.05 s; tried 2 times");
  const mute = await failure([() => {}], { patience: 50, waits: [] });
  expect(mute.message).toContain("no answer for 0.05 s");
});

test("no network is told at once, an untrusted certificate too", async () => {
  const failing =
    (code: string): typeof fetch =>
    () =>
      Promise.reject(new TypeError("fetch failed", { cause: Object.assign(new Error(code), { code }) }));
  const offline = await failure([status(200)], { fetch: failing("ENOTFOUND") });
  expect(offline.message).toBe(
    "cannot fetch https://models.test/model.bin: models.test cannot be reached: there is no network, or a proxy is needed",
  );
  const untrusted = await failure([status(200)], { fetch: failing("SELF_SIGNED_CERT_IN_CHAIN") });
  expect(untrusted.message).toContain("the connection is not secure");
  const refused = await failure([status(200)], { fetch: failing("ECONNREFUSED") });
  expect(refused.message).toContain("tried 4 times");
});

test("it can be stopped, also between attempts", async () => {
  const controller = new AbortController();
  const slow: Handler = (_, response) => {
    response.writeHead(200, { "content-length": content.length });
    response.write(content.subarray(0, 10));
    setTimeout(() => controller.abort(new Error("enough")), 20);
  };
  expect((await failure([slow], { signal: controller.signal })).message).toBe("enough");
  const waiting = new AbortController();
  setTimeout(() => waiting.abort(), 50);
  const aborted = await failure([status(500)], { signal: waiting.signal, waits: [60_000] });
  expect(aborted.name).toBe("AbortError");
});
