/** A server of the tiny model for tests, with what clients send. */
import { mkdirSync } from "node:fs";
import net from "node:net";
import path from "node:path";
import { afterAll } from "vitest";
import type { AccessRecord } from "../../src/node/serve/app.ts";
import { type ServeOptions, type Serving, serveModels } from "../../src/node/serve/server.ts";
import { png, put, temporaryFolder, tinyFiles } from "../cli/_run.ts";

/** White in the cell (2, 5) of the grid: one object. */
export const picture = new Uint8Array(png(64, 64, (x, y) => x >= 16 && x < 24 && y >= 40 && y < 48));

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly bytes: Uint8Array;
  /** Of what is JSON. */
  json<T = { error: string }>(): T;
}

export interface TestServe extends Serving {
  /** Where the model's files are. */
  readonly folder: string;
  readonly records: AccessRecord[];
  readonly notices: string[];
  ask(where: string, options?: RequestInit): Promise<Answer>;
  /** Sends something to `/detect`. */
  detect(body: BodyInit, query?: string, headers?: Record<string, string>): Promise<Answer>;
}

/** Starts a server that ends with the tests of the file. */
export async function startServe(
  options: ServeOptions = {},
  names: readonly string[] = ["tiny"],
): Promise<TestServe> {
  const folder = path.join(temporaryFolder(), "models");
  mkdirSync(folder);
  for (const name of names) put(folder, tinyFiles(name));
  const records: AccessRecord[] = [];
  const notices: string[] = [];
  const server = await serveModels(
    names.map((name) => ({ source: path.join(folder, `${name}.json`) })),
    {
      ...{ port: 0, threads: 1, watch: 0 },
      onAccess: (record) => records.push(record),
      onNotice: (notice) => notices.push(notice),
      ...options,
    },
  );
  afterAll(() => server.stop(0));
  const ask: TestServe["ask"] = async (where, init) => {
    const response = await fetch(new URL(where, server.url), init);
    const bytes = new Uint8Array(await response.arrayBuffer());
    const text = new TextDecoder().decode(bytes);
    const { status, headers } = response;
    return { status, headers, bytes, text, json: <T>() => JSON.parse(text) as T };
  };
  const detect: TestServe["detect"] = (body, query = "", headers = { "content-type": "image/png" }) =>
    ask(`detect${query}`, { method: "POST", body, headers });
  return Object.assign(Object.create(server) as Serving, { folder, records, notices, ask, detect });
}

/** Sends bytes over a connection of its own and gives all that comes back until it is closed. */
export function rawRequest(port: number, text: string | Uint8Array): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = net.connect(port, "127.0.0.1", () => socket.write(text));
    let answer = "";
    socket.on("data", (data) => {
      answer += data.toString("latin1");
    });
    socket.on("close", () => resolve(answer));
    socket.on("error", reject);
  });
}
