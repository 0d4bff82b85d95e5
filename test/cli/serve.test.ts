/** `serve` as a command: a process that answers, tells, reloads and stops. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { createInterface } from "node:readline";
import { afterAll, expect, test } from "vitest";
import { picture } from "../serve/_serve.ts";
import { put, run, temporaryFolder, tinyFiles } from "./_run.ts";

const folder = temporaryFolder();
const model = put(folder, { "tiny.json": "", ...tinyFiles() });
const main = new URL("../../src/cli/main.ts", import.meta.url).href;
const program = put(folder, {
  "main.mjs": `import { main } from ${JSON.stringify(main)};\nprocess.exitCode = await main(process.argv.slice(2));`,
});
let child: ChildProcess | undefined;
afterAll(() => void child?.kill("SIGKILL"));

/** Starts it in a process of its own; gives what it says, line by line. */
function start(...args: string[]) {
  const options = { NCNNKIT_SERVE_TOKEN: undefined };
  const started = spawn(process.execPath, [...process.execArgv, program, "serve", ...args, "--port", "0"], {
    env: { ...process.env, ...options },
    stdio: ["ignore", "pipe", "pipe"],
  });
  child = started;
  const lines = (stream: NodeJS.ReadableStream) => {
    const iterator = createInterface({ input: stream })[Symbol.asyncIterator]();
    return async (): Promise<string> => (await iterator.next()).value ?? "";
  };
  return { child: started, out: lines(started.stdout), err: lines(started.stderr) };
}

test("it says where it is, logs lines of JSON, reads models anew on SIGHUP, and stops on SIGTERM with status 0", async () => {
  const token = put(folder, { "token.txt": "secret\n" });
  const server = start(
    `white=${model}`,
    model,
    "--threads",
    "1",
    "--token-file",
    token,
    "--conf-is-not-an-option",
  );
  expect(await server.err()).toMatch(/unknown option/);
  await once(server.child, "close");
  expect(server.child.exitCode).toBe(2);

  const {
    child: running,
    out,
    err,
  } = start(`white=${model}`, model, "--threads", "1", "--token-file", token);
  const [, url] = /^(http:\S+) serves white, tiny on 1 thread \(Ctrl-C ends it\)$/.exec(await err()) ?? [];
  const ask = (headers: Record<string, string>) =>
    fetch(`${url}detect?model=white`, { method: "POST", body: picture, headers });
  expect((await ask({})).status).toBe(401);
  expect((await ask({ authorization: "Bearer secret" })).status).toBe(200);
  expect(JSON.parse(await out())).toMatchObject({ status: 401, path: "/detect" });
  expect(JSON.parse(await out())).toMatchObject({ status: 200, model: "white" });
  if (process.platform !== "win32") {
    running.kill("SIGHUP");
    expect(await err()).toBe("models were read anew: white, tiny");
  }
  running.kill("SIGTERM");
  expect(await err()).toBe("stopping: requests at work are finished first");
  await once(running, "close");
  expect([running.exitCode, running.signalCode]).toEqual([0, null]);
});

test("what cannot be served is one line", async () => {
  const missing = path.join(folder, "no.json");
  for (const [args, code, message] of [
    [[missing], 1, /^error: .*no\.json/],
    [[model, model], 2, /^error: two models are called tiny/],
    [[model, "--token-file", put(folder, { "empty.txt": "\n" })], 2, /no token in this file/],
    [[model, "--token-file", put(folder, { "odd.txt": "a b\n" })], 2, /no header can hold/],
    [[model, "--threads", "0"], 2, /from 1 to 256/],
    [[`a b=${model}`], 2, /cannot be the name of a model/],
    [[], 2, /missing required argument/],
  ] as const) {
    const { code: found, err } = await run("serve", ...args, "--port", "0");
    expect([found, err]).toEqual([code, expect.stringMatching(message)]);
  }
});
