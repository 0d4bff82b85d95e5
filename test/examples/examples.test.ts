/** The examples as their README says to run them: on the built package, the shipped model and a drawn picture. */
import { execFile } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import path from "node:path";
import { promisify } from "node:util";
import { chromium } from "playwright-core";
import { beforeAll, expect, test } from "vitest";
import { serveFolders } from "../../src/node/serve/files.ts";
import { readPicture, writePicture } from "../../src/node.ts";
import { writeDataset } from "../../training/pictures/dataset.ts";
import { chromiumPath } from "../browser/page.ts";
import { temporaryFolder } from "../cli/_run.ts";

const run = promisify(execFile);
const root = path.resolve(import.meta.dirname, "../..");
const folder = temporaryFolder();
const pictures = path.join(folder, "pictures/images");

beforeAll(async () => {
  // The examples import the package by its name, which is its build.
  await run(
    process.execPath,
    [path.join(root, "node_modules/typescript/bin/tsc"), "-p", "tsconfig.build.json"],
    {
      cwd: root,
    },
  );
  await writeDataset(path.join(folder, "pictures"), {
    count: 6,
    seed: 2_000_001,
    split: "held-out",
    size: 320,
  });
}, 120_000);

const example = (name: string, ...args: string[]) =>
  run(process.execPath, [path.join(root, "examples", name), ...args], { cwd: root });
const picture = (): string => path.join(pictures, readdirSync(pictures)[0]);

test("detect.js prints boxes and draws them", async () => {
  const drawn = path.join(folder, "boxes.png");
  const { stdout } = await example("detect.js", "codefinder", picture(), drawn);
  expect(stdout).toMatch(/^[\w -]+ 0\.\d{3} \d+ \d+ \d+ \d+\n/);
  const [before, after] = [await readPicture(picture()), await readPicture(drawn)];
  expect([after.width, after.height]).toEqual([before.width, before.height]);
  expect(after.data).not.toEqual(before.data);
});

test("folder-to-csv.js writes a line a box", async () => {
  const csv = path.join(folder, "boxes.csv");
  await example("folder-to-csv.js", "codefinder", pictures, csv);
  const [head, ...lines] = readFileSync(csv, "utf8").trim().split("\n");
  expect(head).toBe("picture,label,score,x,y,width,height");
  expect(lines.length).toBeGreaterThan(5);
  for (const line of lines) expect(line).toMatch(/^"[^"]+\.\w+","[^"]+",[01]\.\d{4}(,\d+\.\d){4}$/);
});

test("quantize.js leaves an int8 model that finds boxes", { timeout: 300_000 }, async () => {
  const out = path.join(folder, "out");
  const { stdout } = await example("quantize.js", "codefinder", pictures, out);
  expect(stdout).toMatch(/^fp32 .*\nfp16 .*\nint8 [\d.]+ ms [\d.]+ MiB fidelity [\d.]+\n$/);
  const { stdout: boxes } = await example("detect.js", path.join(out, "int8"), picture());
  expect(boxes).toMatch(/ 0\.\d{3} /);
});

const canBrowse = existsSync(chromiumPath);
test.skipIf(!canBrowse)(
  "browser/ is built by vite and detects in its worker",
  { timeout: 180_000 },
  async () => {
    const site = path.join(folder, "site");
    mkdirSync(site, { recursive: true });
    const vite = path.join(root, "node_modules/vite/bin/vite.js");
    await run(process.execPath, [vite, "build", "examples/browser", "--outDir", site, "--logLevel", "warn"], {
      cwd: root,
      env: { ...process.env, NODE_ENV: "production" },
    });
    const server = await serveFolders({ "": site }, { port: 0, isolated: false });
    const browser = await chromium.launch({ executablePath: chromiumPath, args: ["--no-sandbox"] });
    try {
      const page = await browser.newPage();
      await page.goto(server.url);
      await page.getByText(/^Ready: finds /).waitFor({ timeout: 60_000 });
      const png = path.join(folder, "picture.png");
      await writePicture(png, await readPicture(picture()));
      await page.setInputFiles("input", png);
      const status = page.getByText(/ ms\)$/);
      await status.waitFor({ timeout: 60_000 });
      expect(await status.textContent()).toMatch(/^[\w -]+ 0\.\d\d/);
    } finally {
      await browser.close();
      await server.stop();
      rmSync(site, { recursive: true });
    }
  },
);
