/** What jobs keep in the shared folder, and that all of it can be forgotten. */
import { readdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { SharedFolder } from "../../src/queue/shared.ts";
import { temporaryFolder } from "../cli/_run.ts";

const files = (root: string): string[] =>
  readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => path.join(parentPath, name));

test("all of a job is forgotten, also what nobody told of", async () => {
  const root = temporaryFolder();
  const shared = new SharedFolder(root);
  await shared.put({ seen: 1 }, "job"); // by a worker that was killed before it could tell
  const [stray] = files(root);
  writeFileSync(`${stray}.half-written`, "…");
  const [own, others] = [await shared.put({ seen: 2 }, "job"), await shared.put({ seen: 2 }, "other")];
  await shared.finish("job", { seen: own });
  await shared.finish("job.cancelled", {});
  expect(await shared.get(own)).toEqual({ seen: 2 });
  expect(await shared.finished("job")).toEqual({ seen: own });
  await shared.forget("job");
  expect(await shared.has(own)).toBe(false);
  expect(await shared.finished("job")).toBeUndefined();
  expect(await shared.get(others)).toEqual({ seen: 2 });
  expect(await shared.finished("job.cancelled")).toEqual({});
  await shared.forget(others, "job.cancelled", "unknown");
  expect(files(root)).toEqual([]);
});

test("who writes while others forget goes on", async () => {
  const shared = new SharedFolder(temporaryFolder());
  for (let i = 0; i < 100; i++) await Promise.all([shared.finish("job", { i }), shared.forget("job")]);
  await shared.finish("job", { i: 100 });
  expect(await shared.finished("job")).toEqual({ i: 100 });
});
