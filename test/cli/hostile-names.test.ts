/** Names of layers, classes, files and operators are other people's text: none of it reaches a terminal or a file name raw. */
import { readdirSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { startProgress } from "../../src/cli/progress.ts";
import { guarded } from "../../src/cli/terminal.ts";
import { writeOnnx } from "../../src/formats/onnx/write.ts";
import { makeModel } from "../formats/onnx/_model.ts";
import { checkpoint, module, pickle } from "../formats/torch/_write.ts";
import { png, put, type Run, run, temporaryFolder, tinyFiles } from "./_run.ts";

/** Sets the window's title, clears the screen, colours, turns the reading direction: without a blank, so that `.param` takes it. */
const evil = "\x1b]0;pwned\x07\x1b[2J\x1b[31m\x9b1m\u202eevil\x7f";
const shown = "\\u001b]0;pwned\\u0007\\u001b[2J\\u001b[31m\\u009b1m\\u202eevil\\u007f";
const white = png(64, 64, () => true);

function expectClean({ out, err }: Run): void {
  expect(out + err).not.toMatch(/[^\P{Cc}\n\t]|\p{Bidi_Control}/u);
}

/** The tiny model with other layer names and classes. */
function evilModel(labels: string[]): { folder: string; file: string } {
  const folder = temporaryFolder();
  const files = tinyFiles();
  const manifest = JSON.parse(String(files["tiny.json"])) as { labels: string[] };
  manifest.labels = labels;
  files["tiny.json"] = JSON.stringify(manifest);
  files["tiny.param"] = String(files["tiny.param"]).replace(/(?<=^Reshape +)reshape/m, evil);
  return { folder, file: put(folder, { "tiny.json": files["tiny.json"], ...files, "white.png": white }) };
}

test("layers and classes on the terminal, and exactly in JSON", async () => {
  const { folder, file } = evilModel([`${evil}\nline`, "b"]);
  const picture = path.join(folder, "white.png");
  const boxes = await run("detect", file, picture);
  expect([boxes.code, boxes.out.includes(`${shown}\\nline 0.`)], boxes.err).toEqual([0, true]);
  expectClean(boxes);
  const inspected = await run("inspect", file, "--graph");
  expect(inspected.out).toContain(shown);
  expectClean(inspected);
  const json = await run("detect", file, picture, "--json");
  expectClean(json);
  const parsed = JSON.parse(json.out) as { images: { detections: { label: string }[] }[] };
  expect(JSON.stringify(parsed)).toContain(JSON.stringify(`${evil}\nline`));
});

describe("errors quote at most 200 characters, visible", () => {
  const long = `${evil}${"x y".repeat(5000)}`;
  const cases: Record<string, () => [name: string, bytes: Uint8Array | string][]> = {
    "an operator of ONNX": () => [["a.onnx", writeOnnx(makeModel({ nodes: [[long, ["x"], ["y"]]] }))]],
    "a tensor of ONNX": () => [["a.onnx", writeOnnx(makeModel({ nodes: [["Relu", [long], ["y"]]] }))]],
    "an input of ONNX": () => [
      [
        "a.onnx",
        writeOnnx(
          makeModel({ nodes: [["Relu", [long], ["y"]]], inputs: { [long]: [1, "n", "m", 2, 3, 4] } }),
        ),
      ],
    ],
    "a global of a pickle": () => [
      ["a.pt", checkpoint(pickle().global(evil, "x".repeat(9000)).op("]").op("R").stop())],
    ],
    "a module of a checkpoint": () => [
      [
        "a.pt",
        checkpoint(
          pickle()
            .add((p) => module(p, `models.${evil}.${"x".repeat(9000)}`, {}))
            .stop(),
        ),
      ],
    ],
    "a layer type of a .param": () => [
      ["a.param", `7767517\n2 2\nInput in 0 1 in 0=8 1=8 2=3\n${evil}${"x".repeat(240)} a 1 1 in out\n`],
      ["a.bin", ""],
    ],
    "a field of a manifest": () => [["a.json", JSON.stringify({ version: 1, [long]: long })]],
    "a value of a manifest": () => [["a.json", JSON.stringify({ version: long })]],
    "text that is no JSON": () => [["a.json", `{ "version": ${long}`]],
  };
  test.each(Object.entries(cases))("%s", async (_, files) => {
    const model = put(temporaryFolder(), Object.fromEntries(files()));
    for (const command of [["inspect"], ["convert", "-o", path.join(path.dirname(model), "out")]]) {
      const result = await run(...command, model);
      expect(result.code, result.err).toBe(1);
      expectClean(result);
      // The longest of our own words lists the operators of ONNX; what repeats is the file's.
      expect(result.err.length).toBeLessThan(1600);
      expect(result.err.match(/x y|xxx/g)?.length ?? 0).toBeLessThan(3 * 67);
    }
  });
  test("arguments", async () => {
    for (const args of [
      [evil],
      ["detect", `--${long}`],
      ["detect", long, long],
      ["inspect", evil],
      ["pull", long],
    ]) {
      const result = await run(...args);
      expect(result.code).not.toBe(0);
      expectClean(result);
    }
  });
});

test("files are not named after control characters", async () => {
  const folder = temporaryFolder();
  const files = tinyFiles();
  const model = put(folder, { "tiny.json": files["tiny.json"], ...files });
  const picture = put(folder, { [`p${evil}.png`]: white });
  const out = path.join(folder, "out");
  const drawn = await run("detect", model, picture, "--out", out, "--save", "txt");
  expect(drawn.code, drawn.err).toBe(0);
  expectClean(drawn);
  expect(readdirSync(out)).not.toHaveLength(0);
  for (const name of readdirSync(out)) expect(name).toMatch(/^p_]0;pwned__\[2J.*evil_\.(png|txt)$/);

  const named = JSON.parse(String(files["tiny.json"])) as { name: string };
  for (const name of [evil, "../up", "a/b", ".."]) {
    const broken = put(folder, { "named.json": JSON.stringify({ ...named, name }) });
    for (const command of ["convert", "export", "deploy"]) {
      const result = await run(
        command,
        broken,
        "-o",
        out,
        ...(command === "deploy" ? ["--calib", folder] : []),
      );
      expect(result.code).toBe(1);
      expect(result.err).toMatch(/named\.json: name: .*plain file name/);
      expectClean(result);
    }
  }
  const source = put(folder, {
    [`m${evil}.param`]: files["tiny.param"],
    [`m${evil}.bin`]: files["tiny.bin"],
  });
  const converted = await run("convert", source, "-o", path.join(folder, "converted"));
  expect(converted.code).toBe(2);
  expectClean(converted);
});

test("the guard lets line ends and tabs by, and paints its own words only", () => {
  let err = "";
  const say = (text: string): void => {
    err += text;
  };
  const screen = { out: () => {}, err: say, live: false };
  const terminal = guarded({ ...screen, color: { out: true, err: true } });
  terminal.err(`error: \x1b[31m${evil}\n\ta\n`);
  expect(err).toBe(`\x1b[31merror:\x1b[39m \\u001b[31m${shown}\n\ta\n`);
  err = "";
  const progress = startProgress(guarded({ ...screen, color: { out: false, err: false } }));
  progress.step(evil, 0, 5);
  progress.skip(evil);
  progress.stop();
  expect(err).toBe(`skipped ${shown}\n`);
});
