/** `npm run demo` as a newcomer types it, with few pictures, and without the data that lies beside the project. */
import { execFile } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { readPicture } from "../../src/node.ts";
import { registryEntry } from "../../src/steps.ts";
import { run, temporaryFolder } from "./_run.ts";

const root = path.resolve(import.meta.dirname, "../..");
const hasModel = existsSync(path.join(root, "models/codefinder.pt"));
if (!hasModel) console.warn("no models/codefinder.pt: tests of the shipped model are skipped");

test.skipIf(!hasModel)("the registry says of the shipped model what is in it", async () => {
  const { code, out, err } = await run("inspect", "codefinder", "--json", "--offline");
  expect({ code, err }).toEqual({ code: 0, err: "" });
  const { manifest, parameters } = JSON.parse(out);
  const { labels, input } = registryEntry("codefinder") ?? {};
  expect(manifest).toMatchObject({ name: "codefinder", labels, input });
  expect(parameters).toBeLessThan(800_000);
});

test.skipIf(!hasModel)(
  "the demo ends with a table, a report and pictures",
  { timeout: 900_000 },
  async () => {
    const out = temporaryFolder();
    // Of an earlier run, and of somebody else.
    for (const folder of ["evaluation/images", "own"]) mkdirSync(path.join(out, folder), { recursive: true });
    for (const file of ["evaluation/codes.yaml", "evaluation/images/000099.jpg", "own/notes.txt"]) {
      writeFileSync(path.join(out, file), "");
    }
    const sizes = ["--calibration", "8", "--evaluation", "8", "--out", out];
    const { stdout, stderr } = await promisify(execFile)("npm", ["run", "--silent", "demo", "--", ...sizes], {
      cwd: root,
      env: { ...process.env, NCNNKIT_DATA: "/nowhere", NCNNKIT_CACHE: path.join(out, "cache") },
    });
    expect(stderr).toContain("evaluation: 8/8");
    const [, ...rows] = stdout.trim().split("\n");
    const cells = rows.map((row) => row.split(/ {2,}/));
    expect(cells.slice(0, 3).map(([name]) => name)).toEqual(["fp32", "fp16", "int8"]);
    for (const [, , ap50] of cells.slice(0, 3)) expect(Number(ap50)).toBeGreaterThan(70);
    expect(stdout).toContain(`\nreport    ${path.join(out, "deploy/report.html")}\n`);
    expect(readdirSync(out).sort()).toEqual(["boxes", "calibration", "deploy", "evaluation", "own"]);
    const names = Array.from({ length: 8 }, (_, i) => `00000${i + 1}.jpg`);
    expect(readdirSync(path.join(out, "evaluation/images"))).toEqual(names);
    expect(readdirSync(path.join(out, "boxes"))).toEqual(names);
    const { width, height } = await readPicture(path.join(out, "boxes/000001.jpg"));
    expect({ width, height }).toEqual({ width: 2 * 640 + 8, height: 640 });
    expect(existsSync(path.join(out, "deploy/report.html"))).toBe(true);
    const model = path.join(out, "deploy/int8");
    const boxes = await run("detect", model, path.join(out, "evaluation/images"), "--json");
    expect(JSON.parse(boxes.out).images).toHaveLength(8);
  },
);

test.skipIf(!hasModel)("a wrong count is misuse", { timeout: 120_000 }, async () => {
  const demo = promisify(execFile)("npm", ["run", "--silent", "demo", "--", "--evaluation", "many"], {
    cwd: root,
  });
  await expect(demo).rejects.toMatchObject({
    code: 2,
    stderr: expect.stringContaining("--evaluation is many, expected a whole number from 4 to 10000"),
  });
});
