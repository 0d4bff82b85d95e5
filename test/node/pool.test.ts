/** The pool of worker threads: answers, deaths, errors, signals, transfers, closing. */
import { execFileSync } from "node:child_process";
import { getEventListeners } from "node:events";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { afterEach, expect, test } from "vitest";
import { InputError, UsageError } from "../../src/index.ts";
import { Pool, type PoolOptions, WorkerError } from "../../src/node/pool.ts";
import { temporaryFolder } from "../cli/_run.ts";
import type { Told } from "./_pool-worker.ts";

const entry = new URL("./_pool-worker.ts", import.meta.url);
const pools: Pool<Told, unknown>[] = [];
const poolOf = (options: Partial<PoolOptions> = {}): Pool<Told, unknown> => {
  const pool = new Pool<Told, unknown>(entry, { size: 1, data: { base: 7 }, ...options });
  pools.push(pool);
  return pool;
};
afterEach(async () => {
  await Promise.all(pools.splice(0).map((pool) => pool.close()));
});

test("calls are answered, each thread takes one at a time, the rest waits", async () => {
  const pool = poolOf({ size: 2 });
  await pool.ready();
  expect(pool.alive).toBe(2);
  const calls = Array.from({ length: 6 }, (_, value) => pool.call({ do: "echo", value }));
  expect([pool.running, pool.waiting]).toEqual([2, 4]);
  expect(await Promise.all(calls)).toEqual(Array.from({ length: 6 }, (_, value) => [7, value]));
  expect([pool.running, pool.waiting]).toEqual([0, 0]);
  const ids = await Promise.all([pool.call({ do: "id" }), pool.call({ do: "id" })]);
  expect(new Set(ids).size).toBe(2);
});

test("what a call throws reaches its caller, with its class where it is the kit's, and the thread works on", async () => {
  const pool = poolOf();
  const id = await pool.call({ do: "id" });
  await expect(pool.call({ do: "throw own" })).rejects.toThrow(InputError);
  await expect(pool.call({ do: "throw own" })).rejects.toThrow(/^a\.jpg: no picture$/);
  const defect = await pool.call({ do: "throw" }).catch((error: Error) => error);
  expect(defect).toMatchObject({ name: "TypeError", message: "a defect" });
  expect((defect as Error).stack).toContain("_pool-worker");
  // An answer that cannot be copied.
  await expect(pool.call({ do: "function" })).rejects.toThrow(/could not be cloned/);
  expect(await pool.call({ do: "id" })).toBe(id);
});

test.each([
  ["exit", /exit code 3/],
  ["crash", /outside of the call/],
] as const)("a thread that ends (%s) rejects its call, and another answers the next", async (how, reason) => {
  const pool = poolOf();
  const id = await pool.call({ do: "id" });
  const [lost, next] = [pool.call({ do: how }), pool.call({ do: "id" })];
  await expect(lost).rejects.toThrow(WorkerError);
  await expect(lost).rejects.toThrow(reason);
  expect(await next).not.toBe(id);
  expect(pool.alive).toBe(1);
});

test("a signal ends a call that waits, and the thread never hears of it", async () => {
  const pool = poolOf();
  await pool.ready();
  const running = pool.call({ do: "sleep", value: 200 });
  const controller = new AbortController();
  const waiting = pool.call({ do: "exit" }, { signal: controller.signal });
  controller.abort(new Error("not needed"));
  await expect(waiting).rejects.toThrow("not needed");
  expect(pool.waiting).toBe(0);
  expect(await running).toBe(200);
  expect(await pool.call({ do: "echo" })).toEqual([7, undefined]);
  await expect(pool.call({ do: "echo" }, { signal: AbortSignal.abort() })).rejects.toThrow(/abort/);
});

test("a deadline ends a call at once; a thread that comes back in time is kept", async () => {
  const pool = poolOf({ grace: 5000 });
  const id = await pool.call({ do: "id" });
  const start = performance.now();
  await expect(
    pool.call({ do: "sleep", value: 400 }, { signal: AbortSignal.timeout(50) }),
  ).rejects.toMatchObject({ name: "TimeoutError" });
  expect(performance.now() - start).toBeLessThan(390);
  expect(await pool.call({ do: "id" })).toBe(id);
});

test.each(["hang", "never"] as const)("a thread that does not come back (%s) is replaced", async (how) => {
  const pool = poolOf({ grace: 50 });
  const id = await pool.call({ do: "id" });
  await expect(pool.call({ do: how }, { signal: AbortSignal.timeout(50) })).rejects.toMatchObject({
    name: "TimeoutError",
  });
  expect(await pool.call({ do: "id" })).not.toBe(id);
});

test("transfer lists move both ways; what cannot be moved is an error of the call", async () => {
  const pool = poolOf();
  const bytes = new Uint8Array([1, 2, 3]);
  const moved = await pool.call({ do: "move", value: bytes }, { transfer: [bytes.buffer] });
  expect(bytes.byteLength).toBe(0);
  expect(moved).toEqual(new Uint8Array([2, 2, 3]));
  const twice = new ArrayBuffer(4);
  await expect(pool.call({ do: "echo", value: twice }, { transfer: [twice, twice] })).rejects.toThrow(
    /duplicate/i,
  );
  await expect(pool.call({ do: "echo", value: () => 1 })).rejects.toThrow(/could not be cloned/);
  expect(await pool.call({ do: "echo", value: 1 })).toEqual([7, 1]);
});

test("closing while busy rejects what runs and what waits; later calls too", async () => {
  const pool = poolOf();
  await pool.ready();
  const calls = [pool.call({ do: "never" }), pool.call({ do: "echo" })];
  const ends = calls.map((call) => call.catch((error: unknown) => error));
  await Promise.all([pool.close(), pool.close()]);
  for (const end of await Promise.all(ends)) expect(end).toBeInstanceOf(WorkerError);
  await expect(pool.call({ do: "echo" })).rejects.toThrow(/closed/);
  expect(pool.alive + pool.running + pool.waiting).toBe(0);
});

test("a thread that cannot start tells why to ready and to calls", async () => {
  const pool = poolOf({ data: { fail: "model.bin: truncated" } });
  const call = pool.call({ do: "echo" });
  await expect(pool.ready()).rejects.toThrow(InputError);
  await expect(call).rejects.toThrow("model.bin: truncated");
  const missing = new Pool(new URL("./nothing.js", import.meta.url), { size: 1 });
  await expect(missing.ready()).rejects.toThrow(/Cannot find module|ERR_MODULE_NOT_FOUND/);
  await missing.close();
  expect(() => poolOf({ size: 0 })).toThrow(UsageError);
});

test("one signal ends all calls that share it", async () => {
  const pool = poolOf({ grace: 20 });
  const controller = new AbortController();
  const calls = Array.from({ length: 30 }, () => pool.call({ do: "never" }, { signal: controller.signal }));
  const other = pool.call({ do: "echo", value: 2 });
  setTimeout(() => controller.abort(new Error("enough")), 100);
  for (const call of calls) await expect(call).rejects.toThrow("enough");
  expect(await other).toEqual([7, 2]);
});

test("no listeners stay on a signal that outlives its calls", async () => {
  const pool = poolOf({ size: 2 });
  const { signal } = new AbortController();
  await Promise.all(Array.from({ length: 50 }, () => pool.call({ do: "echo" }, { signal })));
  await pool.call({ do: "throw" }, { signal }).catch(() => {});
  await pool.call({ do: "exit" }, { signal }).catch(() => {});
  await pool.call({ do: "echo", value: () => 1 }, { signal }).catch(() => {});
  expect(getEventListeners(signal, "abort")).toEqual([]);
});

test("an idle pool does not keep the process alive, and one that is waited for does", () => {
  const source = `
    import { Pool } from ${JSON.stringify(new URL("../../src/node/pool.ts", import.meta.url).href)};
    const pool = new Pool(new URL(${JSON.stringify(entry.href)}), { size: 2, data: { base: 1 } });
    console.log(await pool.call({ do: "sleep", value: 50 }));
  `;
  const file = path.join(temporaryFolder(), "idle.mjs");
  writeFileSync(file, source);
  const args = [...process.execArgv, file];
  expect(execFileSync(process.execPath, args, { encoding: "utf8", timeout: 30_000 })).toBe("50\n");
});
