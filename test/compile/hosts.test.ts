/**
 * Hosts that run a compiled file without ncnnkit, each by its program in `examples/compiled`: the same boxes on the same picture, those of
 * `data/hosts.txt`. Who is not here is skipped.
 */
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type HostInput, hostFolder, hosts } from "../../bench/_hosts.ts";
import { compileModel } from "../../src/compile/index.ts";
import { noise, noisy } from "./_compiled.ts";

const folder = hostFolder();
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const input: HostInput = {
  folder,
  picture: path.join(folder, "picture.rgb"),
  width: 80,
  height: 60,
  rounds: 2,
};
const expected = path.join(import.meta.dirname, "data/hosts.txt");

beforeAll(async () => {
  const { files } = await compileModel(noisy(), { name: "detector", target: "portable" });
  for (const [name, content] of Object.entries(files)) writeFileSync(path.join(folder, name), content);
  writeFileSync(input.picture, noise(input.width, input.height, 3, 11).data);
});

test.for(hosts)("$name", { timeout: 120_000 }, async ({ missing, run }, { skip }) => {
  const why = await missing();
  if (why) skip(why);
  const { lines } = await run(input);
  if (process.env.UPDATE_GOLDENS) writeFileSync(expected, `${lines.join("\n")}\n`);
  expect(lines).toEqual(readFileSync(expected, "utf8").trim().split("\n"));
  expect(lines.length).toBeGreaterThan(3);
});
