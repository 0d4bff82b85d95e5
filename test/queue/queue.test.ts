/** Passes over a queue give what passes here give, whoever is killed on the way. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parquetReadObjects } from "hyparquet";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { Random } from "../../src/base/random.ts";
import { modelFiles } from "../../src/index.ts";
import { queueState } from "../../src/queue/jobs.ts";
import { png, put, run, temporaryFolder, tinyFiles, tinyModel } from "../cli/_run.ts";
import { Command, hasRedis, Redis } from "./_redis.ts";

const count = 64;
const folder = temporaryFolder();
const shared = path.join(folder, "shared");
const pictures = path.join(shared, "pictures");
const model = path.join(folder, "tiny.json");
let redis: Redis;
const workers: Command[] = [];

beforeAll(async () => {
  mkdirSync(pictures, { recursive: true });
  put(folder, tinyFiles());
  for (let i = 0; i < count; i++) {
    const [at, side] = [(i * 7) % 40, 6 + (i % 9) * 2];
    const inside = (v: number): boolean => v >= at && v < at + side;
    const name = path.join(pictures, `${i}`.padStart(3, "0"));
    writeFileSync(`${name}.png`, i === 9 ? "no picture" : png(64, 64, (x, y) => inside(x) && inside(y)));
    const middle = (at + side / 2) / 64;
    writeFileSync(`${name}.txt`, `0 ${middle} ${middle} ${side / 64} ${side / 64}\n`);
  }
  if (hasRedis) redis = await Redis.start(folder);
}, 60_000);
afterAll(async () => {
  await Promise.all(workers.map((worker) => worker.kill()));
  await redis?.stop();
});

async function startWorkers(wanted: number): Promise<void> {
  const running = workers.filter(({ process: each }) => each.exitCode === null && each.signalCode === null);
  while (running.length > wanted) await running.pop()?.kill();
  while (running.length < wanted) {
    const worker = new Command("worker", redis.address, "--shared", shared, "--jobs", "1", "--patience", "2");
    workers.push(worker);
    running.push(worker);
  }
  await Promise.all(running.map((worker) => worker.says("at a time")));
}
const queued = (): string[] => ["--queue", redis.address, "--shared", shared, "--shard-size", "8"];
const left = (): string[] => {
  const kept = path.join(shared, ".ncnnkit");
  const all = existsSync(kept) ? readdirSync(kept, { recursive: true, withFileTypes: true }) : [];
  return all.filter((entry) => entry.isFile()).map(({ name }) => name);
};

async function calibrated(name: string, ...more: string[]): Promise<Buffer[]> {
  const out = path.join(folder, `${name}.table`);
  const done = await run("calibrate", model, "--images", pictures, "-o", out, "--threads", "1", ...more);
  expect(done.err).toContain("layers, 63 pictures");
  expect(done.code).toBe(0);
  const others = [".bin", "-float.bin"].map((rest) => path.join(folder, `${name}-calibrated${rest}`));
  return [out, ...others].filter(existsSync).map((file) => readFileSync(file));
}
async function evaluated(...more: string[]): Promise<unknown> {
  const done = await run("eval", model, "--data", pictures, "--json", "--threads", "1", ...more);
  expect(done.code).toBe(0);
  const result = JSON.parse(done.out);
  for (const each of result.models) delete each.milliseconds;
  return result;
}

const exactly = (bytes: Buffer): ArrayBuffer =>
  bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length) as ArrayBuffer;

describe.skipIf(!hasRedis)("over a queue", () => {
  test("calibrate and eval over 1, 2 and 4 workers give the bytes of a local run", async () => {
    const [table, result] = [await calibrated("local"), await evaluated()];
    expect(table.length).toBeGreaterThan(1);
    for (const wanted of [1, 2, 4]) {
      await startWorkers(wanted);
      expect(await calibrated(`by${wanted}`, ...queued())).toEqual(table);
      expect(await evaluated(...queued())).toEqual(result);
    }
    // Nothing is left behind but what failed.
    expect(left()).toEqual([]);
  }, 240_000);

  test("workers, coordinators and the server may end at any time", async () => {
    const result = await evaluated();
    const random = new Random(5);
    await startWorkers(2);
    const args = ["eval", model, "--data", pictures, "--json", ...queued()];
    let coordinator = new Command(...args);
    for (let kill = 0; kill < 6; kill++) {
      await sleep(random.int(100, 1500));
      const which = random.next();
      if (which < 0.5) {
        await workers
          .findLast(({ process: each }) => each.signalCode === null && each.exitCode === null)
          ?.kill();
        void startWorkers(2);
      } else if (which < 0.75) {
        await coordinator.kill();
        coordinator = new Command(...args);
      } else await redis.restart();
    }
    await startWorkers(2);
    expect(await coordinator.ended).toBe(0);
    const found = JSON.parse(coordinator.out);
    for (const each of found.models) delete each.milliseconds;
    expect(found).toEqual(result);
    expect(coordinator.err).toContain("009.png");
  }, 240_000);

  test.each(["ndjson", "parquet"])("detect in parts of %s is what a local run finds", async (format) => {
    await startWorkers(2);
    const rows = async (out: string): Promise<unknown[]> => {
      const all: unknown[] = [];
      for (const name of readdirSync(out).filter((each) => each.startsWith("part-"))) {
        const bytes = readFileSync(path.join(out, name));
        if (format === "parquet") all.push(...(await parquetReadObjects({ file: exactly(bytes) })));
        else all.push(...bytes.toString().trim().split("\n"));
      }
      return all.map((row) => JSON.stringify(row)).sort();
    };
    const [here, there] = [path.join(shared, `here-${format}`), path.join(shared, `there-${format}`)];
    // Workers that were killed in other tests leave something behind.
    const before = new Set(left());
    const detect = (out: string, ...more: string[]) =>
      run("detect", model, pictures, "--out", out, "--parts", format, ...more);
    expect((await detect(here)).err).toContain("on 63 pictures");
    const done = await detect(there, ...queued());
    expect(done.err).toContain("on 63 pictures");
    expect(readdirSync(there).filter((name) => name.startsWith("part-"))).toHaveLength(8);
    expect(await rows(there)).toEqual(await rows(here));
    for (const name of ["_SUCCESS", "_skipped.ndjson"]) {
      expect(readFileSync(path.join(there, name), "utf8")).toBe(readFileSync(path.join(here, name), "utf8"));
    }
    expect((await detect(there, ...queued())).err).toContain("complete result already");
    await expect.poll(() => left().filter((name) => !before.has(name)), { timeout: 20_000 }).toEqual([]);
  });

  test("what cannot be is refused before anything is queued", async () => {
    const detect = (...more: string[]) =>
      run("detect", model, pictures, "--out", path.join(folder, "x"), ...more);
    expect((await detect(...queued())).err).toContain("needs --parts");
    expect((await detect(...queued(), "--parts", "ndjson")).err).toContain("below the shared one");
    expect((await run("eval", model, "--data", pictures, "--queue", redis.address)).err).toContain(
      "needs --shared",
    );
    const odd = await run("eval", model, "--data", pictures, "--queue", "http://x", "--shared", shared);
    expect(odd.err).toContain("expected the address of a Redis server");
    expect(odd.code).toBe(2);
  });

  test("a model that is broken ends the work with its own error, and other work goes on", async () => {
    await startWorkers(1);
    const { graph, manifest } = tinyModel("broken");
    graph.node("head")!.weights.bias!.data[0] = Number.NaN;
    const broken = put(folder, modelFiles(graph, manifest));
    const failed = await run("eval", path.join(folder, "broken.json"), "--data", pictures, ...queued());
    expect(broken).toBeDefined();
    expect(failed.err).toMatch(/broken: output "output" of picture .* holds NaN/);
    expect(failed.code).toBe(1);
    expect(await evaluated(...queued())).toEqual(await evaluated());
    rmSync(path.join(shared, ".ncnnkit"), { recursive: true, force: true });
  });

  test("a picture at which workers end is left out and named", async () => {
    await startWorkers(0);
    // Whoever opens it is gone, without a word.
    const hook = path.join(folder, "hook.mjs");
    writeFileSync(
      hook,
      `import fs from "node:fs";
      import { syncBuiltinESMExports } from "node:module";
      for (const name of ["open", "readFile"]) {
        const real = fs.promises[name];
        fs.promises[name] = (file, ...rest) => {
          if (String(file).endsWith("013.png")) process.kill(process.pid, "SIGKILL");
          return real(file, ...rest);
        };
      }
      syncBuiltinESMExports();`,
    );
    vi.stubEnv("NODE_OPTIONS", `--import ${hook}`);
    let isOver = false;
    const keepOne = async (): Promise<void> => {
      for (; !isOver; await sleep(200)) if (!isOver) await startWorkers(1).catch(() => {});
    };
    const keeping = keepOne();
    const done = await run("detect", model, pictures, ...queued());
    isOver = true;
    vi.unstubAllEnvs();
    await keeping;
    await startWorkers(0);
    expect(done.code).toBe(0);
    expect(done.err).toMatch(/skipped .*013\.png: left out, since the worker ended 3 times at it/);
    expect(done.err).toContain("on 62 pictures");
    expect(left()).toEqual([]);
  }, 240_000);

  test("Ctrl-C takes back what is in the queue", async () => {
    await startWorkers(0);
    const coordinator = new Command("eval", model, "--data", pictures, "--json", ...queued());
    while ((await queueState(redis.address)).counts.waiting === 0) await sleep(100);
    coordinator.process.kill("SIGINT");
    expect(await coordinator.ended).toBe(1);
    expect(coordinator.err).toContain("error: interrupted");
    const { out } = await run("jobs", redis.address);
    expect(out).toMatch(/waiting +0/);
    rmSync(path.join(shared, ".ncnnkit"), { recursive: true, force: true });
  }, 60_000);
});
