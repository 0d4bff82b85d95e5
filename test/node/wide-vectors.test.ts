/** Whether wide vectors are used: what follows from the self-tests, and what is remembered of them. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { judge, wideVectors } from "../../src/node/wide-vectors.ts";
import { run, temporaryFolder } from "../cli/_run.ts";

const times = (...milliseconds: number[]) => ({ wrong: undefined, milliseconds });
const wrong = { wrong: "attention: element 3 of gelu1 is 2, expected 1", milliseconds: [] };

test("they are used where every kernel is right and products are faster", () => {
  expect(judge(times(4, 1), times(2, 0.5))).toEqual({ use: true, why: "products take 0.50 of the time" });
  expect(judge(times(4, 1), times(4, 0.9))).toEqual({
    use: false,
    why: "no gain, products take 0.95 of the time",
  });
});

test("a wrong kernel, a crash, or no comparison leaves them off, and is said", () => {
  expect(judge(times(4, 1), wrong).why).toBe(
    "V8 computes wrong with them: attention: element 3 of gelu1 is 2, expected 1",
  );
  expect(judge(times(4, 1), "it ended by SIGTRAP").why).toBe("V8 failed with them: it ended by SIGTRAP");
  expect(judge("it ended with 1", times(2, 1)).why).toBe("could not be tried: it ended with 1");
  expect(judge(wrong, times(2, 1)).why).toMatch(/^could not be tried: without them attention/);
  for (const plain of [times(4, 1), wrong, "x"]) {
    for (const wide of [wrong, "x"]) expect(judge(plain, wide).use).toBe(false);
  }
});

const isTried =
  process.arch === "x64" && Number(process.versions.node.split(".")[0]) >= 24 && !process.versions.bun;

let folder: string;
beforeEach(() => {
  vi.resetModules();
  vi.stubEnv("NCNNKIT_CACHE", folder);
});
afterEach(() => vi.unstubAllEnvs());
folder = temporaryFolder();

test("what was found is remembered for this V8 and processor, a damaged note is made anew", async () => {
  const file = path.join(folder, "wide-vectors.json");
  writeFileSync(file, "{ damaged");
  const onTry = vi.fn();
  const found = await wideVectors(onTry);
  if (!isTried) {
    expect(found.use).toBe(false);
    expect(found.why).toMatch(/^only /);
    return;
  }
  // Whether it is faster is the machine's business; that it is right is ours.
  expect(found.why).toMatch(/products take \d\.\d\d of the time$/);
  expect(onTry).toHaveBeenCalledOnce();
  const [[key, kept]] = Object.entries(JSON.parse(readFileSync(file, "utf8")) as Record<string, unknown>);
  expect(key).toContain(process.versions.v8);
  expect(kept).toEqual(found);
  const fresh = await import("../../src/node/wide-vectors.ts");
  const again = vi.fn();
  expect(await fresh.wideVectors(again)).toEqual(found);
  expect(again).not.toHaveBeenCalled();
});

test("the command takes auto, on and off, and nothing else", async () => {
  const { code, err } = await run("bench", "none.param", "--wide-vectors", "maybe");
  expect(code).toBe(2);
  expect(err).toMatch(/Allowed choices are auto, on, off/);
  expect(existsSync(path.join(folder, "none.param"))).toBe(false);
});
