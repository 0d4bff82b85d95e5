/**
 * Kills workers, the coordinator and Redis at random while `detect` goes over many pictures by a queue, and says whether the result is that
 * of a local run: nothing lost, nothing twice. Needs redis-server and a build (`npm run build`).
 *
 *   node scripts/queue-kills.ts [pictures, default 5000] [kills, default 100] [seed, default 1]
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Random } from "../src/base/random.ts";
import { png, tinyFiles } from "../test/cli/_tiny.ts";

const [pictures = 5000, kills = 100, seed = 1] = process.argv.slice(2).map(Number);
const random = new Random(seed);
const command = fileURLToPath(new URL("../bin/ncnnkit.js", import.meta.url));
const folder = mkdtempSync(path.join(os.tmpdir(), "ncnnkit-kills-"));
const images = path.join(folder, "images");
const port = await freePort();
const address = `redis://127.0.0.1:${port}`;
const say = (text: string): void =>
  console.log(`${((performance.now() - began) / 1000).toFixed(1)} s: ${text}`);
const began = performance.now();

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = net.createServer();
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as net.AddressInfo;
      server.close(() => resolve(port));
    });
  });
}

const isAlive = (child: ChildProcess): boolean => child.exitCode === null && child.signalCode === null;
const ended = (child: ChildProcess): Promise<unknown> =>
  isAlive(child) ? new Promise((resolve) => child.once("exit", resolve)) : Promise.resolve();
async function kill(child: ChildProcess): Promise<void> {
  child.kill("SIGKILL");
  await ended(child);
}

const startRedis = (): ChildProcess =>
  spawn(
    "redis-server",
    [
      ...["--port", String(port), "--bind", "127.0.0.1", "--dir", folder, "--save", ""],
      ...["--appendonly", "yes", "--appendfsync", "always"],
    ],
    { stdio: "ignore" },
  );
const startWorker = (): ChildProcess =>
  spawn(
    process.execPath,
    [command, "worker", address, "--shared", folder, "--jobs", "1", "--patience", "3"],
    { stdio: "ignore" },
  );
const found = path.join(folder, "found");
let errors = "";
function startCoordinator(): ChildProcess {
  const queue = ["--queue", address, "--shared", folder, "--out", found, "--parts", "ndjson"];
  const child = spawn(process.execPath, [
    command,
    "detect",
    path.join(folder, "tiny.json"),
    images,
    ...queue,
  ]);
  errors = "";
  child.stderr.on("data", (data) => {
    errors += data;
  });
  return child;
}

mkdirSync(images);
for (const [name, content] of Object.entries(tinyFiles())) writeFileSync(path.join(folder, name), content);
for (let i = 0; i < pictures; i++) {
  const [at, side] = [random.int(0, 40), random.int(4, 20)];
  const inside = (v: number): boolean => v >= at && v < at + side;
  const bytes = i % 1000 === 999 ? Buffer.from("no picture") : png(64, 64, (x, y) => inside(x) && inside(y));
  writeFileSync(path.join(images, `${String(i).padStart(6, "0")}.png`), bytes);
}
say(`${pictures} pictures made`);

let redis = startRedis();
await sleep(500);
const workers = [startWorker(), startWorker()];
let coordinator = startCoordinator();
const counts = { worker: 0, coordinator: 0, redis: 0 };
let done = 0;
let runs = 1;
for (; done < kills; done++) {
  await sleep(random.int(200, 2500));
  const which = random.next();
  if (!isAlive(coordinator)) {
    // All is done before all kills are: once more from the beginning, with what workers kept of it gone.
    if (coordinator.exitCode !== 0) throw new Error(`the coordinator failed: ${errors}`);
    check();
    rmSync(found, { recursive: true });
    runs++;
    coordinator = startCoordinator();
  }
  if (which < 0.6) {
    const i = random.int(0, workers.length - 1);
    await kill(workers[i]);
    workers[i] = startWorker();
    counts.worker++;
  } else if (which < 0.8) {
    await kill(coordinator);
    coordinator = startCoordinator();
    counts.coordinator++;
  } else {
    await kill(redis);
    redis = startRedis();
    counts.redis++;
  }
  if ((done + 1) % 10 === 0) say(`${done + 1} kills: ${JSON.stringify(counts)}`);
}
await ended(coordinator);
if (coordinator.exitCode !== 0) throw new Error(`the coordinator failed: ${errors}`);
check();
say(`${runs} runs, ${done} kills (${JSON.stringify(counts)}): nothing lost, nothing twice`);
await Promise.all([...workers, redis].map(kill));
rmSync(folder, { recursive: true });

/** Throws where the parts are not what a local run gives. */
function check(): void {
  const here = path.join(folder, "here");
  const local = spawnSync(process.execPath, [
    ...[command, "detect", path.join(folder, "tiny.json"), images, "--out", here, "--parts", "ndjson"],
  ]);
  if (local.status !== 0) throw new Error(String(local.stderr));
  const [expected, got] = [here, found].map((out) =>
    readdirSync(out)
      .filter((name) => name.startsWith("part-"))
      .flatMap((name) => readFileSync(path.join(out, name), "utf8").trim().split("\n"))
      .sort(),
  );
  rmSync(here, { recursive: true });
  const files = new Set(got.map((line) => JSON.parse(line).file));
  if (got.length !== files.size) throw new Error(`${got.length - files.size} pictures are there twice`);
  if (got.length !== expected.length) throw new Error(`${got.length} pictures, expected ${expected.length}`);
  const other = got.find((line, i) => line !== expected[i]);
  if (other) throw new Error(`not as in the local run: ${other}`);
  say(
    `${got.length} pictures as in the local run, ${readFileSync(path.join(found, "_SUCCESS"), "utf8").trim()}`,
  );
}
