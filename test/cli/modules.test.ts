/** The command keeps what the engine made of a model, and finds it the next time. */
import { existsSync, readdirSync, statSync } from "node:fs";
import path from "node:path";
import { afterEach, expect, test, vi } from "vitest";
import { png, put, run, temporaryFolder, tinyFiles } from "./_run.ts";

const folder = temporaryFolder();
afterEach(() => vi.unstubAllEnvs());

test("detect keeps a module beside the models, uses it again, and keeps none where it is told", async () => {
  put(folder, { ...tinyFiles(), "white.png": png(64, 64, () => true) });
  const cache = path.join(folder, "cache");
  vi.stubEnv("NCNNKIT_CACHE", cache);
  vi.stubEnv("NCNNKIT_MODULES", undefined);
  const modules = path.join(cache, "modules");
  const kept = (): string[] =>
    existsSync(modules) ? readdirSync(modules).filter((name) => name.endsWith(".module")) : [];
  const args = ["detect", path.join(folder, "tiny.json"), path.join(folder, "white.png"), "--json"];
  const first = await run(...args);
  expect(first.code).toBe(0);
  await expect.poll(() => kept().length, { timeout: 10_000 }).toBe(1);
  const [name] = kept();
  const { ino } = statSync(path.join(modules, name));
  const detections = ({ out }: typeof first): unknown => JSON.parse(out).images[0].detections;
  expect(detections(await run(...args))).toEqual(detections(first));
  // It was not written anew.
  expect(statSync(path.join(modules, name)).ino).toBe(ino);
  vi.stubEnv("NCNNKIT_MODULES", "0");
  vi.stubEnv("NCNNKIT_CACHE", path.join(folder, "other"));
  expect((await run(...args)).code).toBe(0);
  expect(existsSync(path.join(folder, "other"))).toBe(false);
});
