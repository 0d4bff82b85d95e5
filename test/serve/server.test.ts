/** What is around the work: tokens, hosts, CORS, ids, log, figures, methods, traces, reloading, the document, the page. */
import { renameSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { context, propagation, SpanStatusCode, trace } from "@opentelemetry/api";
import { afterEach, expect, test } from "vitest";
import { modelFiles, UsageError } from "../../src/index.ts";
import { serveModels } from "../../src/node/serve/server.ts";
import { put, temporaryFolder, tinyFiles, tinyModel } from "../cli/_run.ts";
import { picture, rawRequest, startServe } from "./_serve.ts";

test("tokens: any one of them opens all but health and the page", async () => {
  const server = await startServe({ tokens: ["one", "two"] });
  for (const where of ["", "v2/health/live", "v2/health/ready"]) {
    expect((await server.ask(where)).status, where).toBe(200);
  }
  for (const where of ["v2", "metrics", "openapi.json", "v2/models/tiny", "v2/models/no"]) {
    for (const authorization of [undefined, "Bearer three", "Bearer", "Basic one", "one", "Bearer one two"]) {
      const headers: Record<string, string> = authorization === undefined ? {} : { authorization };
      const answer = await server.ask(where, { headers });
      expect([answer.status, answer.headers.get("www-authenticate")]).toEqual([
        401,
        'Bearer realm="ncnnkit"',
      ]);
      expect(answer.json().error).toMatch(/token/);
    }
  }
  expect((await server.detect(picture, "", { authorization: "Bearer" })).status).toBe(401);
  for (const authorization of ["Bearer one", "bearer  two "]) {
    expect((await server.detect(picture, "", { authorization })).status).toBe(200);
  }
});

test("on loopback the server answers to no other name", async () => {
  const server = await startServe();
  const asked = (host: string): Promise<string> =>
    rawRequest(server.port, `GET /v2 HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\n\r\n`);
  for (const host of ["evil.example", "127.0.0.1.evil.example", "evil.example:8080", "localhost.evil"]) {
    expect(await asked(host)).toMatch(/^HTTP\/1\.1 403 .*answers to localhost/s);
  }
  for (const host of ["localhost:1", "127.0.0.1", "[::1]:80"])
    expect(await asked(host)).toMatch(/^HTTP\/1\.1 200 /);
});

test("CORS: off, or for the origins that are said", async () => {
  const headers = { origin: "https://a.example" };
  const closed = await startServe();
  expect((await closed.ask("v2", { headers })).headers.get("access-control-allow-origin")).toBeNull();
  const open = await startServe({ origins: ["https://a.example"], tokens: ["x"] });
  const preflight = await open.ask("detect", {
    method: "OPTIONS",
    headers: { ...headers, "access-control-request-method": "POST" },
  });
  expect([preflight.status, preflight.headers.get("access-control-allow-origin")]).toEqual([
    204,
    "https://a.example",
  ]);
  const other = await open.ask("v2", { headers: { origin: "https://b.example" } });
  expect(other.headers.get("access-control-allow-origin")).toBeNull();
});

test("request ids, the log, methods, what is not there", async () => {
  const server = await startServe();
  const answer = await server.detect(picture, "?confidence=0.3", { "x-request-id": "my-id.1" });
  expect(answer.headers.get("x-request-id")).toBe("my-id.1");
  const odd = await server.ask("v2", { headers: { "x-request-id": "a b" } });
  expect(odd.headers.get("x-request-id")).toMatch(/^[0-9a-f-]{36}$/);
  const posted = await server.ask("v2", { method: "POST" });
  expect([posted.status, posted.headers.get("allow"), posted.json().error]).toEqual([
    405,
    "GET, HEAD",
    "/v2 takes GET and HEAD, not POST",
  ]);
  expect((await server.ask("detect")).headers.get("allow")).toBe("POST");
  expect((await server.ask("v2?a=1")).json().error).toBe('no parameter "a"; there is none');
  expect((await server.ask("nothing")).json().error).toBe("there is nothing at /nothing");
  const [first] = server.records;
  expect(first).toMatchObject({
    id: "my-id.1",
    client: "127.0.0.1",
    method: "POST",
    path: "/detect",
    status: 200,
    model: "tiny",
    pictures: 1,
  });
  for (const key of ["milliseconds", "queue", "decode", "run", "encode"] as const)
    expect(first[key]).toBeGreaterThanOrEqual(0);
  expect(server.records.map(({ status }) => status)).toEqual([200, 200, 405, 405, 400, 404]);
  const { text, headers } = await server.ask("metrics");
  expect(headers.get("content-type")).toContain("version=0.0.4");
  expect(text).toContain('ncnnkit_requests_total{route="/detect",method="POST",status="200"} 1');
  expect(text).toContain('ncnnkit_pictures_total{model="tiny"} 1');
  expect(text).toMatch(/^ncnnkit_threads_alive 1$/m);
  expect(text).toContain("process_resident_memory_bytes");
});

interface Operation {
  parameters?: { name: string; schema: { enum?: string[] } }[];
  requestBody?: { content: object };
  responses: object;
  security?: object[];
}
interface Document {
  openapi: string;
  paths: Record<string, Record<"get" | "post", Operation>>;
  components: { schemas: object };
}

test("the document names the models and classes, and has an answer for every status", async () => {
  const server = await startServe({ tokens: ["x"], urlHosts: ["example.org"] }, ["tiny", "other"]);
  const headers = { authorization: "Bearer x" };
  const document = (await server.ask("openapi.json", { headers })).json<Document>();
  expect(document.openapi).toBe("3.1.0");
  const { post } = document.paths["/detect"];
  const schema = (name: string) => post.parameters?.find((one) => one.name === name)?.schema;
  expect(schema("model")?.enum).toEqual(["tiny", "other"]);
  expect(JSON.stringify(schema("classes"))).toContain('"white","black"');
  expect(Object.keys(post.requestBody?.content ?? {})).toContain("application/json");
  expect(Object.keys(post.responses)).toEqual(
    expect.arrayContaining(["200", "401", "413", "422", "503", "504"]),
  );
  expect(post.security).toEqual([{ token: [] }]);
  expect(document.paths["/v2/health/live"].get.security).toBeUndefined();
  for (const [, where] of JSON.stringify(document).matchAll(/"\$ref":"#\/components\/schemas\/(\w+)"/g)) {
    expect(Object.keys(document.components.schemas)).toContain(where);
  }
});

test("a model is read anew when its files have changed and rested, and on demand; a broken one changes nothing", {
  timeout: 180_000,
}, async () => {
  const server = await startServe({ watch: 50, threads: 2 });
  const label = async () =>
    (await server.detect(picture)).json<{ images: { detections: { label: string }[] }[] }>().images[0]
      .detections[0].label;
  const write = (files: Record<string, Uint8Array | string>): void => {
    for (const [name, bytes] of Object.entries(files)) {
      writeFileSync(path.join(server.folder, `${name}.new`), bytes);
      renameSync(path.join(server.folder, `${name}.new`), path.join(server.folder, name));
    }
  };
  /** Files are written one after the other, so it may be read in between too. Meanwhile it answers. */
  const noticed = async (message: RegExp): Promise<void> => {
    const from = server.notices.length;
    while (!server.notices.slice(from).some((notice) => message.test(notice))) {
      expect((await server.detect(picture)).status).toBe(200);
    }
  };
  expect(await label()).toBe("white");
  const { graph, manifest } = tinyModel();
  write(modelFiles(graph, { ...manifest, labels: ["snow", "coal"] }));
  while ((await label()) !== "snow");
  expect([...server.models.values()][0].labels).toEqual(["snow", "coal"]);
  expect(server.notices).toContain("models were read anew: tiny");
  await server.reload();
  write({ "tiny.bin": new Uint8Array(10) });
  await noticed(/^the models stay as they were: .*tiny\.bin/);
  expect(await label()).toBe("snow");
  rmSync(path.join(server.folder, "tiny.json"));
  await server.reload();
  expect(server.notices.at(-1)).toMatch(/stay as they were/);
  write(tinyFiles());
  // Asked for while another one is at it: what is there now counts.
  await Promise.all([server.reload(), server.reload(), server.reload()]);
  expect(await label()).toBe("white");
});

test("names: two of one name, and what cannot be one", async () => {
  const folder = temporaryFolder();
  const source = put(folder, { "tiny.json": tinyFiles()["tiny.json"], ...tinyFiles() });
  const start = (...names: (string | undefined)[]) =>
    serveModels(
      names.map((name) => ({ name, source })),
      { port: 0, threads: 1 },
    );
  await expect(start("a", "a")).rejects.toThrow(/two models are called a/);
  await expect(start("a/b")).rejects.toThrow(/cannot be the name of a model/);
  await expect(serveModels([])).rejects.toThrow(UsageError);
  const server = await start("large", undefined);
  expect([...server.models.keys()]).toEqual(["large", "tiny"]);
  await expect(serveModels([{ source }], { port: server.port, threads: 1 })).rejects.toThrow(/in use/);
  await server.stop(0);
});

afterEach(() => {
  trace.disable();
  context.disable();
  propagation.disable();
});

test("OpenTelemetry gets a span of each request, below the one that the request names", async () => {
  const spans: Record<string, unknown>[] = [];
  const record = (name: string, options: unknown, parent: unknown) => {
    const span = { name, options, parent, attributes: {} as Record<string, unknown>, ended: false };
    spans.push(span);
    return {
      setAttribute: (key: string, value: unknown) => {
        span.attributes[key] = value;
      },
      setStatus: () => {},
      updateName: (other: string) => {
        span.name = other;
      },
      end: () => {
        span.ended = true;
      },
    };
  };
  // The smallest tracer that the interface allows.
  const tracer = {
    startActiveSpan: (name: string, options: unknown, parent: unknown, run: (span: unknown) => unknown) =>
      run(record(name, options, parent)),
  };
  trace.setGlobalTracerProvider({ getTracer: () => tracer } as never);
  propagation.setGlobalPropagator({
    extract: (_: unknown, carrier: Record<string, string>) => ({ from: carrier.traceparent }),
    inject: () => {},
    fields: () => [],
  } as never);
  const server = await startServe();
  await server.detect(picture, "", { traceparent: "00-1-2-01" });
  expect(spans).toMatchObject([
    {
      name: "POST /detect",
      parent: { from: "00-1-2-01" },
      ended: true,
      attributes: { "http.route": "/detect", "http.response.status_code": 200, "ncnnkit.model": "tiny" },
    },
  ]);
  expect(SpanStatusCode.ERROR).toBe(2);
});
