/**
 * The server under load: its rate beside that of the same model without a server, its behaviour at twice its capacity, and onnxruntime-node
 * in the same shell.
 *
 *   npm run build && npm --prefix bench ci --ignore-scripts     # and wrk
 *   node bench/serve.ts [MODEL] [--size 320] [--threads 1] [--seconds 3] [--rounds 5] [--requests 10000] [--ort FILE.onnx] [--json FILE]
 *
 * Rates are measured in turns of a few seconds, since other work on a machine comes and goes; the middle of the turns' ratios counts. Beside
 * the rate stands what a thread of the server needs of a processor for a request, against what the bare model needs for an inference:
 * that ratio holds on a machine that is busy with other things. `--requests 0` leaves out the load.
 */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { Agent, request } from "node:http";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs, promisify } from "node:util";
import type { AccessRecord } from "../dist/serve.js";
import { data, environment, median } from "./_peer.ts";

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    size: { type: "string", default: "320" },
    threads: { type: "string", default: "1" },
    seconds: { type: "string", default: "3" },
    rounds: { type: "string", default: "5" },
    requests: { type: "string", default: "10000" },
    ort: { type: "string" },
    json: { type: "string" },
  },
});
const scratch = mkdtempSync(path.join(tmpdir(), "ncnnkit-serve-"));
const root = path.resolve(import.meta.dirname, "..");
const [model = path.join(root, "models/codefinder-int8")] = positionals;
const [size, threads, seconds, rounds, count] = [
  options.size,
  options.threads,
  options.seconds,
  options.rounds,
  options.requests,
].map(Number);

const children: ChildProcess[] = [];

interface Target {
  readonly child: ChildProcess;
  readonly url: string;
  readonly name: string;
  /** What it said of each request. */
  readonly records: AccessRecord[];
}

/** Starts a process and waits for the line that says its address. */
async function start(file: string, ...args: string[]): Promise<Target> {
  const child = spawn(process.execPath, [path.join(root, file), ...args], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  children.push(child);
  const records: AccessRecord[] = [];
  createInterface({ input: child.stdout }).on("line", (line) => records.push(JSON.parse(line)));
  for await (const line of createInterface({ input: child.stderr })) {
    const [, url, name] = /^(http\S+) serves (\S+)/.exec(line) ?? [];
    if (url) {
      child.stderr.resume();
      return { child, url, name, records };
    }
    console.error(line);
  }
  throw new Error(`${file} did not start`);
}

/** Milliseconds of processor that each thread of a process has had, the busiest first. */
function threadTimes(pid: number): Map<string, number> {
  const folder = `/proc/${pid}/task`;
  return new Map(
    readdirSync(folder).map((id) => {
      const fields = readFileSync(`${folder}/${id}/stat`, "utf8")
        .replace(/^.*\) /s, "")
        .split(" ");
      return [id, (Number(fields[11]) + Number(fields[12])) * 10];
    }),
  );
}

/**
 * What the threads at work have had between two looks: of a server all but the main one, of the bare model that one. Decoding by libvips
 * is in other threads, and its time in none of the two.
 */
function workTime(pid: number, before: Map<string, number>, isServer: boolean): number {
  const main = String(pid);
  const spent = [...threadTimes(pid)]
    .filter(([id]) => (id !== main) === isServer)
    .map(([id, time]) => time - (before.get(id) ?? 0));
  return spent
    .sort((a, b) => b - a)
    .slice(0, isServer ? threads : 1)
    .reduce((sum, time) => sum + time, 0);
}

interface Rate {
  /** Requests a second. */
  readonly rate: number;
  /** Milliseconds of processor of one thread for a request. */
  readonly cpu: number;
}

interface Sent {
  readonly path: string;
  readonly headers: Record<string, string>;
  readonly body: Buffer;
}

/** As much as the server takes: one request at work and one on its way for each thread. wrk needs little of the processor itself. */
async function saturate({ child, url }: Target, { path: where, headers, body }: Sent): Promise<Rate> {
  const [bodyFile, script] = ["body", "post.lua"].map((name) => path.join(scratch, name));
  writeFileSync(bodyFile, body);
  const lines = Object.entries(headers).map(([name, value]) => `wrk.headers["${name}"] = "${value}"`);
  const read = `local f = io.open("${bodyFile}", "rb"); wrk.body = f:read("*a"); f:close()`;
  writeFileSync(script, ['wrk.method = "POST"', read, ...lines].join("\n"));
  const before = threadTimes(child.pid ?? 0);
  const args = ["-t1", `-c${2 * threads}`, `-d${seconds}`, "-s", script, `${url}${where}`];
  const { stdout } = await promisify(execFile)("wrk", args);
  const [, done, time] = /(\d+) requests in ([\d.]+)s/.exec(stdout) ?? [];
  if (!done || /Non-2xx|Socket errors/.test(stdout)) throw new Error(`${where}: ${stdout}`);
  return { rate: Number(done) / Number(time), cpu: workTime(child.pid ?? 0, before, true) / Number(done) };
}

/** The bare model in a process of its own; each line is a turn. */
async function bare(kind: "infer" | "detect", picture: string): Promise<() => Promise<Rate>> {
  const child = spawn(
    process.execPath,
    [path.join(import.meta.dirname, "_serve-bare.ts"), kind, model, String(size), picture],
    {
      stdio: ["pipe", "pipe", "inherit"],
    },
  );
  children.push(child);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return async () => {
    const before = threadTimes(child.pid ?? 0);
    child.stdin.write(`${seconds}\n`);
    const { done, time } = JSON.parse((await lines.next()).value ?? "");
    return { rate: done / time, cpu: workTime(child.pid ?? 0, before, false) / done };
  };
}

const photographs = path.join(data, "coco/images/val2017");
const picture = path.join(photographs, readdirSync(photographs).sort()[0]);

const tensor = (where: Target): Sent => {
  const values = Float32Array.from({ length: 3 * size * size }, () => Math.random());
  return {
    path: `v2/models/${where.name}/infer`,
    headers: { "inference-header-content-length": "0", "content-type": "application/octet-stream" },
    body: Buffer.from(values.buffer),
  };
};
const photograph: Sent = {
  path: "detect",
  headers: { "content-type": "image/jpeg" },
  body: readFileSync(picture),
};

async function rates(server: Target): Promise<Record<string, unknown>> {
  const turns: Record<string, () => Promise<Rate>> = {
    "bare infer": await bare("infer", picture),
    infer: () => saturate(server, tensor(server)),
    "bare detect": await bare("detect", picture),
    detect: () => saturate(server, photograph),
  };
  if (options.ort) {
    process.env.ORT_MODEL = path.resolve(options.ort);
    const other = await start("bench/_serve-ort-server.ts", model, String(size), String(threads));
    turns["onnxruntime infer"] = () => saturate(other, tensor(other));
  }
  const all: Record<string, Rate[]> = Object.fromEntries(Object.keys(turns).map((name) => [name, []]));
  for (let i = -1; i < rounds; i++) {
    for (const [name, turn] of Object.entries(turns)) {
      const rate = await turn();
      if (i >= 0) all[name].push(rate); // the first warms up
    }
  }
  const middle = Object.fromEntries(
    Object.entries(all).map(([name, list]) => [
      name,
      { rate: median(list.map(({ rate }) => rate)), cpu: median(list.map(({ cpu }) => cpu)) },
    ]),
  );
  for (const [name, { rate, cpu }] of Object.entries(middle)) {
    console.log(`${name}: ${rate.toFixed(1)}/s, ${cpu.toFixed(2)} ms of a processor each`);
  }
  const ratios: Record<string, number> = {};
  for (const kind of ["infer", "detect"]) {
    const [own, alone] = [all[kind], all[`bare ${kind}`]];
    ratios[`${kind} rate`] = median(own.map(({ rate }, i) => rate / alone[i].rate / threads));
    ratios[`${kind} processor`] = median(own.map(({ cpu }, i) => alone[i].cpu / cpu));
  }
  for (const [name, ratio] of Object.entries(ratios))
    console.log(`${name}: ${ratio.toFixed(3)} of ${threads} x bare`);
  return { ...middle, ratios };
}

const resident = async ({ url }: Target): Promise<number> => {
  const text = await (await fetch(`${url}metrics`)).text();
  return Number(/^process_resident_memory_bytes (\d+)/m.exec(text)?.[1]) / 2 ** 20;
};

/** Milliseconds of a request under load. */
const deadline = 2000;

function timesOf(times: readonly number[]): { p50: number; p99: number; late: number } {
  const sorted = [...times].sort((a, b) => a - b);
  const [p50, p99] = [quantile(sorted, 0.5), quantile(sorted, 0.99)].map(Math.round);
  return { p50, p99, late: sorted.filter((time) => time > deadline).length };
}

const quantile = (sorted: readonly number[], part: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))];

interface Answered {
  readonly status: number;
  /** Milliseconds from the moment at which it was sent. */
  readonly time: number;
}

/** Sends one request; status 0 for one that failed. */
function send(target: Target, { path: where, headers, body }: Sent, agent: Agent): Promise<Answered> {
  const start = performance.now();
  return new Promise((resolve) => {
    const done = (status: number): void => resolve({ status, time: performance.now() - start });
    const sent = request(`${target.url}${where}`, { method: "POST", headers, agent }, (response) => {
      response.resume();
      response.on("end", () => done(response.statusCode ?? 0)).on("error", () => done(0));
    });
    sent.on("error", () => done(0)).end(body);
  });
}

/** Requests come at twice the rate that the server can do, whether it answers or not. */
async function overload(server: Target, capacity: number): Promise<Record<string, unknown>> {
  const agent = new Agent({ keepAlive: true });
  const sent = { ...photograph, headers: { ...photograph.headers, "x-timeout-ms": String(deadline) } };
  const memory = [await resident(server)];
  const watch = setInterval(async () => memory.push(await resident(server)), 5000);
  const start = performance.now();
  const all: Promise<Answered>[] = [];
  while (all.length < count) {
    const due = Math.min(count, ((performance.now() - start) / 1000) * 2 * capacity);
    while (all.length < due) all.push(send(server, sent, agent));
    await sleep(5);
  }
  const answers = await Promise.all(all);
  const elapsed = (performance.now() - start) / 1000;
  clearInterval(watch);
  agent.destroy();
  memory.push(await resident(server));
  const statuses: Record<number, number> = {};
  for (const { status } of answers) statuses[status] = (statuses[status] ?? 0) + 1;
  console.log(
    `${count} requests at ${(count / elapsed).toFixed(0)}/s (capacity ${capacity.toFixed(0)}/s) in ${elapsed.toFixed(0)} s: ${JSON.stringify(statuses)}`,
  );
  const accepted = {
    client: timesOf(answers.flatMap(({ status, time }) => (status === 200 ? [time] : []))),
    server: timesOf(
      server.records.flatMap(({ status, path, milliseconds }) =>
        status === 200 && path === "/detect" ? [milliseconds] : [],
      ),
    ),
  };
  for (const [side, { p50, p99, late }] of Object.entries(accepted)) {
    console.log(
      `accepted, by the ${side}'s clock: p50 ${p50} ms, p99 ${p99} ms, ${late} later than ${deadline} ms`,
    );
  }
  console.log(`resident memory every 5 s, MiB: ${memory.map((each) => each.toFixed(0)).join(" ")}`);
  return { statuses, accepted, deadline, memory, seconds: elapsed };
}

try {
  console.log(Object.values(environment()).join(", "));
  const serve = ["serve", model, "--size", String(size), "--threads", String(threads), "--port", "0"];
  const rate = await rates(await start("bin/ncnnkit.js", ...serve, "--quiet"));
  const capacity = (rate.detect as Rate).rate;
  const load = count ? await overload(await start("bin/ncnnkit.js", ...serve), capacity) : undefined;
  if (options.json)
    writeFileSync(
      options.json,
      `${JSON.stringify({ ...environment(), model: path.basename(model), size, threads, rate, load }, null, 2)}\n`,
    );
} finally {
  for (const child of children) child.kill();
  rmSync(scratch, { recursive: true });
}
