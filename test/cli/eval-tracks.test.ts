/** `eval --tracks`: results of trackers against labels, files and folders, and what is said of wrong ones. */
import { mkdirSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { put, run, temporaryFolder } from "./_run.ts";

const folder = temporaryFolder();
const rows = (id: (frame: number) => number, shift = 0): string =>
  Array.from({ length: 10 }, (_, i) => `${i + 1},${id(i + 1)},${10 * i + shift},5,40,40,1,1,1\n`).join("");
const truth = put(folder, { "gt.txt": rows(() => 1) });
const good = put(folder, { "good.txt": rows(() => 7, 2) });
const renamed = put(folder, { "renamed.txt": rows((frame) => (frame < 6 ? 1 : 2)) });

test("a table of HOTA, MOTA, IDF1 and their parts", async () => {
  const { code, out } = await run("eval", good, renamed, "--tracks", truth);
  expect(code).toBe(0);
  const lines = out.split("\n");
  expect(lines[0]).toBe("10 labelled boxes of 1 thing");
  expect(lines[2]).toMatch(/^tracks +HOTA +MOTA +IDF1 +DetA +AssA +LocA +MOTP +recall +precision$/);
  expect(lines.find((line) => line.startsWith(renamed))).toMatch(/ 70\.7 +90\.0 +50\.0 +100\.0 +50\.0 /);
  expect(out).toMatch(
    /counts +TP +FN +FP +IDSW +Frag +MT +PT +ML +identities\n.*good.txt +10 +0 +0 +0 +0 +1 +0 +0 +1\n/,
  );
});

test("as JSON, and folders of sequences", async () => {
  const [gt, found] = [path.join(folder, "gt"), path.join(folder, "found")];
  for (const each of [gt, found, path.join(gt, "a/gt")]) mkdirSync(each, { recursive: true });
  put(path.join(gt, "a/gt"), { "gt.txt": rows(() => 1) });
  put(gt, { "b.txt": rows(() => 3) });
  put(found, { "a.txt": rows(() => 1) });
  const { code, out, err } = await run("eval", found, "--tracks", gt, "--json");
  expect(code).toBe(0);
  expect(err).toContain("b.txt is missing: nothing was found in this sequence");
  const [result] = JSON.parse(out).results;
  expect(
    result.sequences.map(({ name, clear }: { name: string; clear: { MOTA: number } }) => [name, clear.MOTA]),
  ).toEqual([
    ["a", 1],
    ["b", 0],
  ]);
  expect(result.combined.clear.MOTA).toBe(0.5);
  expect((await run("eval", found, "--tracks", gt, "--per-sequence")).out).toMatch(/found a +100.0/);
});

test.each([
  [["eval", good], 2, "--data is missing"],
  [["eval", good, "--data", "x", "--tracks", truth], 2, "give one of them"],
  [["eval", good, "--tracks", path.join(folder, "none.txt")], 1, "none.txt"],
  [["eval", good, "--tracks", folder], 2, "name two files, or two folders"],
  [
    ["eval", good, "--tracks", put(folder, { "bad.txt": "1,2,3\n" })],
    1,
    'bad.txt: line 1: 3 numbers in "1,2,3"',
  ],
])("%j is told", async (args, code, message) => {
  const result = await run(...args);
  expect(result.err).toContain(message);
  expect(result.code).toBe(code);
});
