/** What is told of a model on the command line: on every command that opens one, and kept in the manifest. */
import { mkdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { bench } from "../../src/cli/bench.ts";
import { calibrate } from "../../src/cli/calibrate.ts";
import { compare } from "../../src/cli/compare.ts";
import { convertCommand } from "../../src/cli/convert.ts";
import { deployCommand } from "../../src/cli/deploy.ts";
import { detect } from "../../src/cli/detect.ts";
import { evaluate } from "../../src/cli/eval.ts";
import { exportCommand } from "../../src/cli/export.ts";
import { inspect } from "../../src/cli/inspect.ts";
import { modelOptions } from "../../src/cli/names.ts";
import { profileCommand } from "../../src/cli/profile.ts";
import { quantize } from "../../src/cli/quantize.ts";
import { type Manifest, modelFiles } from "../../src/index.ts";
import { load } from "../../src/node.ts";
import { png, put, run, temporaryFolder, tinyFiles, tinyModel } from "./_run.ts";

const folder = temporaryFolder();
const manifest = put(folder, { "tiny.json": "", ...tinyFiles() });
const { "tiny.json": _, ...bare } = tinyFiles();
mkdirSync(path.join(folder, "bare"));
const param = put(path.join(folder, "bare"), bare);
const picture = put(folder, { "white.png": png(64, 64, (x) => x > 20) });

test.each([
  bench,
  calibrate,
  compare,
  convertCommand,
  deployCommand,
  detect,
  evaluate,
  exportCommand,
  inspect,
  profileCommand,
  quantize,
])("$name takes all of it", (command) => {
  expect(command.options).toMatchObject(modelOptions);
});

async function converted(file: string, ...told: string[]): Promise<{ manifest: Manifest; err: string }> {
  const out = path.join(folder, "out");
  const { code, err } = await run("convert", file, "-o", out, ...told);
  expect(code, err).toBe(0);
  const name = path.basename(file).split(".")[0];
  return { manifest: JSON.parse(readFileSync(path.join(out, `${name}.json`), "utf8")), err };
}

const anchors = ["--anchors", "8,8,16,16,24,24"];
const yolox = { pixel: "BGR", mean: [0, 0, 0], norm: [1, 1, 1], letterboxAlign: "corner" };

test("a family, for a file that says nothing", async () => {
  const { manifest: found, err } = await converted(param, ...anchors, "--family", "yolox");
  expect(found.input).toMatchObject(yolox);
  expect(err).not.toContain("the input is");
});

test("parts go before the family; one number stands for all channels", async () => {
  const told = ["--family", "yolox", "--pixel", "RGB", "--norm", "0.5", "--letterbox-align", "center"];
  const { manifest: found } = await converted(param, ...anchors, ...told);
  expect(found.input).toMatchObject({
    pixel: "RGB",
    mean: [0, 0, 0],
    norm: [0.5, 0.5, 0.5],
    letterboxAlign: "center",
  });
});

test("over a manifest, with a warning", async () => {
  const { manifest: found, err } = await converted(manifest, "--family", "yolox");
  expect(found.input).toMatchObject(yolox);
  expect(err).toMatch(/as told and not as its manifest says: pixel BGR against RGB; norm 1,1,1 against/);
});

test("names, anchors and size over a manifest, which keeps its pre-processing", async () => {
  const told = ["--labels", "a,b", "--anchors", "1,2,3,4,5,6", "--size", "32x64"];
  for (const file of [manifest, path.join(folder, "tiny.param")]) {
    const { manifest: found, err } = await converted(file, ...told);
    expect(err).not.toContain("warning");
    expect(found).toMatchObject({
      labels: ["a", "b"],
      heads: [{ anchors: [1, 2, 3, 4, 5, 6] }],
      input: { width: 32, height: 64, letterboxColor: 114 },
    });
  }
});

test.each([
  [["--labels", "a,b,c"], "labels: found 3 names, but the heads of the model have 2 classes"],
  [["--anchors", "1,2"], "anchors: found lists of 2 numbers, expected lists of 6 numbers"],
  [["--mean", "1,2"], "mean: found 2 numbers, expected 3, one a channel"],
  [["--norm", "0"], "norm: found 0"],
  [["--pixel", "GRAY"], "pixel GRAY: the model takes 3 channels"],
  [["--size", "60"], "input width 60: expected a multiple of the model's stride 8"],
])("%j does not fit", async (told, message) => {
  const found = await run("inspect", manifest, ...told);
  expect([found.code, found.err]).toEqual([2, expect.stringContaining(message)]);
});

test("calibrated so, quantized so", async () => {
  const table = path.join(folder, "tiny.table");
  const told = ["--family", "yolox"];
  const calibration = await run("calibrate", param, ...anchors, "--images", picture, "-o", table, ...told);
  expect(calibration.code, calibration.err).toBe(0);
  const out = path.join(folder, "int8");
  const { code, err } = await run("quantize", param, ...anchors, "--table", table, "-o", out);
  expect(code, err).toBe(0);
  expect(err).toMatch(/calibrated with other pictures than it is to be run with: pixel RGB against BGR/);
  const int8 = JSON.parse(readFileSync(path.join(out, "tiny-int8.json"), "utf8")) as Manifest;
  expect(int8.input).toMatchObject(yolox);
});

test("a size that the graph is not made for is refused, said with the size that it is for", async () => {
  const { graph, manifest } = tinyModel("bound");
  graph.node("reshape")!.params.w = 64;
  const file = put(folder, { "bound.json": "", ...modelFiles(graph, manifest) });
  expect((await run("detect", file, picture, "--imgsz", "64")).code).toBe(0);
  const { code, err } = await run("detect", file, picture, "--imgsz", "96");
  expect([code, err]).toEqual([
    1,
    expect.stringMatching(/size as told: .*does not run on 96x96x3: .*reshape/),
  ]);
  const model = await load(file);
  const white = { width: 64, height: 64, channels: 3, data: new Uint8Array(64 * 64 * 3) } as const;
  await expect(model.detect(white, { size: 96 })).rejects.toThrow(
    /bound does not run at 96x96; use 64x64.*reshape/,
  );
  model.close();
});

test("class names over those of a checkpoint and of an export, as many as there are", async () => {
  const out = path.join(folder, "tiny.onnx");
  expect((await run("export", manifest, "-o", out)).code).toBe(0);
  const checkpoint = path.resolve(import.meta.dirname, "../formats/torch/data/ultralytics/v5n.pt");
  for (const [file, names] of [
    [out, "p,q"],
    [checkpoint, "p,q,r"],
  ]) {
    expect((await run("inspect", file, "--labels", names)).out).toContain(names.replaceAll(",", ", "));
    const { code, err } = await run("inspect", file, "--labels", "a,b,c,d");
    expect([code, err]).toEqual([
      2,
      expect.stringMatching(/labels: found 4 names, but the heads .* have [23] classes/),
    ]);
  }
});
