/** Too much, too slow, too hostile: what is let in is answered, what is not gets 503, and the server answers on. */
import net from "node:net";
import { Worker } from "node:worker_threads";
import { afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { Random } from "../../src/base/random.ts";
import { png } from "../cli/_run.ts";
import { picture, rawRequest, startServe, type TestServe } from "./_serve.ts";

/** Takes a thread some time: decoding it does. */
const large = new Uint8Array(png(6000, 6000, (x, y) => (x * y) % 7 === 0));
const until = async (isSo: () => boolean): Promise<void> => {
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 5));
};
afterEach(() => vi.restoreAllMocks());

describe("a small server", () => {
  let server: TestServe;
  beforeAll(async () => {
    server = await startServe({ queue: 2, timeout: 20_000 });
  });
  const works = async (): Promise<void> => {
    const answer = await server.detect(picture);
    expect([answer.status, answer.text.slice(0, 200)]).toEqual([200, expect.stringContaining("white")]);
  };

  test("more than fits is refused with 503 and Retry-After; the rest is answered", async () => {
    const answers = await Promise.all(Array.from({ length: 12 }, () => server.detect(large)));
    const statuses = answers.map(({ status }) => status);
    expect(new Set(statuses)).toEqual(new Set([200, 503]));
    expect(statuses.filter((status) => status === 200).length).toBeGreaterThanOrEqual(3);
    for (const { status, headers, json } of answers) {
      if (status !== 503) continue;
      expect(Number(headers.get("retry-after"))).toBeGreaterThanOrEqual(1);
      expect(json().error).toMatch(/busy/);
    }
    await works();
  });

  test("a time that is too short ends a request: 504 at work, 503 before", async () => {
    const start = performance.now();
    const slow = server.detect(large, "", { "x-timeout-ms": "40" });
    const waiting = server.detect(picture, "", { "x-timeout-ms": "30" });
    const [first, second] = await Promise.all([slow, waiting]);
    expect([503, 504]).toContain(first.status);
    expect(second.status).toBe(503);
    expect(performance.now() - start).toBeLessThan(5000);
    await until(() => server.records.length > 0);
    await works();
  });

  test("a thread that is killed at work is an error of its request only, and is replaced", async () => {
    const post = vi.spyOn(Worker.prototype, "postMessage");
    const killed = server.detect(large);
    await until(() => post.mock.contexts.length > 0);
    await (post.mock.contexts[0] as Worker).terminate();
    const answer = await killed;
    expect([answer.status, answer.json().error]).toEqual([
      500,
      expect.stringMatching(/^a worker thread ended: .*the server goes on/),
    ]);
    vi.restoreAllMocks();
    await works();
  });

  test("uploads that break off are noted and forgotten", async () => {
    const before = server.records.length;
    for (let i = 0; i < 20; i++) {
      await new Promise<void>((resolve) => {
        const socket = net.connect(server.port, "127.0.0.1", () => {
          socket.write("POST /detect HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000\r\n\r\nabc", () =>
            socket.destroy(),
          );
        });
        socket.on("close", () => resolve());
      });
    }
    await until(() => server.records.length >= before + 20);
    for (const { status, error } of server.records.slice(before)) {
      expect([status, error]).toEqual([499, expect.stringMatching(/closed/)]);
    }
    await works();
    expect((await server.ask("metrics")).text).toMatch(/^ncnnkit_body_bytes 0$/m);
  });

  test("a client that is refused while it sends gets its answer, and may go on", async () => {
    const head = (length: number, more = ""): string =>
      `POST /nothing HTTP/1.1\r\nhost: localhost\r\ncontent-length: ${length}\r\n${more}\r\n`;
    const size = 4_000_000;
    const answer = await rawRequest(
      server.port,
      `${head(size)}${"a".repeat(size)}GET /v2/health/live HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n`,
    );
    expect(answer).toMatch(/^HTTP\/1\.1 404 .*HTTP\/1\.1 200 /s);
    // One that says too much, or never sends it, is not waited for.
    expect(await rawRequest(server.port, `${head(1e9)}aaa`)).toMatch(/^HTTP\/1\.1 404 .*connection: close/is);
    expect(await rawRequest(server.port, `${head(1000)}aaa`)).toMatch(
      /^HTTP\/1\.1 404 .*connection: close/is,
    );
  });

  test("a client that goes away while it waits takes no thread", async () => {
    const post = vi.spyOn(Worker.prototype, "postMessage");
    const slow = server.detect(large);
    await until(() => post.mock.calls.length === 1);
    const controller = new AbortController();
    const gone = fetch(`${server.url}detect`, { method: "POST", body: picture, signal: controller.signal });
    gone.catch(() => {});
    await until(() => Boolean(server.records) && post.mock.calls.length === 1);
    await new Promise((resolve) => setTimeout(resolve, 50));
    controller.abort();
    expect((await slow).status).toBe(200);
    await works();
    expect(post.mock.calls.length).toBe(2);
  });

  test("hostile bodies: each gets one clear line", { timeout: 120_000 }, async () => {
    const random = new Random(23);
    const types = ["image/png", "multipart/form-data; boundary=x", "application/octet-stream", "", "a/b"];
    for (let i = 0; i < 200; i++) {
      const bytes = new Uint8Array(picture);
      for (let j = random.int(1, 20); j > 0; j--) bytes[random.int(0, bytes.length - 1)] = random.int(0, 255);
      const body = bytes.slice(0, random.int(1, bytes.length));
      const where = ["detect", "detect?draw=1", "v2/models/tiny/infer"][i % 3];
      const headers: Record<string, string> = { "content-type": types[i % types.length] };
      if (i % 4 === 0) headers["inference-header-content-length"] = String(random.int(0, 100));
      if (i % 7 === 0) headers["content-encoding"] = ["gzip", "br", "deflate"][i % 3];
      const answer = await server.ask(where, { method: "POST", body, headers });
      expect([200, 400, 413, 415, 422], answer.text).toContain(answer.status);
      if (answer.status !== 200) expect(answer.json().error).toMatch(/^[^\n]{10,}$/);
    }
    expect(server.notices).toEqual([]);
    await works();
  });
});

test("slow clients get 408, and others are answered meanwhile", async () => {
  const server = await startServe({ timeout: 700 });
  const slow = Array.from({ length: 60 }, (_, i) =>
    rawRequest(
      server.port,
      i % 2
        ? "POST /detect HTTP/1.1\r\nhost: localhost\r\ncontent-length: 10000\r\n\r\nabc"
        : "POST /detect HTTP/1.1\r\nhost: localhost\r\nx-slow",
    ),
  );
  expect((await server.detect(picture)).status).toBe(200);
  const answers = await Promise.all(slow);
  for (const answer of answers) expect(answer).toMatch(/^HTTP\/1\.1 408 /);
  expect((await server.detect(picture)).status).toBe(200);
});

test("stopping finishes what is at work and refuses what comes", async () => {
  const server = await startServe();
  await server.detect(picture);
  const post = vi.spyOn(Worker.prototype, "postMessage");
  const last = server.detect(large);
  await until(() => post.mock.calls.length > 0);
  const stopped = server.stop();
  const late = await server.detect(picture).catch((error: Error) => error);
  if (!(late instanceof Error))
    expect([late.status, late.json().error]).toEqual([503, "the server is stopping"]);
  expect((await last).status).toBe(200);
  await stopped;
  await expect(fetch(server.url)).rejects.toThrow();
});

test("a request line or head that is none", async () => {
  const server = await startServe();
  for (const text of [
    "\x16\x03\x01\x02\x00\r\n\r\n",
    "GET\r\n\r\n",
    `GET / HTTP/1.1\r\nx: ${"a".repeat(20_000)}\r\n\r\n`,
  ]) {
    expect(await rawRequest(server.port, text)).toMatch(/^HTTP\/1\.1 4\d\d /);
  }
  expect((await server.detect(picture)).status).toBe(200);
});
