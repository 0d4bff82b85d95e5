/** Whatever is wrong with the input: exit status 1, nothing on stdout, one line that names the file and the problem. */
import { chmodSync, mkdirSync, readdirSync, readFileSync, symlinkSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { dataPath, testData } from "../data.ts";
import { png, put, type Run, run, someOffsets, temporaryFolder, tinyFiles } from "./_run.ts";

const folder = temporaryFolder();
const model = put(folder, tinyFiles());
const picture = put(folder, { "white.png": png(64, 64, () => true) });
const torchData = path.resolve(import.meta.dirname, "../formats/torch/data");
const subfolder = (name: string): string => {
  mkdirSync(path.join(folder, name), { recursive: true });
  return path.join(folder, name);
};

function expectOneLine({ code, out, err }: Run, file: string, problem: RegExp): void {
  expect(out).toBe("");
  const errors = err.split("\n").filter((line) => line && !line.startsWith("warning: "));
  expect(errors, err).toHaveLength(1);
  expect(errors[0]).toMatch(/^error: /);
  expect(errors[0]).toContain(file);
  expect(errors[0]).toMatch(problem);
  expect(err).not.toContain("defect");
  expect(code).toBe(1);
}

test.each([
  ["v5.pt", 12],
  ["plain.pt", 8],
])("%s truncated at many offsets", async (name, count) => {
  const bytes = readFileSync(path.join(torchData, name));
  for (const at of someOffsets(bytes.length, count)) {
    const file = put(folder, { "cut.pt": bytes.subarray(0, at) });
    expectOneLine(await run("inspect", file), "cut.pt", /./);
  }
});

test("a .param truncated at many offsets", async () => {
  const into = subfolder("cut-param");
  const files = tinyFiles("cut");
  const text = String(files["cut.param"]);
  put(into, { "cut.bin": files["cut.bin"] });
  // From the last value on, what is left is a legal file.
  for (const at of someOffsets(text.trimEnd().lastIndexOf(" "), 30)) {
    const file = put(into, { "cut.param": text.slice(0, at) });
    expectOneLine(await run("detect", file, picture), "cut", /./);
  }
});

test("a .bin truncated at many offsets", async () => {
  const into = subfolder("cut-bin");
  const files = tinyFiles("cut");
  const bytes = files["cut.bin"] as Uint8Array;
  for (const at of someOffsets(bytes.length, 20)) {
    const file = put(into, { "cut.json": files["cut.json"], ...files, "cut.bin": bytes.subarray(0, at) });
    expectOneLine(await run("detect", file, picture), "cut.bin", /truncated|bytes/);
  }
});

test("a .bin longer than the graph needs", async () => {
  const into = subfolder("long-bin");
  const files = tinyFiles("long");
  const bytes = files["long.bin"] as Uint8Array;
  const longer = new Uint8Array(bytes.length + 4);
  longer.set(bytes);
  const file = put(into, { "long.param": files["long.param"], "long.bin": longer });
  expectOneLine(
    await run("detect", file, picture),
    "long.bin",
    /16220 bytes, but the graph explains only 16216/,
  );
});

test.each([
  ["state-dict.pt", /state_dict.*structure is missing/],
  ["torchscript.pt", /TorchScript/],
  ["legacy.pt", /before 1\.6/],
])("%s", async (name, problem) => {
  for (const command of ["inspect", "convert"]) {
    const into = command === "convert" ? ["-o", path.join(folder, "never")] : [];
    expectOneLine(await run(command, path.join(torchData, name), ...into), name, problem);
  }
  expect(readdirSync(folder)).not.toContain("never");
});

testData("an ONNX file named .pt", async () => {
  const file = put(folder, { "onnx.pt": readFileSync(dataPath("models/FastestDet.onnx")) });
  expectOneLine(await run("detect", file, picture), "onnx.pt", /ONNX/);
});

test("a file that is no model", async () => {
  expectOneLine(await run("inspect", picture), "white.png", /not a model.*\.param.*\.pt/);
});

test("a manifest that names another graph", async () => {
  const into = subfolder("contradiction");
  const files = tinyFiles();
  const json = String(files["tiny.json"]).replace('"output"', '"no_such_blob"');
  const file = put(into, { ...files, "tiny.json": json });
  expectOneLine(
    await run("detect", path.join(into, "tiny.json"), picture),
    "tiny.json",
    /no_such_blob.*output/,
  );
  expect(file).toContain("tiny.param");
});

test("pictures that are none", async () => {
  const cases: Record<string, Uint8Array | string> = {
    "text.jpg": "this is not a picture",
    "empty.jpg": "",
    "cut.png": png(64, 64).subarray(0, 40),
    "vector.png": '<svg xmlns="http://www.w3.org/2000/svg" width="10" height="10"/>',
  };
  for (const [name, content] of Object.entries(cases)) {
    expectOneLine(await run("detect", model, put(folder, { [name]: content })), name, /picture|empty|pixel/);
  }
});

test("a 1x1 picture has boxes or none, but no error", async () => {
  const file = put(folder, { "dot.png": png(1, 1, () => true) });
  const { code, out } = await run("detect", model, file, "--json");
  expect(code).toBe(0);
  expect(JSON.parse(out).images[0]).toMatchObject({ width: 1, height: 1 });
});

test("a 20000x20000 picture is shrunk while it is read, a 30000x30000 one refused", async () => {
  const large = put(folder, { "large.png": png(20000, 20000) });
  const { code, out } = await run("detect", model, large, "--json");
  expect(code).toBe(0);
  expect(JSON.parse(out).images[0]).toMatchObject({ width: 20000, height: 20000, detections: [] });
  const larger = put(folder, { "larger.png": png(30000, 30000) });
  expectOneLine(await run("detect", model, larger), "larger.png", /30000x30000 pixels are too many/);
});

test("an empty folder, as model and as pictures", async () => {
  const empty = subfolder("empty");
  expectOneLine(await run("inspect", empty), "empty", /the folder is empty/);
  expectOneLine(await run("detect", model, empty), "empty", /no pictures/);
});

test("missing files", async () => {
  expectOneLine(await run("inspect", path.join(folder, "no.pt")), "no.pt", /no such file/);
  expectOneLine(await run("detect", model, path.join(folder, "no.jpg")), "no.jpg", /no such file/);
  expectOneLine(await run("detect", model, path.join(folder, "no*.jpg")), "no*.jpg", /no file matches/);
  const lonely = put(subfolder("lonely"), { "lonely.param": tinyFiles()["tiny.param"] });
  expectOneLine(await run("detect", lonely, picture), "lonely.bin", /no such file.*weights/);
});

test("an output folder that cannot be written", async () => {
  const inFile = path.join(picture, "sub");
  expectOneLine(await run("convert", model, "-o", inFile), inFile, /cannot make the folder.*is a file/);
  expectOneLine(await run("detect", model, picture, "--out", picture), picture, /cannot/);
  if (process.getuid?.() !== 0) {
    const locked = subfolder("locked");
    chmodSync(locked, 0o500);
    expectOneLine(await run("convert", model, "-o", locked), "locked", /permission denied/);
  }
});

test("when every picture fails, the command does", async () => {
  const into = subfolder("broken");
  put(into, { "a.jpg": "no", "b.jpg": "neither" });
  const { code, out, err } = await run("detect", model, into);
  expect({ code, out }).toEqual({ code: 1, out: "" });
  expect(err.split("\n").filter((line) => line.startsWith("skipped "))).toHaveLength(2);
  expect(err).toMatch(/error: none of the 2 pictures could be read/);
});

test("links in circles end", async () => {
  const into = subfolder("circle");
  put(into, { "one.png": png(8, 8) });
  symlinkSync(into, path.join(into, "again"));
  const { code, out } = await run("detect", model, into, "--json");
  expect(code).toBe(0);
  expect(JSON.parse(out).images).toHaveLength(1);
});
