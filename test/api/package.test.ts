/** The package as others get it: built, packed, installed elsewhere, run in fresh processes that must be silent. */
import { execFile } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, symlinkSync } from "node:fs";
import path from "node:path";
import { promisify } from "node:util";
import { beforeAll, expect, test } from "vitest";
import { version } from "../../src/index.ts";
import { png, put, temporaryFolder, tinyFiles } from "../cli/_run.ts";

const run = promisify(execFile);
const root = path.resolve(import.meta.dirname, "../..");
const project = temporaryFolder();
const installed = path.join(project, "node_modules/ncnnkit");

/** Builds from the sources into a project of its own; dependencies are those of this checkout. */
beforeAll(async () => {
  mkdirSync(installed, { recursive: true });
  const tsc = path.join(root, "node_modules/typescript/bin/tsc");
  await run(
    process.execPath,
    [tsc, "-p", "tsconfig.build.json", "--noCheck", "--outDir", path.join(installed, "dist")],
    {
      cwd: root,
    },
  );
  put(installed, { "package.json": readFileSync(path.join(root, "package.json")) });
  mkdirSync(path.join(installed, "bin"));
  put(path.join(installed, "bin"), { "ncnnkit.js": readFileSync(path.join(root, "bin/ncnnkit.js")) });
  symlinkSync(path.join(root, "node_modules"), path.join(installed, "node_modules"));
  put(project, { ...tinyFiles(), "white.png": png(64, 64, () => true) });
}, 60_000);

const inNode = (code: string) => run(process.execPath, ["--input-type=module", "-e", code], { cwd: project });

test("the version in the code is that of the package", () => {
  expect(JSON.parse(readFileSync(path.join(root, "package.json"), "utf8")).version).toBe(version);
});

test("both entries import silently", async () => {
  const { stdout, stderr } = await inNode(`
    import * as main from "ncnnkit";
    import * as node from "ncnnkit/node";
    console.log(typeof main.load, typeof node.load, "readPicture" in main, Object.keys(main).every((key) => key in node));`);
  expect({ stdout, stderr }).toEqual({ stdout: "function function false true\n", stderr: "" });
});

test("the front door has few names, and the other entries have none of them", async () => {
  const entries = await Promise.all(
    ["index", "steps", "official"].map(async (name) => Object.keys(await import(`../../src/${name}.ts`))),
  );
  expect(entries[0].length).toBeLessThanOrEqual(27);
  expect(entries.flat().length).toBe(new Set(entries.flat()).size);
});

test("the example of the README runs", async () => {
  const { stdout, stderr } = await inNode(`
    import { load, readPicture } from "ncnnkit/node";
    const model = await load("tiny.json");
    const boxes = await model.detect(await readPicture("white.png"), { confidence: 0.25 });
    model.close();
    console.log(boxes.length > 0, boxes[0].label);`);
  expect({ stdout, stderr }).toEqual({ stdout: "true white\n", stderr: "" });
});

test("the command runs, and a bad input ends it with status 1", async () => {
  const command = path.join(installed, "bin/ncnnkit.js");
  const { stdout } = await run(process.execPath, [command, "detect", "tiny.json", "white.png", "--json"], {
    cwd: project,
  });
  expect(JSON.parse(stdout).images[0].detections.length).toBeGreaterThan(0);
  const failing = run(process.execPath, [command, "inspect", "nothing.pt"], { cwd: project });
  await expect(failing).rejects.toMatchObject({
    code: 1,
    stdout: "",
    stderr: expect.stringMatching(/^error: /),
  });
});

test.skipIf(!existsSync("/dev/full"))("a full disk behind stdout is one line and status 1", async () => {
  const command = `"${process.execPath}" "${path.join(installed, "bin/ncnnkit.js")}" inspect tiny.json`;
  await expect(run("sh", ["-c", `${command} > /dev/full`], { cwd: project })).rejects.toMatchObject({
    code: 1,
    stderr: "error: cannot write to the standard output: no space left on the device\n",
  });
  const { stdout, stderr } = await run("sh", ["-c", `${command} | head -1`], { cwd: project });
  expect([stdout.split("\n").length, stderr]).toEqual([2, ""]);
});

test("what is packed", async () => {
  const { stdout } = await run("npm", ["pack", "--dry-run", "--json", "--ignore-scripts"], { cwd: root });
  const [{ files }] = JSON.parse(stdout);
  const folders = new Set(files.map(({ path: file }: { path: string }) => file.split("/")[0]));
  expect(folders).toContain("bin");
  expect(folders).toContain("README.md");
  const known = new Set([
    ...["bin", "dist", "dist-web", "docs", "models", "scripts"],
    ...["LICENSE", "NOTICE.md", "README.md", "SECURITY.md", "package.json"],
  ]);
  expect([...folders].filter((folder) => !known.has(String(folder)))).toEqual([]);
  const paths = files.map((file: { path: string }) => file.path);
  // npm packs every README of a folder that it packs something of.
  const scripts = paths.filter((file: string) => file.startsWith("scripts/"));
  expect(scripts.sort()).toEqual(["scripts/README.md", "scripts/prepare.mjs"]);
  // Maps without the sources lead a debugger to files that are not there.
  expect(paths.filter((file: string) => file.endsWith(".map"))).toEqual([]);
});

test("an installed package has nothing to prepare, and says so by saying nothing", async () => {
  mkdirSync(path.join(installed, "scripts"));
  put(path.join(installed, "scripts"), {
    "prepare.mjs": readFileSync(path.join(root, "scripts/prepare.mjs")),
  });
  expect(await run("npm", ["run", "--silent", "prepare"], { cwd: installed })).toEqual({
    stdout: "",
    stderr: "",
  });
});
