/** A web server for tests, reached through a `fetch` that takes https addresses there: the kit itself never fetches http. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll } from "vitest";

export type Handler = (request: IncomingMessage, response: ServerResponse) => void;

export interface TestServer {
  /** Takes every https address to the server; the path stays. */
  fetch: typeof fetch;
  /** What is answered; replace it in each test. */
  handler: Handler;
  /** `METHOD path range` of each request so far. */
  readonly requests: string[];
  readonly port: number;
}

export async function startServer(): Promise<TestServer> {
  const server = createServer((request, response) => {
    test.requests.push(`${request.method} ${request.url} ${request.headers.range ?? ""}`.trim());
    test.handler(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  afterAll(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const test: TestServer = {
    port,
    requests: [],
    handler: (_, response) => response.writeHead(404).end(),
    fetch: (address, options) => {
      const url = new URL(address instanceof Request ? address.url : address);
      return fetch(`http://127.0.0.1:${port}${url.pathname}`, options);
    },
  };
  return test;
}

/** Sends the bytes as a static host does: with length and tag, and the rest of them when asked for a range. */
export function sendFile(bytes: Uint8Array, etag = '"1"'): Handler {
  return (request, response) => {
    const from = /^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1];
    const isSame = (request.headers["if-range"] ?? etag) === etag;
    if (from === undefined || !isSame) {
      response.writeHead(200, { "content-length": bytes.length, etag }).end(bytes);
      return;
    }
    const rest = bytes.subarray(Number(from));
    const range = `bytes ${from}-${bytes.length - 1}/${bytes.length}`;
    response.writeHead(206, { "content-length": rest.length, "content-range": range, etag }).end(rest);
  };
}

/** Promises all bytes, sends the first ones and hangs up. */
export function breakOff(bytes: Uint8Array, after: number, etag = '"1"'): Handler {
  return (_, response) => {
    response.writeHead(200, { "content-length": bytes.length, etag });
    response.write(bytes.subarray(0, after), () => setTimeout(() => response.destroy(), 20));
  };
}
