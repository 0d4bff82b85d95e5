/** `ncnnkit benchncnn`: arguments, table and JSON. Times are not judged. */
import { expect, test } from "vitest";
import { put, run, temporaryFolder } from "./_run.ts";

const row = /^ *(\S+) {2}min = +[\d.]+ {2}max = +[\d.]+ {2}avg = +[\d.]+ {2}median = +[\d.]+$/gm;

test("chosen networks, in the table's order", async () => {
  const { code, out, err } = await run(
    "benchncnn",
    "2",
    "--only",
    "FastestDet",
    "--only",
    "blaze.*",
    "--json",
  );
  expect(code).toBe(0);
  expect(err).toMatch(/^loop_count = 2\nnum_threads = 1\npowersave = 0\ngpu_device = -1\ncooling_down = 0\n/);
  expect([...err.matchAll(row)].map(([, name]) => name)).toEqual(["blazeface", "FastestDet"]);
  const { rows, environment } = JSON.parse(out);
  expect(rows.map(({ name, loops, shapes }: Record<string, unknown>) => [name, loops, shapes])).toEqual([
    ["blazeface", 2, [[3, 128, 128]]],
    ["FastestDet", 2, [[3, 352, 352]]],
  ]);
  expect(environment.threads).toBe(1);
});

const folder = temporaryFolder();

test("a .param file of one's own", async () => {
  const text = "7767517\n2 2\nInput x 0 1 x\nConvolution c 1 1 x y 0=4 1=3 5=1 6=108\n";
  const file = put(folder, { "tiny.param": text });
  const { code, out, err } = await run(
    "benchncnn",
    "1",
    "1",
    "0",
    "-1",
    "0",
    `param=${file}`,
    "shape=[9,8,3]",
  );
  expect([code, out]).toEqual([0, ""]);
  expect([...err.matchAll(row)].map(([, name]) => name)).toEqual(["tiny"]);
  const wrong = await run("benchncnn", `param=${file}`, "shape=[9,8,3],[4]");
  expect([wrong.code, wrong.err]).toEqual([2, expect.stringContaining("1 inputs (x), but 2 shapes")]);
});

test.each([
  [["x"], 'loops is "x", expected a whole number from 1 to 100000'],
  [["4", "1", "0", "0"], "gpu is 0: networks run on the CPU only"],
  [["1", "1", "0", "-1", "0", "7"], '"7" is one argument too many'],
  [["param=a.param"], "expected param=FILE shape=[w,h,c]"],
  [["param=missing.param", "shape=3"], "missing.param"],
  [["--only", "nothing"], "no such network; there are squeezenet"],
  [["--only", "("], "no regular expression"],
])("%j is refused", async (words, message) => {
  const { code, err } = await run("benchncnn", ...words);
  expect(code).toBeGreaterThan(0);
  expect(err).toContain(message);
});
